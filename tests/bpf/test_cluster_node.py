"""`watchkeeper sensor`, running on this kernel, against a real HTTPS collector: what happens here reaches it, by policies that it told."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import msgspec
import pytest
from tests.bpf.agents import a_rule
from tests.bpf.patience import SLOWER
from tests.support.collector_server import CollectorServer
from tests.support.collector_thread import collector_thread
from tests.support.commands import WATCHKEEPER
from tests.support.events import a_policy, a_program
from tests.support.node_feeds import a_feed, a_kernel_rule, a_told_policy, an_object
from tests.support.nodes import a_written

from watchkeeper_detection.detection import Detection
from watchkeeper_detection.match import Match
from watchkeeper_detection.wire import Blind, decode_detection

PATIENCE = 30.0 * SLOWER


class Running:
    """The process; `said` are its lines."""

    def __init__(self, collector, state):
        self.state = state
        environment = {**os.environ, "NODE_NAME": "node-a", "WATCHKEEPER_TOKEN": str(collector.token_file)}
        words = [WATCHKEEPER, "sensor", "--collector", collector.url, "--ca", collector.ca, "--state", state]
        with (state.parent / "log").open("ab") as log:
            self.process = subprocess.Popen([str(word) for word in words], stderr=log, env=environment)

    @property
    def said(self):
        lines = self.log_text.splitlines()
        return [json.loads(line)["message"] for line in lines if line.startswith("{")]

    def until(self, holds, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while not holds():
            assert self.process.poll() is None, self.log_text
            assert time.monotonic() < end, self.log_text
            time.sleep(0.02)

    @property
    def log_text(self):
        return (self.state.parent / "log").read_text()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(30)


@pytest.fixture
def collector(tmp_path):
    folder = tmp_path / "collector"
    folder.mkdir()
    with CollectorServer(folder) as server:
        yield server


@pytest.fixture
def start(collector, tmp_path):
    made = []

    def run():
        made.append(Running(collector, tmp_path / "state"))
        return made[-1]

    yield run
    for one in made:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


@pytest.fixture
def act(tmp_path):
    """Runs a program that nobody else runs, with an argument by which the act is known."""
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)

    def perform(*words):
        subprocess.run([program, *words], check=True)

    perform.when = f'process.exe == "{program}"'
    perform.rule = lambda **fields: a_kernel_rule(**({"when": perform.when, "message": "{process.command_line}"} | fields))
    return perform


def told(collector, kind=Detection):
    return [found for found in collector.found if isinstance(found, kind)]


def acts(collector, rule="shell"):
    """Last words of the acts that detections of a rule tell."""
    return [found.message.split()[-1] for found in told(collector) if found.rule == rule]


def in_force(collector, running, revision):
    running.until(lambda: collector.states and collector.states[-1].policies_revision == revision)


def test_what_happens_is_told_once_with_who_did_it(collector, start, act):
    collector.feed = a_feed("1", a_told_policy("mine", act.rule()))
    running = start()
    in_force(collector, running, "1")
    act("once")
    running.until(lambda: "once" in acts(collector))
    running.end()
    (found,) = [found for found in told(collector) if found.message.endswith("once")]
    assert found.act.process_id
    assert running.process.returncode == 0
    assert not collector.repeats


def test_the_state_says_what_is_in_force_and_why_the_rest_is_not(collector, start, act):
    collector.feed = a_feed("1", a_told_policy("mine", act.rule()), a_told_policy("wrong", act.rule(when="1 +")))
    running = start()
    in_force(collector, running, "1")
    state = collector.states[-1]
    assert (state.policies, state.rules) == (1, 1)
    assert [one.policy for one in state.not_in_force] == ["watchkeeper/wrong/shell"]
    assert state.hooks > 3
    assert state.kernel == os.uname().release
    assert state.memory_bytes > 1 << 20


def test_a_sensor_that_starts_without_a_collector_watches_and_delivers_later(collector, start, act):
    collector.feed = a_feed("1", a_told_policy("mine", act.rule()))
    first = start()
    in_force(collector, first, "1")
    act("before")
    first.until(lambda: "before" in acts(collector))
    collector.stop()
    act("collector-away")
    time.sleep(1)  # it is judged and on the disk
    first.end(signal.SIGKILL)
    second = start()
    second.until(lambda: (second.state / "a" / "alive").exists() and any("certificate" in text for text in second.said[-3:]))
    second.until(lambda: time.time() - (second.state / "a" / "alive").stat().st_mtime < 1)
    act("without-collector")
    time.sleep(1)
    assert "without-collector" not in acts(collector)
    collector.start()
    second.until(lambda: "without-collector" in acts(collector))
    second.until(lambda: any(found.cause == "killed" for found in told(collector, Blind)))
    found = acts(collector)
    assert [found.count(name) for name in ("before", "without-collector")] == [1, 1]
    assert found.count("collector-away") == 1
    assert len({one.id for one in told(collector)}) == len(told(collector))


def test_a_rule_that_spans_nodes_is_joined_elsewhere_and_one_of_the_node_is_joined_here(collector, start, act):
    count = {"count": 2, "within": "1h"}
    here, elsewhere = act.rule(name="here", threshold=count | {"by": ["process.exe"]}), act.rule(name="elsewhere", threshold=count | {"by": ["identity.id"]})
    collector.feed = a_feed("1", a_told_policy("counted", here, elsewhere))
    running = start()
    in_force(collector, running, "1")
    for _ in range(2):
        act("counted")
    running.until(lambda: len(told(collector, Match)) == 2 and acts(collector, "here"))
    time.sleep(1)
    assert not acts(collector, "elsewhere")
    assert len({match.rule for match in told(collector, Match)}) == 1


def test_acts_during_a_change_of_policies_are_all_told(collector, start, act):
    """Also while the new policies need programs that the kernel has to take first, which takes seconds."""
    kept = a_told_policy("kept", act.rule())
    collector.feed = a_feed("1", kept)
    running = start()
    in_force(collector, running, "1")
    more = [
        a_kernel_rule(name="opens", on=["file.open"], when='file.path == "/etc/shadow"'),
        a_kernel_rule(name="connects", on=["network.connect"], when="connection.remote_port == 4444"),
        a_kernel_rule(name="traces", on=["process.ptrace"], when="true"),
    ]
    number = 0
    for revision, policies in (("2", (kept, a_told_policy("more", *more))), ("3", (kept,)), ("4", (a_told_policy("kept", act.rule(title="Another title")),))):
        collector.feed = a_feed(revision, *policies)
        end = time.monotonic() + PATIENCE
        while not collector.states or collector.states[-1].policies_revision != revision:
            number += 1
            act(f"act-{number}")
            time.sleep(0.005)
            assert time.monotonic() < end
    running.until(lambda: len(set(acts(collector))) == number)
    assert sorted(acts(collector)) == sorted(f"act-{one}" for one in range(1, number + 1))
    assert number > 20


def test_a_changed_policy_is_in_force_within_five_seconds(collector, start, act):
    collector.feed = a_feed("1", a_told_policy("mine", act.rule()))
    running = start()
    in_force(collector, running, "1")
    changed_at = time.monotonic()
    collector.feed = a_feed("2", a_told_policy("mine", act.rule(severity="P1"), a_kernel_rule(name="new", on=["file.open"], when='file.path == "/etc/shadow"')))
    in_force(collector, running, "2")
    assert time.monotonic() - changed_at < 5 * SLOWER


def test_what_the_feed_says_of_the_node_is_known_without_another_look_at_policies(collector, start, act):
    rules = [act.rule(name=pool, when=f'{act.when} && node.labels["pool"] == "{pool}"') for pool in ("red", "blue")]
    collector.feed = a_feed("1", a_told_policy("mine", *rules), pods={"version": 1, "node": {"labels": {"pool": "red"}}})
    running = start()
    in_force(collector, running, "1")
    act("first")
    running.until(lambda: acts(collector, "red") == ["first"])
    collector.feed = msgspec.structs.replace(collector.feed, revision="2", pods={"version": 1, "node": {"labels": {"pool": "blue"}}})
    running.until(lambda: any(path == "/v1/feed?since=2" for _, path, _ in collector.requests))
    time.sleep(0.5)
    act("second")
    running.until(lambda: acts(collector, "blue") == ["second"])
    assert acts(collector, "red") == ["first"]
    assert sum("in force" in text for text in running.said) == 1


def test_a_flood_beyond_the_rate_of_the_limits_is_lost_and_said(collector, start, tmp_path):
    rule = a_kernel_rule(
        name="opens", on=["file.open"], when=f'file.path.startsWith("{tmp_path}/flood")', threshold={"count": 100_000, "within": "1h", "by": ["process.exe"]}
    )
    collector.feed = a_feed("1", a_told_policy("files", rule), limits={"recordsPerSecond": 10, "burst": 10})
    running = start()
    in_force(collector, running, "1")
    flood = tmp_path / "flood"
    flood.touch()
    for _ in range(2000):
        os.close(os.open(flood, os.O_RDONLY))
    running.until(lambda: collector.states[-1].lost.get("file.open", 0) > 1000)
    running.until(lambda: any(found.records.get("file.open") for found in told(collector, Blind)))


def test_an_upgrade_leaves_no_moment_unwatched_and_nothing_undelivered(collector, start, act):
    """The new sensor starts beside the old one, which ends when the new one watches."""
    collector.feed = a_feed("1", a_told_policy("mine", act.rule()))
    old = start()
    in_force(collector, old, "1")
    act("old-alone")
    old.until(lambda: "old-alone" in acts(collector))
    collector.stop()
    act("left-undelivered")
    new = start()
    new.until(lambda: sum((new.state / slot / "alive").exists() for slot in "ab") == 2)
    number = 0
    for moment in range(40):
        if moment == 20:
            old.end()
        number += 1
        act(f"act-{number}")
        time.sleep(0.02)
    collector.start()
    new.until(lambda: {"left-undelivered", *(f"act-{one}" for one in range(1, number + 1))} <= set(acts(collector)))
    assert not [found for found in told(collector, Blind) if found.cause in ("killed", "stopped")]


def test_a_sensor_goes_on_with_the_place_that_was_used_last(collector, start, act):
    collector.feed = a_feed("1", a_told_policy("mine", act.rule()))
    for expected in (set(), {"stopped"}):
        running = start()
        running.until(lambda: collector.states and collector.states[-1].policies_revision == "1")
        running.until(lambda: {found.cause for found in told(collector, Blind)} == expected)  # noqa: B023 (called before the next turn)
        running.end()
        collector.states.clear()
    assert (running.state / "a").exists()
    assert not (running.state / "b").exists()


def test_a_third_sensor_is_refused(start):
    running = [start(), start()]
    running[0].until(lambda: sum((running[0].state / slot / "alive").exists() for slot in "ab") == 2)
    third = start()
    assert third.process.wait(30) == 2
    assert "in use by another watchkeeper" in third.log_text


def test_nothing_listens(collector, start):
    running = start()
    running.until(lambda: collector.states)
    sockets = set()
    for number in os.listdir(f"/proc/{running.process.pid}/fd"):
        place = os.readlink(f"/proc/{running.process.pid}/fd/{number}")
        sockets |= {place.removeprefix("socket:[").rstrip("]")} if place.startswith("socket:") else set()
    assert sockets
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{running.process.pid}/net/{name}").read_text().splitlines()]
    assert not sockets.intersection(words[9] for words in lines if words[3] == "0A")


def test_the_operators_own_collector_takes_what_a_sensor_finds(tmp_path, act):
    """The whole way: token, certificate, policies of a RuntimePolicy object, an exec, a detection and a match on the queue, the state."""
    folder = tmp_path / "collector"
    folder.mkdir()
    counted = act.rule(name="counted", threshold={"count": 2, "within": "1h", "by": ["identity.id"]})
    with collector_thread(folder, [a_written(name="mine", rules=[act.rule(), counted])]) as collector:
        running = Running(collector, tmp_path / "state")
        try:
            running.until(lambda: any("policies in force: 1, 2 rules" in text for text in running.said))
            act("first")
            running.until(lambda: collector.messages("detection") and collector.messages("match") and collector.messages("node-state"))
        finally:
            running.end()
        (found,) = [decode_detection(message.payload) for message in collector.messages("detection")]
        assert found.message.endswith("first")
        assert found.act.node == "node-a"
        assert not collector.messages("discarded")


def test_what_an_exception_held_back_is_told_when_it_is_first_used(collector, start, act):
    spec = {"policy": "mine", "when": '"held" in process.args', "reason": "the backup", "owner": "storage"}
    collector.feed = a_feed("1", a_told_policy("mine", act.rule()), exceptions=(an_object("backup", spec),))
    running = start()
    in_force(collector, running, "1")
    act("held")
    act("told")
    running.until(lambda: collector.states[-1].held_back == {"mine/shell backup": 1})
    running.until(lambda: acts(collector) == ["told"])


def test_what_exceptions_held_back_is_counted_over_changes_of_policies(judging, program):
    rule = a_rule("ran", f'process.exe == "{program}"')
    exception = (
        'apiVersion: watchkeeper.dev/v1alpha1\nkind: PolicyException\nmetadata: {name: backup}\nspec: {policy: policy-0, when: "true", reason: r, owner: o}\n'
    )
    running = judging(rule)
    for count in (1, 2):
        running.agent.reload(a_program(a_policy(rule, name="policy-0"), exception))
        subprocess.run([program, "0"], check=True)
        end = time.monotonic() + PATIENCE
        while running.agent.held_back != {"policy-0/ran backup": count}:
            running.round()
            assert time.monotonic() < end
    assert not running.seen
