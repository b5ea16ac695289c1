"""The leader's part that tells policies, exceptions and lists what became of them: on change only, refusals first."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from watchkeeper_operator import kinds
from watchkeeper_operator.cluster_errors import NotFound
from watchkeeper_operator.policy_objects import EXCEPTION, LIST, POLICY, Key, Written
from watchkeeper_operator.policy_statuses import Held, Known, on_nodes, stands_of, status_of
from watchkeeper_operator.reconciling import Reconciler
from watchkeeper_operator.sensors.node_statuses import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from watchkeeper_operator.cluster import Cluster
    from watchkeeper_operator.health import Health
    from watchkeeper_operator.metrics import Metrics
    from watchkeeper_operator.own_events import OwnEvents
    from watchkeeper_operator.policy_set import PolicySet
    from watchkeeper_operator.policy_verdicts import Judged, Verdict
    from watchkeeper_operator.sensors.following import Following

RESOURCES = {POLICY: kinds.RUNTIME_POLICIES, EXCEPTION: kinds.POLICY_EXCEPTIONS, LIST: kinds.POLICY_LISTS}
PER_SECOND = 100.0
NODES_SECONDS = 1.0  # what nodes confirm is gathered for so long
RESYNC_SECONDS = 60.0
FIRST = -60.0  # refusals go before whatever else waits


class PolicyStatuses:
    """`run` it in the leader."""

    def __init__(self, policies: PolicySet, health: Health, metrics: Metrics, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._policies = policies
        self._clock = clock
        self._loop = Reconciler("policy-statuses", health, metrics, per_second=PER_SECOND)
        self._told: dict[Key, tuple[Written, bool]] = {}
        self._on_nodes: frozenset[tuple[str, str]] = frozenset()
        self._held: dict[Key, Held] = {}
        self._nodes_changed = asyncio.Event()
        self._known: Known | None = None  # made anew when something changed
        self._silent: frozenset[str] = frozenset()
        metrics.statuses.of("RuntimePolicy", self._statuses)

    def _statuses(self) -> Iterator[Mapping[str, Any]]:
        """Of policies, as the API server has them."""
        found = (self._policies.object(key) for key in self._policies.judged.verdicts if key.kind == POLICY)
        return (one.status for one in found if one is not None)

    def nodes_changed(self) -> None:
        """A node confirmed something, came or went."""
        self._nodes_changed.set()

    def held_back(self, held: dict[Key, Held]) -> None:
        self._held, self._known = held, None
        self._loop.wake(*("/".join(key) for key in held))

    async def run(self, cluster: Cluster, following: Following, events: OwnEvents) -> None:
        """Until cancelled. `cluster`: in the leader's epoch."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_verdicts())
            tasks.create_task(self._follow_nodes(following))
            tasks.create_task(self._loop.run(lambda key: self._write(cluster, following, events, key)))

    async def _follow_verdicts(self) -> None:
        number = 0
        while True:
            judged = await self._policies.after(number)
            number = judged.number
            self._on_nodes, self._known = on_nodes(judged.program), None
            self._loop.forget("/".join(key) for key in self._told if key not in judged.verdicts)
            for key, verdict in judged.verdicts.items():
                self._loop.wake("/".join(key), after=0.0 if verdict.accepted else FIRST)

    async def _follow_nodes(self, following: Following) -> None:
        while True:
            try:
                async with asyncio.timeout(RESYNC_SECONDS):
                    await self._nodes_changed.wait()
            except TimeoutError:
                if following.nodes.silent(self._clock()) == self._silent:
                    continue
            self._silent = following.nodes.silent(self._clock())
            self._nodes_changed.clear()
            self._known = None
            self._loop.wake(*("/".join(key) for key in self._policies.judged.verdicts if key.kind != LIST))
            await asyncio.sleep(NODES_SECONDS)

    async def _write(self, cluster: Cluster, following: Following, events: OwnEvents, text: str) -> None:
        """Gather, decide, apply."""
        key = Key(*text.split("/"))
        judged, current = self._policies.judged, self._policies.object(key)
        verdict = judged.verdicts.get(key)
        if verdict is None or current is None or current.metadata.generation != verdict.written.generation:
            return  # gone, or judged again in a moment
        status = status_of(verdict, current.status, self._now_known(judged, following))
        before = {name: value for name, value in current.status.items() if name != "epoch"}
        if status == before:
            return
        try:
            await cluster.apply(RESOURCES[key.kind], {"metadata": {"name": key.name, "namespace": key.namespace}, "status": status}, subresource="status")
        except NotFound:
            return
        await self._tell(events, key, verdict)

    def _now_known(self, judged: Judged, following: Following) -> Known:
        if self._known is None or self._known.judged is not judged:
            now = self._clock()
            stands = stands_of(following.nodes.with_sensor(), following.shares, now)
            since = {key: number for key, (_, number) in following.shares.since.items()}
            self._known = Known(judged, since, stands, self._on_nodes, self._held, rfc3339(now))
        return self._known

    async def _tell(self, events: OwnEvents, key: Key, verdict: Verdict) -> None:
        """An event for each revision that is refused, and for none that is accepted but after a refusal."""
        before, self._told[key] = self._told.get(key), (verdict.written, verdict.accepted)
        if before is not None and before[0].revision == verdict.written.revision and before[1] == verdict.accepted:
            return
        if not verdict.accepted:
            await events.tell(_regarding(key, verdict), "Warning", str(verdict.reason), verdict.message)
        elif before is not None and not before[1]:
            await events.tell(_regarding(key, verdict), "Normal", str(verdict.reason), "accepted")


def _regarding(key: Key, verdict: Verdict) -> dict[str, Any]:
    resource = RESOURCES[key.kind]
    return {"apiVersion": resource.api_version, "kind": key.kind, "namespace": key.namespace, "name": key.name, "uid": verdict.written.uid}
