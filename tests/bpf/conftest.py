"""Tests that perform an act on this kernel and read what the sensor's programs tell of it. They need root and BTF."""

import os
import shutil
import struct
import time
from pathlib import Path

import pytest
from tests.bpf.agents import Judging
from tests.bpf.patience import SLOWER

from watchkeeper_sensor.decoding import PROGRAMS
from watchkeeper_sensor.events import EventStream
from watchkeeper_sensor.kernel.filters import Filters
from watchkeeper_sensor.kernel.libbpf import BpfUnavailableError, describe, possible_processors
from watchkeeper_sensor.kernel.programs import KernelSensor, require_machine
from watchkeeper_sensor.surroundings import Surroundings

OBJECT = Path(__file__).parents[2] / "build" / "bpf" / "sensor.bpf.o"
ALL_KINDS = frozenset(kind for program in PROGRAMS for kind in program.kinds)
PATIENCE_SECONDS = 5.0 * SLOWER
MANY = 60  # tests of a session: then all programs are loaded at once, which is quicker than kind by kind
HASHES = (1, 9)  # BPF_MAP_TYPE_HASH, _LRU_HASH: where programs keep what they saw
MAP_WORDS = 80  # bytes of struct bpf_map_info, which begins with the type


def pytest_collection_modifyitems(items):
    try:
        require_machine(OBJECT)
    except BpfUnavailableError as reason:
        for item in items:
            if "tests/bpf" in str(item.path):
                item.add_marker(pytest.mark.skip(reason=str(reason)))


class Sensor(KernelSensor):
    """Loaded once for all tests of a process: the kernel takes a second for the programs of one kind, and five to fifty for all.

    `restart` makes it what a sensor is that was just started: with filters of its own, and programs that saw nothing yet.
    """

    def restart(self, filters):
        self.hook(())
        for ring in self.rings.rings:
            while ring.take(10_000):
                pass
        for name, fd in self.object.map_fds().items():
            if fd >= 0 and struct.unpack_from("<I", describe(fd, b"", MAP_WORDS))[0] in HASHES:
                learned = self.object.map(name)
                for key in list(learned.keys()):
                    learned.remove(key)
        sent = self.object.map("sent")
        for number in range(self.object.entries("sent")):
            sent.put(struct.pack("<I", number), bytes(8 * possible_processors()))
        self.set_filters(filters)
        self.skipped_before = self.skipped()

    def skipped_since(self, *programs):
        """Runs of programs that the kernel left out since the restart: none before 7.x, where programs are not preempted."""
        now = self.skipped()
        return sum(now.get(name, 0) - self.skipped_before.get(name, 0) for name in programs)

    @property
    def reasons(self):
        """Blind spots of the kinds that are wanted."""
        return [one for one in self.blind_spots if self.kinds.intersection(one.kinds)]


class Watching:
    """The sensor, told to tell everything of some kinds; `events` waits for what an act gives."""

    def __init__(self, sensor, kinds, filters=None):
        self.sensor = sensor
        self.sensor.watching = self
        self.sensor.restart(filters or Filters(kinds=set(kinds)))
        self.stream = EventStream(Surroundings())
        self.seen = []

    def drain(self):
        assert self.sensor.watching is self, "the sensor was told to watch something else since"
        self.seen += self.stream.take(self.sensor.rings.rings)

    def events(self, kind, *, count=1, process=None, where=None, patience=PATIENCE_SECONDS, by=()):
        """Events of a kind (of a process, that `where` holds for), waited for until there are `count`; fails when they don't come.

        In a storm the kernel may skip the programs that tell them, which `by` names: of that many events fewer may come.
        """
        end = time.monotonic() + patience
        while True:
            self.drain()
            found = [event for event in self.seen if event.kind == kind and (process is None or event.header[7] == process) and (where is None or where(event))]
            if len(found) >= count - (self.sensor.skipped_since(*by) if by else 0):
                return found
            left = end - time.monotonic()
            if left <= 0 and not (any(ring.waiting_bytes for ring in self.sensor.rings.rings) and left > -10 * patience):
                kinds = sorted({event.kind for event in self.seen})
                lost = {**self.sensor.losses(), **self.sensor.skipped()}
                pytest.fail(f"{len(found)} of {count} {kind} came in {patience} s; seen: {kinds}; lost: {lost}; blind spots: {self.sensor.reasons}")
            self.sensor.rings.wait(max(0.0, min(left, 0.2)))

    def nothing(self, kind, *, process=None, where=None, wait=0.3):
        """Assert that no such event comes."""
        end = time.monotonic() + wait
        while time.monotonic() < end:
            self.sensor.rings.wait(0.05)
            self.drain()
        found = [event for event in self.seen if event.kind == kind and (process is None or event.header[7] == process) and (where is None or where(event))]
        assert not found


@pytest.fixture(scope="session")
def sensor(request):
    """One for all tests of this process. Tests that end it, or are about starting one, make their own."""
    many = sum("watch" in item.fixturenames for item in request.session.items) > MANY
    loaded = Sensor(OBJECT, ALL_KINDS if many else (), PROGRAMS)
    yield loaded
    loaded.close()


@pytest.fixture
def watch(sensor):
    """`watch("file.open", …)` makes the sensor tell these kinds; a second call in a test begins anew, and ends what the first one gave."""
    yield lambda *kinds, filters=None: Watching(sensor, kinds, filters)
    sensor.hook(())


@pytest.fixture
def in_child():
    """Runs a function in a child process and returns (process id, exit status): acts of the test process itself are not mixed up with it."""

    def run(act):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                act()
                status = 0
            finally:
                os._exit(status)
        return child, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    return run


@pytest.fixture
def judging():
    """`judging(rule, …)` starts an agent that judges by these rules."""
    made = []

    def make(*rules, **settings):
        made.append(Judging(OBJECT, rules, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def program(tmp_path):
    """A program that nobody else runs; it sleeps."""
    copy = tmp_path / "program"
    shutil.copy("/bin/sleep", copy)
    return copy
