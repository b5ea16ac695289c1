"""Tests that perform an act on this kernel and read what the sensor's programs tell of it. They need root and BTF."""

import os
import time
from pathlib import Path

import pytest

from watchkeeper_sensor.decoding import PROGRAMS
from watchkeeper_sensor.events import EventStream
from watchkeeper_sensor.kernel.filters import Filters
from watchkeeper_sensor.kernel.libbpf import BpfUnavailableError
from watchkeeper_sensor.kernel.programs import KernelSensor, require_machine
from watchkeeper_sensor.surroundings import Surroundings

OBJECT = Path(__file__).parents[2] / "build" / "bpf" / "sensor.bpf.o"
ALL_KINDS = frozenset(kind for program in PROGRAMS for kind in program.kinds)
PATIENCE_SECONDS = 5.0


def pytest_collection_modifyitems(items):
    try:
        require_machine(OBJECT)
    except BpfUnavailableError as reason:
        for item in items:
            if "tests/bpf" in str(item.path):
                item.add_marker(pytest.mark.skip(reason=str(reason)))


class Watching:
    """The sensor, told to tell everything of some kinds; `events` waits for what an act gives."""

    def __init__(self, kinds, filters=None):
        self.sensor = KernelSensor(OBJECT, kinds, PROGRAMS)
        self.sensor.set_filters(filters or Filters(kinds=set(kinds)))
        self.stream = EventStream(Surroundings())
        self.stream.tree.seed()
        self.seen = []

    def drain(self):
        self.seen += self.stream.take(self.sensor.rings.rings)

    def events(self, kind, *, count=1, process=None, where=None, patience=PATIENCE_SECONDS):
        """Events of a kind (of a process, that `where` holds for), waited for until there are `count`; fails when they don't come."""
        end = time.monotonic() + patience
        while True:
            self.drain()
            found = [event for event in self.seen if event.kind == kind and (process is None or event.header[7] == process) and (where is None or where(event))]
            if len(found) >= count:
                return found
            left = end - time.monotonic()
            if left <= 0:
                kinds = sorted({event.kind for event in self.seen})
                pytest.fail(f"{len(found)} of {count} {kind} came in {patience} s; seen: {kinds}; blind spots: {self.sensor.blind_spots}")
            self.sensor.rings.wait(min(left, 0.2))

    def nothing(self, kind, *, process=None, where=None, wait=0.3):
        """Assert that no such event comes."""
        end = time.monotonic() + wait
        while time.monotonic() < end:
            self.sensor.rings.wait(0.05)
            self.drain()
        found = [event for event in self.seen if event.kind == kind and (process is None or event.header[7] == process) and (where is None or where(event))]
        assert not found

    def close(self):
        self.sensor.close()


@pytest.fixture
def watch():
    """`watch("file.open", …)` starts the sensor for these kinds."""
    started = []

    def start(*kinds, filters=None):
        watching = Watching(kinds, filters)
        started.append(watching)
        return watching

    yield start
    for watching in started:
        watching.close()


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
