"""The spool: what was taken comes again until it is acknowledged, and what was lost is counted and stated."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from watchkeeper_sensor.spool import Spool, SpoolInUseError
from watchkeeper_sensor.spool.segments import SUFFIX, frame_of, frames_in
from watchkeeper_sensor.spool.state import PLACE_BYTES

SECOND = 1_000_000_000


class Clock:
    def __init__(self):
        self.now = 1_773_282_600 * SECOND

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def spool(tmp_path, clock):
    """`spool(…)` opens the folder's spool anew, as after a restart."""
    opened = []

    def start(**options):
        for one in opened:
            one.close()
        opened.clear()
        opened.append(Spool(tmp_path / "spool", clock=clock, **options))
        return opened[0]

    yield start
    for one in opened:
        one.close()


def payloads(spool):
    return [entry.payload for entry in spool.read(10_000)]


def losses(entries):
    """Causes and counts of the losses that the spool stated."""
    return [(found["cause"], found["counts"]) for found in (json.loads(entry.payload) for entry in entries if entry.kind == "loss")]


def test_what_was_taken_comes_again_until_it_is_acknowledged(spool):
    first = spool()
    numbers = [first.append("detection", f"{number}".encode()) for number in range(5)]
    assert numbers == [1, 2, 3, 4, 5]
    assert payloads(first) == payloads(first) == [b"0", b"1", b"2", b"3", b"4"]
    first.acknowledge(3)
    assert payloads(first) == [b"3", b"4"]
    again = spool()
    assert payloads(again) == [b"3", b"4"]
    assert again.append("match", b"5") == 6
    again.acknowledge(6)
    assert (payloads(again), len(again)) == ([], 0)
    assert spool().append("match", b"6") == 7  # numbers never come twice, though no file is left


def test_entries_are_read_in_portions(spool):
    one = spool()
    for number in range(100):
        one.append("detection", b"%d" % number)
    after, found = None, []
    while portion := one.read(7, after=after):
        assert len(portion) <= 7
        found += portion
        after = portion[-1].number
    assert [entry.payload for entry in found] == [b"%d" % number for number in range(100)]
    assert [entry.payload for entry in one.read(2)] == [b"0", b"1"]  # from the start again


def test_kinds_are_kept(spool):
    one = spool()
    for kind in ("detection", "match", "loss"):
        one.append(kind, b"{}")
    assert [entry.kind for entry in one.read()] == ["detection", "match", "loss"]


def test_acknowledging_what_there_is_not_is_refused(spool):
    one = spool()
    one.append("detection", b"x")
    with pytest.raises(ValueError, match="the newest is 1"):
        one.acknowledge(2)
    one.acknowledge(1)
    one.acknowledge(0)  # an old confirmation that came late
    assert one.acknowledged == 1


def test_a_folder_has_one_owner_and_is_nobody_elses_to_read(spool, tmp_path):
    one = spool()
    one.append("detection", b"x")
    with pytest.raises(SpoolInUseError):
        Spool(tmp_path / "spool")
    assert (tmp_path / "spool").stat().st_mode & 0o77 == 0
    assert all(path.stat().st_mode & 0o77 == 0 for path in (tmp_path / "spool").iterdir())


