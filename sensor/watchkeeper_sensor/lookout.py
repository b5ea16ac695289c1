"""The agent's looks around, now and then: what was lost, whether the sensor is still whole, whether clock or scheduler were tampered with, and which
BPF programs appeared that nobody was seen to load.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from watchkeeper_detection.logs.provider import time_text
from watchkeeper_sensor.decoding.sensor import SensorEvent, lost
from watchkeeper_sensor.inventory import DiscoveredEvent, Inventory
from watchkeeper_sensor.tampering import Belongings

if TYPE_CHECKING:
    from collections import Counter
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

    def __init__(self, kernel: KernelSensor, around: Surroundings, lost_by_kind: Counter[str]) -> None:
        """`lost_by_kind` is counted up."""
        self._kernel = kernel
        self._around = around
        self._lost_by_kind = lost_by_kind
        self._lost_before: dict[tuple[str, str, int], int] = {}
        self._looked_at = time.monotonic()
        self._lost_since = time.time_ns()
        self._whole_at = time.monotonic()
        self._number = 0
        self._belongings = Belongings(kernel)
        self._inventory = Inventory()
        self.claim()
        self._inventory.look(self._belongings.program_ids)  # what was there before us

    def claim(self) -> None:
        """The hooks were changed by ourselves."""
        self._belongings.claim()

    def event(self, kind: str, **fields: object) -> SensorEvent:
        self._number += 1
        return SensorEvent(kind, self._number, time.time_ns(), self._around, **fields)

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

    def _time(self, silent: float) -> Iterator[Event]:
        moved, now = self._around.tick(), time.time_ns()
        if silent > FROZEN_SECONDS:
            yield self.event("sensor.tampered", act="freeze", since=time_text(now - int(silent * 1e9)), until=time_text(now))
        if abs(moved) > CLOCK_STEP_NS:
            yield self.event("sensor.tampered", act="clock_step")

    def _losses(self) -> Iterator[Event]:
        since, self._lost_since = self._lost_since, time.time_ns()
        for key, count in self._kernel.losses().items():
            kind, cause, cgroup = key
            more = count - self._lost_before.get(key, 0)
            self._lost_before[key] = count
            if more > 0:
                self._lost_by_kind[kind] += more
                self._number += 1
                yield lost(self._number, self._around, kind, cause, cgroup, more, since, self._lost_since)

    def _whole(self) -> Iterator[Event]:
        for found in self._belongings.missing():
            yield self.event("sensor.tampered", act=found.act, hook=found.hook)
        for program in self._inventory.look(self._belongings.program_ids):
            self._number += 1
            yield DiscoveredEvent(self._number, time.time_ns(), self._around, program)
