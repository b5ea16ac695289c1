"""What is said of the node, when, and what its probe says."""

import os
import time

import msgspec
import pytest

from watchkeeper_detection.node_wire import NodeState, NotInForce
from watchkeeper_sensor.cluster.memory import is_short, own_limit
from watchkeeper_sensor.cluster.probe import beat, main, trouble
from watchkeeper_sensor.cluster.stating import Reporter, is_changed

STATE = NodeState(sensor_version="1", kernel="6.18", started_at=1, policies_revision="a", lost={"file.open": 3}, delivered=5, memory_bytes=9)


@pytest.mark.parametrize(
    ("change", "is_news"),
    {
        "nothing": ({}, False),
        "another policy revision": ({"policies_revision": "b"}, True),
        "a policy that is not in force": ({"not_in_force": (NotInForce(policy="p", reason="r"),)}, True),
        "blind": ({"blind": ("the disk is full",)}, True),
        "a kind is lost for the first time": ({"lost": {"file.open": 3, "dns.answer": 1}}, True),
        "more of a kind that was lost before": ({"lost": {"file.open": 4}}, False),
        "something begins to wait": ({"waiting": 7}, True),
        "more is delivered": ({"delivered": 6}, False),
        "memory": ({"memory_bytes": 10}, False),
        "an exception is used for the first time": ({"held_back": {"p/r backup": 1}}, True),
    }.values(),
)
def test_a_state_is_told_at_once_when_it_is_news(change, is_news):
    assert is_changed(STATE, msgspec.structs.replace(STATE, **change)) is is_news


def test_the_first_state_is_news():
    assert is_changed(None, STATE)


@pytest.fixture
def reporter(channel, credentials):
    credentials.start()
    assert credentials.wait(10)
    made = Reporter(channel, credentials)
    yield made
    made.close()


def test_news_is_told_within_moments_and_the_rest_is_not(collector, reporter):
    reporter.tell(STATE)
    reporter.start()
    collector.waited(lambda: collector.states == [STATE])
    reporter.tell(msgspec.structs.replace(STATE, delivered=6))
    changed = msgspec.structs.replace(STATE, delivered=7, policies_revision="b")
    reporter.tell(changed)
    collector.waited(lambda: collector.states[-1] == changed, seconds=5)
    assert len(collector.states) == 2


def test_a_state_that_was_not_taken_is_told_again(collector, reporter):
    collector.answers["/v1/state"] = 503
    reporter.tell(STATE)
    reporter.start()
    collector.waited(lambda: "503" in reporter.trouble)
    del collector.answers["/v1/state"]
    collector.waited(lambda: collector.states == [STATE])


@pytest.fixture
def place(tmp_path):
    """`place("a")`: the slot with a heartbeat of ours in it."""

    def made(name):
        folder = tmp_path / name
        folder.mkdir()
        beat(folder)
        return folder / "alive"

    return made


def test_a_sensor_that_goes_round_is_well(tmp_path, place):
    place("b")
    assert trouble(tmp_path, time.time()) == ""
    assert main([str(tmp_path)]) == 0


def test_a_sensor_that_hangs_or_does_not_watch_yet_is_not_well(tmp_path, place):
    assert "not watch yet" in trouble(tmp_path, time.time())
    os.utime(place("a"), (900, 900))
    os.utime(place("b"), (1000, 1000))
    assert "31 s ago" in trouble(tmp_path, 1031)
    assert trouble(tmp_path, 1029) == ""
    assert main([str(tmp_path)]) == 1


def test_another_pods_sensor_does_not_make_this_one_ready(tmp_path, place):
    """Else the old sensor would be ended before the new one watches."""
    place("a").write_text("sensor-of-another-pod")
    assert "not watch yet" in trouble(tmp_path, time.time())


def test_a_beat_goes_on_from_another_pods(tmp_path, place):
    path = place("a")
    path.write_text("sensor-of-another-pod")
    os.utime(path, (900, 900))
    beat(path.parent)
    assert trouble(tmp_path, time.time()) == ""


@pytest.mark.parametrize(("text", "limit"), [("max\n", 0), ("268435456\n", 268435456), ("9223372036854771712\n", 0)])
def test_the_own_limit_is_the_cgroups(tmp_path, text, limit):
    (tmp_path / "memory.max").write_text(text)
    assert own_limit((str(tmp_path / "none"), str(tmp_path / "memory.max"))) == limit


def test_no_limit_is_to_be_seen(tmp_path):
    assert own_limit((str(tmp_path / "none"),)) == 0


def test_memory_is_short_near_its_limit():
    assert is_short(90, 100)
    assert not is_short(80, 100)
    assert not is_short(80, 0)
