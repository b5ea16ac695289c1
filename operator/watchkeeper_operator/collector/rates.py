"""How often somebody may make us ask the API server about a token. What its claims say is not proven yet, so that strangers share a small allowance."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT = 10_000
POD_BURST, POD_SECONDS = 5, 10.0  # of one pod: at once, and seconds until one more
KNOWN_BURST, KNOWN_PER_SECOND = 200.0, 50.0  # of all pods that there are in our namespace: all nodes may start at once
STRANGERS_BURST, STRANGERS_PER_SECOND = 20.0, 2.0  # of all that we know nothing of: pods that the watch has not told of yet, and inventions


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
        self._pods = Buckets(POD_BURST, 1 / POD_SECONDS)
        self._known = Buckets(KNOWN_BURST, KNOWN_PER_SECOND, 1)
        self._strangers = Buckets(STRANGERS_BURST, STRANGERS_PER_SECOND, 1)

    def take(self, pod_uid: str, *, is_known: bool) -> bool:
        """`is_known`: whether a pod of our namespace has this uid, which strangers can't know."""
        now = self._clock()
        if not is_known:
            return self._strangers.take("", now)
        return self._pods.take(pod_uid, now) and self._known.take("", now)
