"""How often a stranger may make us ask the API server: per pod that a token names, per address, and in all. Bounded in memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT = 10_000
BURST = 5
SECONDS = 10.0  # until one more may come
WHOLE_PER_SECOND = 50.0


class Buckets:
    """Token buckets by key; of keys unheard for longest nothing is remembered."""

    def __init__(self, burst: float, per_second: float, kept: int = KEPT) -> None:
        self._burst = burst
        self._per_second = per_second
        self._kept = kept
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now: float) -> bool:
        level, at = self._levels.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_second)
        self._levels[key] = (level - 1 if level >= 1 else level, now)
        if len(self._levels) > self._kept:
            self._levels.popitem(last=False)
        return level >= 1


class Rates:
    """`clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pods = Buckets(BURST, 1 / SECONDS)
        self._addresses = Buckets(BURST * 4, BURST / SECONDS)
        self._whole = Buckets(WHOLE_PER_SECOND * 4, WHOLE_PER_SECOND, 1)

    def take(self, pod_uid: str, address: str) -> bool:
        now = self._clock()
        return self._addresses.take(address, now) and self._pods.take(pod_uid, now) and self._whole.take("", now)
