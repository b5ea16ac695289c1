"""The agent's looks around, now and then: what was lost, whether the sensor is still whole, whether clock or scheduler were tampered with, and which
BPF programs appeared that nobody was seen to load.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from watchkeeper_detection.logs.provider import time_text
from watchkeeper_detection.wire import Blind
from watchkeeper_sensor.decoding.sensor import SensorEvent, lost
from watchkeeper_sensor.inventory import DiscoveredEvent, Inventory
from watchkeeper_sensor.tampering import Belongings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_detection.event import Event
    from watchkeeper_sensor.kernel.programs import KernelSensor
    from watchkeeper_sensor.surroundings import Surroundings

LOOK_SECONDS = 0.5
WHOLE_SECONDS = 5.0  # between two looks at programs, links and maps
FROZEN_SECONDS = 3.0  # without a look: somebody stopped the agent, or starved it
CLOCK_STEP_NS = 2_000_000_000


class Lookout:
    """Gives events of its own when it is time to look."""

    def __init__(self, kernel: KernelSensor, around: Surroundings, lost_by_kind: Counter[str], *, shares_kernel: bool = False) -> None:
        """`lost_by_kind` is counted up; what a program would have told, by the program's name.

        `shares_kernel`: with other nodes, so that programs which nobody here was seen to load may be theirs.
        """
        self._kernel = kernel
        self._around = around
        self._lost_by_kind = lost_by_kind
        self._lost_before: dict[tuple[str, str, int], int] = {}
        self._skipped_before: dict[str, int] = {}
        self._looked_at = time.monotonic()
        self._lost_since = time.time_ns()
        self._boot_time_ns = around.boot_time_ns
        self._whole_at = time.monotonic()
        self._whole_since = time.time_ns()  # when all hooks were seen in force last
        self._number = 0
        self._blind: list[Blind] = []
        self._shares_kernel = shares_kernel
        self._belongings = Belongings(kernel)
        self._inventory = Inventory()
        self.claim()
        self._inventory.look(self._belongings.program_ids)  # what was there before us

    def claim(self) -> None:
        """The hooks were changed by ourselves, which takes its time."""
        self._looked_at = time.monotonic()
        self._belongings.claim()

    def event(self, kind: str, **fields: object) -> SensorEvent:
        self._number += 1
        if kind == "sensor.started":
            fields["version"] = own_version()
        return SensorEvent(kind, self._number, time.time_ns(), self._around, **fields)

    def blind(self) -> list[Blind]:
        """Intervals since the last call in which something was not seen."""
        found, self._blind = self._blind, []
        return found

    def was_away(self, since: int, cause: str) -> tuple[SensorEvent, SensorEvent]:
        """Nobody watched from a moment (nanoseconds since the epoch) until now."""
        until = time.time_ns()
        self._blind.append(Blind(cause=cause, since=since, until=until))
        fields = {"since": time_text(since), "until": time_text(until), "cause": cause}
        return self.event("sensor.stopped", **fields), self.event("sensor.started", **fields)

    def saw_program(self, program_id: int) -> None:
        """A `bpf.load` event told of this program."""
        self._inventory.saw(program_id)

    def look(self) -> Iterator[Event]:
        """What is to be told, when it is time."""
        now = time.monotonic()
        silent = now - self._looked_at
        if silent < LOOK_SECONDS:
            return
        self._looked_at = now
        yield from self._time(silent)
        yield from self._losses()
        if now - self._whole_at >= WHOLE_SECONDS:
            self._whole_at = now
            yield from self._whole()
            self._whole_since = time.time_ns()

    def _time(self, silent: float) -> Iterator[Event]:
        self._around.clock.tick()
        moved, now = self._around.boot_time_ns - self._boot_time_ns, time.time_ns()
        self._boot_time_ns = self._around.boot_time_ns
        if silent > FROZEN_SECONDS:
            since = now - int(silent * 1e9)
            self._blind.append(Blind(cause="frozen", since=since, until=now))
            yield self.event("sensor.tampered", act="freeze", since=time_text(since), until=time_text(now))
        if abs(moved) > CLOCK_STEP_NS:
            yield self.event("sensor.tampered", act="clock_step")

    def _losses(self) -> Iterator[Event]:
        since, self._lost_since = self._lost_since, time.time_ns()
        causes: dict[str, Counter[str]] = {}
        for key, count in self._kernel.losses().items():
            kind, cause, cgroup = key
            more = count - self._lost_before.get(key, 0)
            self._lost_before[key] = count
            if more > 0:
                self._lost_by_kind[kind] += more
                causes.setdefault(cause, Counter())[kind] += more
                self._number += 1
                yield lost(self._number, self._around, kind, cause, cgroup, more, since, self._lost_since)
        yield from self._skipped(since)
        self._blind += [Blind(cause=cause, since=since, until=self._lost_since, records=dict(records)) for cause, records in causes.items()]

    def _skipped(self, since: int) -> Iterator[Event]:
        """Programs that the kernel did not run; which kinds they would have told, and whether any, is not known."""
        skipped = self._kernel.skipped()
        more = {name: count - self._skipped_before.get(name, 0) for name, count in skipped.items() if count > self._skipped_before.get(name, 0)}
        self._skipped_before = skipped
        fields = {"cause": "preempted", "since": time_text(since), "until": time_text(self._lost_since)}
        for name, count in more.items():
            self._lost_by_kind[name] += count
            yield self.event("sensor.lost", hook=name, count=count, **fields)
        if more:
            self._blind.append(Blind(cause="preempted", since=since, until=self._lost_since))

    def _attach_again(self, names: list[str]) -> None:
        """What somebody detached was blind since the last look at most, and is put back; where the kernel refuses, it stays a blind spot."""
        back = [name for name in names if self._kernel.attach_again(name)]
        if back:
            self._belongings.claim()
        self._blind.append(Blind(cause="detached", since=self._whole_since, until=time.time_ns()))

    def _whole(self) -> Iterator[Event]:
        self._around.look_at_addresses()
        missing = self._belongings.missing()
        for found in missing:
            yield self.event("sensor.tampered", act=found.act, hook=found.hook)
        if detached := [found.hook for found in missing if found.act == "detach"]:
            self._attach_again(detached)
        for program in () if self._shares_kernel else self._inventory.look(self._belongings.program_ids):
            self._number += 1
            yield DiscoveredEvent(self._number, time.time_ns(), self._around, program)


def own_version() -> str | None:
    """Version of this sensor; None where it runs without having been installed."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 (30 ms, once)

    try:
        return version("watchkeeper")
    except PackageNotFoundError:
        return None