def test_a_full_spool_drops_the_oldest_and_states_it(spool):
    limit = 64_000
    one = spool(limit_bytes=limit)
    for number in range(2000):
        one.append("detection" if number % 2 else "match", b"%06d" % number + b"x" * 94)
        assert one.size_bytes <= limit
    entries = one.read(10_000)
    kept = [int(entry.payload[:6]) for entry in entries if entry.kind != "loss"]
    assert kept == list(range(kept[0], 2000))  # the newest, without a hole
    stated = Counter()
    for cause, counts in losses(entries):
        assert cause == "spool_full"
        stated.update(counts)
    assert sum(stated.values()) == kept[0]
    assert stated == {"detection": kept[0] // 2, "match": kept[0] - kept[0] // 2}
    assert sum(path.stat().st_size for path in one.folder.iterdir()) <= limit + 2 * PLACE_BYTES


def test_what_was_dropped_is_not_stated_again_after_a_restart(spool):
    one = spool(limit_bytes=64_000)
    for number in range(2000):
        one.append("detection", b"%06d" % number + b"x" * 94)
    before = losses(one.read(10_000))
    again = spool(limit_bytes=64_000)
    assert losses(again.read(10_000)) == before
    assert again.lost == {}


def test_what_was_acknowledged_is_not_counted_as_lost(spool):
    one = spool(limit_bytes=64_000)
    for number in range(5000):
        one.append("detection", b"%06d" % number + b"x" * 94)
        one.acknowledge(one.last)
    assert one.lost == {}
    assert one.size_bytes <= 64_000 / 16


def test_a_payload_that_is_too_long_is_refused_counted_and_stated(spool):
    one = spool()
    assert one.append("detection", b"x" * ((1 << 20) + 1)) is None
    assert one.append("detection", b"y") is not None
    assert losses(one.read()) == [("too_long", {"detection": 1})]
    assert one.lost == {("too_long", "detection"): 1}


def test_it_syncs_when_it_is_time(spool, clock, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    one = spool(sync_seconds=1.0)
    one.append("detection", b"x")
    one.tick()
    assert synced == []
    clock.now += 2 * SECOND
    one.tick()
    assert len(synced) == 2  # entries, state
    clock.now += 2 * SECOND
    one.tick()
    assert len(synced) == 2  # nothing new
    each = spool(sync_seconds=0)
    before = len(synced)
    each.append("detection", b"x")
    assert len(synced) > before


def filled(folder, entries):
    """A spool's only segment and what it should give back."""
    with Spool(folder) as one:
        for number in range(entries):
            one.append("detection", b"payload %d" % number)
    (segment,) = folder.glob(f"*{SUFFIX}")
    return segment


def test_a_tail_that_was_cut_at_any_byte_loses_nothing_before_it(tmp_path):
    segment = filled(tmp_path / "spool", 6)
    content = segment.read_bytes()
    ends = [0]
    for number in range(6):
        ends.append(ends[-1] + len(frame_of(number + 1, 1, b"payload %d" % number)))
    assert ends[-1] == len(content)
    for length in range(len(content) + 1):
        folder = tmp_path / f"cut-{length}"
        shutil.copytree(tmp_path / "spool", folder)
        (folder / segment.name).write_bytes(content[:length])
        whole = sum(end <= length for end in ends[1:])
        with Spool(folder) as one:
            found = one.read()
            assert [entry.payload for entry in found if entry.kind == "detection"] == [b"payload %d" % number for number in range(whole)]
            assert losses(found) == ([("damaged", {"damaged": 6 - whole})] if whole < 6 else [])  # all six had been synced
            assert one.append("match", b"after") > 6
        with Spool(folder) as one:  # the damage is stated once
            assert losses(one.read()) == losses(found)
            assert [entry.payload for entry in one.read() if entry.kind == "match"] == [b"after"]
        shutil.rmtree(folder)


def test_a_frame_that_was_not_written_to_its_end_is_no_loss(tmp_path):
    segment = filled(tmp_path / "spool", 3)
    with segment.open("ab") as file:
        file.write(frame_of(4, 1, b"never returned")[:-3])
    with Spool(tmp_path / "spool") as one:
        assert [entry.number for entry in one.read()] == [1, 2, 3]
        assert one.lost == {}
        assert one.append("detection", b"next") == 4
        assert [entry.payload for entry in one.read()][-1] == b"next"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damage_anywhere_costs_what_it_hits_and_is_stated(tmp_path, data):
    folder = tmp_path / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    segment = filled(folder, 8)
    content = bytearray(segment.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    segment.write_bytes(content)
    good = [b"payload %d" % number for number in range(8)]
    with Spool(folder) as one:
        entries = one.read()
        found = [entry.payload for entry in entries if entry.kind == "detection"]
        assert set(found) < set(good)  # never a forged one
        assert found == sorted(found)
        assert sum(sum(counts.values()) for _, counts in losses(entries)) == 8 - len(found)
    with Spool(folder) as again:
        assert losses(again.read()) == losses(entries)


def test_damage_while_it_runs_is_found_when_read(tmp_path):
    with Spool(tmp_path / "spool") as one:
        for number in range(5):
            one.append("detection", b"payload %d" % number)
        (segment,) = one.folder.glob(f"*{SUFFIX}")
        content = bytearray(segment.read_bytes())
        content[-1] ^= 1
        segment.write_bytes(content)
        assert len(one.read()) == 4
        assert losses(one.read()) == [("damaged", {"damaged": 1})]
        assert losses(one.read()) == [("damaged", {"damaged": 1})]


def test_segments_that_someone_removed_are_stated(tmp_path):
    with Spool(tmp_path / "spool", limit_bytes=16_000) as one:
        for number in range(100):
            one.append("detection", b"%06d" % number + b"x" * 94)
    paths = sorted((tmp_path / "spool").glob(f"*{SUFFIX}"))
    gone = paths[2:4]
    frames = sum(len(frames_in(path.read_bytes(), int(path.name.removesuffix(SUFFIX)))) for path in gone)
    for path in gone:
        path.unlink()
    with Spool(tmp_path / "spool", limit_bytes=16_000) as one:
        assert losses(one.read(1000)) == [("damaged", {"damaged": frames})]


@given(st.binary(max_size=400), st.integers(0, 2**40))
def test_no_content_is_too_strange_for_a_segment(content, first):
    frames = frames_in(content, first)
    assert [frame.number for frame in frames] == list(range(first, first + len(frames)))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=2 * PLACE_BYTES))
def test_a_state_that_makes_no_sense_is_no_state(tmp_path, content):
    folder = tmp_path / "state"
    shutil.rmtree(folder, ignore_errors=True)
    filled(folder, 3)
    (folder / "state").write_bytes(content)
    with Spool(folder) as one:
        assert one.acknowledged == 0
        assert len(one.read()) == 3


def test_a_state_that_was_cut_short_falls_back_to_the_one_before(tmp_path):
    with Spool(tmp_path / "spool") as one:
        for _ in range(3):
            one.append("detection", b"x")
        one.acknowledge(1)
        one.acknowledge(2)
        state = one.folder / "state"
        generations = [int.from_bytes(state.read_bytes()[place : place + 8], "little") for place in (0, PLACE_BYTES)]
        newest = generations.index(max(generations)) * PLACE_BYTES
    content = bytearray(state.read_bytes())
    for one_byte in range(16, 30):
        torn = bytearray(content)
        torn[newest + one_byte] ^= 0xFF
        state.write_bytes(torn)
        with Spool(tmp_path / "spool") as one:
            assert one.acknowledged in (1, 2)
    assert content != torn


KILLED = """
import os, sys
from pathlib import Path
from watchkeeper_sensor.spool import Spool
spool = Spool(Path(sys.argv[1]), limit_bytes=1 << 20, sync_seconds=1e9)
number = 0
while True:
    taken = spool.append("detection", b"%08d" % number + b"x" * (number % 300))
    os.write(1, b"%08d\\n" % taken)
    number += 1
    if number % 50 == 0:
        spool.acknowledge(taken - 25)
        os.write(1, b"a%07d\\n" % (taken - 25))
"""


@pytest.mark.parametrize("lines", [1, 7, 120, 3000])
def test_a_killed_agent_loses_nothing_that_was_taken(tmp_path, lines):
    child = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "spool"], stdout=subprocess.PIPE)
    told = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    told += child.stdout.read().splitlines(keepends=True)
    child.wait()
    child.stdout.close()
    taken = [int(line) for line in told if line.endswith(b"\n") and not line.startswith(b"a")]
    acknowledged = max((int(line[1:]) for line in told if line.startswith(b"a") and line.endswith(b"\n")), default=0)
    with Spool(tmp_path / "spool", limit_bytes=1 << 20) as one:
        assert one.acknowledged >= acknowledged
        found = {entry.number: entry.payload for entry in one.read(100_000)}
        assert set(taken) - set(range(one.acknowledged + 1)) <= set(found)
        assert all(int(payload[:8]) == number - 1 for number, payload in found.items())
        assert one.lost == {}


