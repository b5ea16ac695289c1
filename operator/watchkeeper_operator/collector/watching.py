"""The watches that the collector's view is made of, and whether it is whole and recent enough to judge by."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from watchkeeper_operator import kinds
from watchkeeper_operator.collector.cluster_view import Node, Pod
from watchkeeper_operator.shapes import Object
from watchkeeper_operator.watches import Watch

if TYPE_CHECKING:
    from watchkeeper_operator.cluster import Cluster
    from watchkeeper_operator.collector.cluster_view import ClusterView
    from watchkeeper_operator.collector.feeding import Feeds
    from watchkeeper_operator.policy_set import PolicySet

RECENT_SECONDS = 120.0  # a watch that was not heard for longer is no ground to discard anything


class Watching:
    """Pods, nodes and Sensors → the view; what changes for a node renews its feed."""

    def __init__(self, cluster: Cluster, view: ClusterView) -> None:
        self._view = view
        self.pods = Watch(cluster, kinds.PODS, Pod)
        self.nodes = Watch(cluster, kinds.NODES, Node)
        self.sensors = Watch(cluster, kinds.SENSORS, Object)

    @property
    def watches(self) -> dict[str, Watch[Any]]:
        return {"Pod": self.pods, "Node": self.nodes, "Sensor": self.sensors}

    def is_current(self, policies: PolicySet) -> bool:
        """Whether all of it was told, and lately."""
        followed: list[Watch[Any]] = [self.pods, self.nodes, *policies.watches.values()]
        return policies.judged.number > 0 and all(one.listed.is_set() and time.monotonic() - one.heard_at < RECENT_SECONDS for one in followed)

    async def run(self, feeds: Feeds) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_pods(feeds))
            tasks.create_task(self._follow_nodes(feeds))
            tasks.create_task(self._follow_sensors(feeds))

    async def _follow_pods(self, feeds: Feeds) -> None:
        async for change in self.pods:
            if change.object is not None:
                put = self._view.remove_pod if change.kind == "deleted" else self._view.put_pod
                feeds.renew(put(change.object))

    async def _follow_nodes(self, feeds: Feeds) -> None:
        async for change in self.nodes:
            if change.object is None:
                continue
            if change.kind == "deleted":
                self._view.remove_node(change.object)
                feeds.forget(change.object.metadata.name)
            else:
                feeds.renew(self._view.put_node(change.object))

    async def _follow_sensors(self, feeds: Feeds) -> None:
        specs: dict[str, object] = {}
        async for change in self.sensors:
            if change.object is None:
                continue
            name, spec = change.object.metadata.name, None if change.kind == "deleted" else change.object.spec
            if specs.get(name) != spec:  # a write of its status is no change
                specs[name] = spec
                feeds.renew_all()
