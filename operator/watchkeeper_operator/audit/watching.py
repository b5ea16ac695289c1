"""The leader's watch over audit logs: canaries every ten minutes, the API server's own count of failures every minute, the status of each LogSource, and
commands in containers that the log knows nothing of.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from watchkeeper_operator.audit import canaries
from watchkeeper_operator.audit.bypass import Bypasses
from watchkeeper_operator.audit.coverage import coverage, probes
from watchkeeper_operator.audit.demands import demands
from watchkeeper_operator.audit.gaps import dropped
from watchkeeper_operator.audit.sources import CanaryRun
from watchkeeper_operator.cluster_errors import ClusterError
from watchkeeper_operator.kinds import LOG_SOURCES
from watchkeeper_operator.shapes import Object

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.program import Program
    from watchkeeper_operator.audit.sources import LogSources
    from watchkeeper_operator.bus.messages import Message
    from watchkeeper_operator.cluster import Cluster

CANARIES_SECONDS = 600.0
RETRY_SECONDS = 60.0
ARRIVAL_SECONDS = 45.0  # batches wait 30 s where the API server was not told otherwise
LOOK_SECONDS = 1.0
METRICS_SECONDS = 60.0
STATUS_SECONDS = 10.0
REWRITTEN_NS = 60 * 10**9  # counts alone are written so often
PLUGINS = {"AuditWebhook": "webhook", "AuditFile": "log"}
NONCE_FAULT = "no collector gave a nonce for canaries"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watching:
    """`ask_nonce`: a nonce of a collector's, None where none can be asked now; `hand_in`: detections of ours, durably (`Intake.hand_in`). `clock`: ns since the epoch. `statuses`: of LogSources, by name."""

    cluster: Cluster
    sources: LogSources
    program: Callable[[], Program]
    ask_nonce: Callable[[], Awaitable[str | None]]
    hand_in: Callable[[Sequence[Detection]], Awaitable[None]]
    clock: Callable[[], int]
    bypasses: Bypasses = field(default_factory=Bypasses)
    statuses: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def take(self, messages: Sequence[Message]) -> None:
        """What the leader fetches, before it is acknowledged (`others` of `bus.fetching.fetch`); it may come twice."""
        await self.sources.take(messages)
        self.bypasses.take(messages)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._test_coverage())
            group.create_task(self._watch_metrics())
            group.create_task(self._write_statuses())
            group.create_task(self._decide_bypasses())

    # coverage

    async def _test_coverage(self) -> None:
        while True:
            self.sources.tested = await self.test()
            await asyncio.sleep(CANARIES_SECONDS if self.sources.tested.coverage else RETRY_SECONDS)

    async def test(self) -> CanaryRun:
        """One run of canaries, waited for."""
        nonce = await self.ask_nonce()
        if nonce is None:
            return CanaryRun(self.clock(), None, NONCE_FAULT)
        asked = demands(self.program())
        try:
            sent = await canaries.send(self.cluster, nonce, probes(asked))
        except (canaries.NotRefusedError, ClusterError) as fault:
            log.warning("canaries: %s", fault)
            return CanaryRun(self.clock(), None, str(fault))
        for _ in range(round(ARRIVAL_SECONDS / LOOK_SECONDS)):
            await asyncio.sleep(LOOK_SECONDS)
            if len({(one.verb, one.uri) for one in self.sources.arrivals(nonce)}) >= len(sent):
                break
        return CanaryRun(self.clock(), coverage(asked, sent, self.sources.arrivals(nonce)))

    # the API server's own word

    async def _watch_metrics(self) -> None:
        while True:
            try:
                said = await self.cluster.read("/metrics")
                for one in (await self.cluster.list(LOG_SOURCES, Object))[0]:
                    found = dropped(said, PLUGINS.get(str(one.spec.get("type")), "webhook"))
                    if found is not None:
                        self.sources.gaps(one.metadata.name).take_metrics(found, self.clock())
            except ClusterError as fault:
                log.warning("the API server's metrics: %s", fault)
            await asyncio.sleep(METRICS_SECONDS)

    # commands past the API server

    async def _decide_bypasses(self) -> None:
        while True:
            found = self.bypasses.decide(self.sources.complete_until, self.clock())
            if found:
                await self.hand_in(found)
            await asyncio.sleep(LOOK_SECONDS)

    # status

    async def _write_statuses(self) -> None:
        written: dict[str, int] = {}
        while True:
            try:
                found = (await self.cluster.list(LOG_SOURCES, Object))[0]
                for name in self.statuses.keys() - {one.metadata.name for one in found}:
                    del self.statuses[name]
                for one in found:
                    await self._write(one, written)
            except ClusterError as fault:
                log.warning("status of log sources: %s", fault)
            await asyncio.sleep(STATUS_SECONDS)

    async def _write(self, one: Object, written: dict[str, int]) -> None:
        """Conditions at once, counts once a minute."""
        name, now = one.metadata.name, self.clock()
        status = self.statuses[name] = self.sources.status(name, one.spec, one.status, generation=one.metadata.generation, now=now)
        same = status["conditions"] == one.status.get("conditions") and status["missing"] == one.status.get("missing")
        if same and now - written.get(name, 0) < REWRITTEN_NS:
            return
        await self.cluster.apply(LOG_SOURCES, {"metadata": {"name": name}, "status": status}, subresource="status")
        written[name] = now
