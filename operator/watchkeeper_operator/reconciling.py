"""A loop over what needs looking at: keys are woken, looked at one by one, and again later where that failed. Level-based: nothing is queued but names."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from watchkeeper_operator.cluster_errors import ClusterError, Conflict, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from watchkeeper_operator.health import Health
    from watchkeeper_operator.metrics import Metrics

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 60.0
TURN_SECONDS = 15.0  # between two beats at least

log = logging.getLogger(__name__)


class Reconciler:
    """`per_second`: keys looked at; `resync`: seconds after which all known ones are looked at again, whatever was heard."""

    def __init__(self, name: str, health: Health, metrics: Metrics, *, per_second: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._health = health
        self._metrics = metrics
        self._between = 1.0 / per_second
        self._clock = clock
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._woken = asyncio.Event()

    def wake(self, *keys: str, after: float = 0.0) -> None:
        """Look at these, at once unless told otherwise; the earlier time counts."""
        at = self._clock() + after
        for key in keys:
            self._due[key] = min(at, self._due.get(key, at))
        self._woken.set()

    def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._due.pop(key, None)
            self._failures.pop(key, None)

    async def run(self, reconcile: Callable[[str], Awaitable[None]]) -> None:
        """Until cancelled."""
        try:
            while True:
                self._health.beat(self.name)
                key = self._next()
                if key is None:
                    await self._wait()
                    continue
                del self._due[key]
                await self._look_at(key, reconcile)
                await asyncio.sleep(self._between)
        finally:
            self._health.rest(self.name)

    async def _look_at(self, key: str, reconcile: Callable[[str], Awaitable[None]]) -> None:
        try:
            await reconcile(key)
        except ClusterError as trouble:
            self._metrics.reconciled.labels(self.name, type(trouble).__name__).inc()
            self.wake(key, after=self._delay(key, trouble))
            log.warning("%s %s: %s", self.name, key, trouble)
        else:
            self._metrics.reconciled.labels(self.name, "done").inc()
            self._failures.pop(key, None)

    def _delay(self, key: str, trouble: ClusterError) -> float:
        failures = self._failures[key] = min(self._failures.get(key, 0) + 1, 16)
        delay = min(FIRST_RETRY_SECONDS * 2.0 ** (failures - 1), LONGEST_RETRY_SECONDS)
        if isinstance(trouble, Conflict):  # somebody wrote in between: what is so now is looked at
            return min(delay, 2.0)
        return max(delay, trouble.delay) if isinstance(trouble, Unavailable) else delay

    def _next(self) -> str | None:
        now = self._clock()
        due = [(at, key) for key, at in self._due.items() if at <= now]
        return min(due)[1] if due else None

    async def _wait(self) -> None:
        self._woken.clear()
        now = self._clock()
        longest = min([at - now for at in self._due.values()], default=TURN_SECONDS)
        try:
            async with asyncio.timeout(max(0.0, min(longest, TURN_SECONDS))):
                await self._woken.wait()
        except TimeoutError:
            return