KILLED_WHEN_FULL = KILLED.replace("1 << 20", "64_000").replace("number % 50 == 0", "False")


@pytest.mark.parametrize("lines", [500, 1003, 2500])
def test_an_agent_that_is_killed_while_the_spool_is_full_loses_nothing_unstated(tmp_path, lines):
    child = subprocess.Popen([sys.executable, "-c", KILLED_WHEN_FULL, tmp_path / "spool"], stdout=subprocess.PIPE)
    told = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    told += [line for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
    child.wait()
    child.stdout.close()
    with Spool(tmp_path / "spool", limit_bytes=64_000) as one:
        entries = one.read(100_000)
    found = [entry.number for entry in entries if entry.kind == "detection"]
    stated = [json.loads(entry.payload) for entry in entries if entry.kind == "loss"]
    missing = {int(line) for line in told} - set(found)
    assert missing
    assert max(missing) <= max(loss["last"] for loss in stated)
    assert sum(sum(loss["counts"].values()) for loss in stated) >= len(missing)


FULL_DISK = """
import json, sys
from pathlib import Path
from watchkeeper_sensor.spool import Spool
folder = Path(sys.argv[1])
filler = folder / "filler"
spool = Spool(folder / "spool", limit_bytes=64 << 20)
assert spool.append("detection", b"before") == 1
spool.sync()
with filler.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(b"x" * 4096)
    except OSError:
        pass
taken = [spool.append("detection", b"y" * 1000) for _ in range(50)]
refused = taken.count(None)
assert refused >= 40, taken
spool.acknowledge(1)
spool.close()
spool = Spool(folder / "spool", limit_bytes=64 << 20)  # a restart on the full disk
assert spool.acknowledged == 1, spool.acknowledged
more = [spool.append("match", b"z" * 1000) for _ in range(10)].count(None)
filler.unlink()
assert spool.append("detection", b"after") is not None
entries = spool.read()
counts = {}
for entry in entries:
    if entry.kind == "loss":
        loss = json.loads(entry.payload)
        assert loss["cause"] == "disk" and loss["since"] <= loss["until"], loss
        for kind, count in loss["counts"].items():
            counts[kind] = counts.get(kind, 0) + count
assert counts == {"detection": refused, "match": more}, (counts, refused, more)
assert entries[-1].payload == b"after"
assert sum(entry.payload == b"y" * 1000 for entry in entries) == 50 - refused
print("done")
"""


def in_mount_namespace(folder, size, script):
    """Run a script with a tiny file system mounted on `folder`; skipped where mount namespaces can't be had."""
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    if subprocess.run([*unshare, "mount", "-t", "tmpfs", "none", folder], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    command = f'mount -t tmpfs -o size={size} none "$1" && exec "$2" -c "$3" "$1"'
    return subprocess.run([*unshare, "sh", "-c", command, "sh", folder, sys.executable, script], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("size", ["64k", "128k", "1m"])
def test_a_full_disk_refuses_counts_and_states_and_comes_back(tmp_path, size):
    folder = tmp_path / "mount"
    folder.mkdir()
    done = in_mount_namespace(folder, size, FULL_DISK)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


NO_ROOM = """
import sys
from pathlib import Path
from watchkeeper_sensor.spool import Spool
folder = Path(sys.argv[1])
(folder / "spool").mkdir()
with (folder / "filler").open("wb", buffering=0) as file:
    try:
        while True:
            file.write(b"x" * 4096)
    except OSError:
        pass
spool = Spool(folder / "spool")
assert [spool.append("detection", b"x") for _ in range(5)] == [None] * 5
(folder / "filler").unlink()
spool.tick()
assert spool.append("detection", b"x") is not None
assert [entry.kind for entry in spool.read()] == ["loss", "detection"]
spool.acknowledge(spool.last)
spool.close()
assert Spool(folder / "spool").acknowledged == 2
print("done")
"""


def test_a_disk_that_is_full_from_the_start_is_counted_too(tmp_path):
    folder = tmp_path / "mount"
    folder.mkdir()
    done = in_mount_namespace(folder, "32k", NO_ROOM)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_a_disk_that_fails_to_sync_is_counted(spool, monkeypatch):
    def refuse(_number):
        raise OSError(errno.EIO, "input/output error")

    one = spool(sync_seconds=0)
    monkeypatch.setattr(os, "fdatasync", refuse)
    assert one.append("detection", b"x") == 1
    assert one.sync_failed == 1


class AgainstAModel(RuleBasedStateMachine):
    """Any order of acts: the spool gives what a list would, or states what is missing."""

    @initialize()
    def begin(self):
        self.folder = Path(f"/tmp/watchkeeper-spool-{os.getpid()}")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.spool = Spool(self.folder, limit_bytes=8000)
        self.taken = {}

    @rule(size=st.integers(1, 450))
    def append(self, size):
        payload = b"x" * size
        number = self.spool.append("detection", payload)
        assert number not in self.taken
        self.taken[number] = payload

    @rule(back=st.integers(0, 5))
    def acknowledge(self, back):
        self.spool.acknowledge(max(self.spool.last - back, 0))

    @rule()
    def restart(self):
        acknowledged = self.spool.acknowledged
        self.spool.close()
        self.spool = Spool(self.folder, limit_bytes=8000)
        assert self.spool.acknowledged == acknowledged
        assert self.spool.lost == {}

    @rule()
    def tick(self):
        self.spool.tick()

    @invariant()
    def holds(self):
        entries = self.spool.read(1000)
        found = {entry.number: entry.payload for entry in entries if entry.kind == "detection"}
        expected = {number: payload for number, payload in self.taken.items() if number > self.spool.acknowledged}
        assert all(expected[number] == payload for number, payload in found.items())
        assert self.spool.size_bytes <= 8000
        missing = sorted(set(expected) - set(found))
        stated = [json.loads(entry.payload) for entry in entries if entry.kind == "loss"]
        if missing:
            assert missing[-1] <= max(loss["last"] for loss in stated)
            assert sum(sum(loss["counts"].values()) for loss in stated) >= len(missing)

    def teardown(self):
        if hasattr(self, "spool"):
            self.spool.close()
            shutil.rmtree(self.folder)


AgainstAModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAgainstAModel = AgainstAModel.TestCase
