"""The wall's clock as the kernel's records need it: they tell nanoseconds since boot, a clock that nobody can set.

Events carry the wall's time. Windows are kept by a time that no step moves: since boot, plus where the wall's clock stood when the agent began.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque

NOISE_NS = 1_000_000  # between two readings of the same distance between the clocks: no step
TRIES = 5
QUICK_NS = 50_000  # a reading that was not interrupted
STEPS = 64  # that are remembered


class WallClock:
    """`boot_time_ns`: when the host booted, by the wall's clock as it stands, nanoseconds since the epoch; it moves when that clock is set."""

    def __init__(self) -> None:
        since_boot, self.boot_time_ns = measured()
        self.steady_boot_time_ns = self.boot_time_ns
        self._steps: deque[tuple[int, int]] = deque([(since_boot, self.boot_time_ns)], STEPS)  # since when, as far as we saw

    @property
    def drift_ns(self) -> int:
        """How far the wall's clock was moved since the agent began."""
        return self.boot_time_ns - self.steady_boot_time_ns

    def tick(self) -> None:
        """Follow a clock that was set."""
        since_boot, boot_time_ns = measured()
        if abs(boot_time_ns - self.boot_time_ns) >= NOISE_NS:
            self.boot_time_ns = boot_time_ns
            self._steps.append((since_boot, boot_time_ns))

    def was_set(self, since_boot: int, moment: int) -> None:
        """Somebody says that the clock was set to `moment` (nanoseconds since the epoch) then: what the next step is measured against, and nothing else."""
        self._steps.append((since_boot, moment - since_boot))

    def before(self, since_boot: int) -> int:
        """When the host booted, by the wall's clock as it was seen last before a moment (nanoseconds since boot)."""
        place = bisect_left(self._steps, since_boot, key=lambda step: step[0])
        return self._steps[max(place - 1, 0)][1]


def measured() -> tuple[int, int]:
    """(nanoseconds since boot, when that was by the wall's clock), read without an interruption between the two where that is to be had."""
    best, found = 1 << 62, (0, 0)
    for _ in range(TRIES):
        before, wall, after = time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if after - before < best:
            best, middle = after - before, (before + after) // 2
            found = (middle, wall - middle)
        if best < QUICK_NS:
            break
    return found
