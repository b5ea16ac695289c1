"""The leader's part for Sensors: their DaemonSets, the NodeSensor of each node, and what the Sensors' status says. Gather → decide → apply, on change only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from watchkeeper_operator import kinds
from watchkeeper_operator.cluster_errors import Conflict, NotFound
from watchkeeper_operator.names import APPLIED_ANNOTATION, SYSTEM_NAMESPACE
from watchkeeper_operator.reconciling import Reconciler
from watchkeeper_operator.sensors import node_statuses, sensor_statuses
from watchkeeper_operator.sensors.daemon_set import Image, daemon_set, name_of
from watchkeeper_operator.sensors.nodes import watched_by
from watchkeeper_operator.shapes import Named, Object

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchkeeper_operator.cluster import Cluster
    from watchkeeper_operator.health import Health
    from watchkeeper_operator.metrics import Metrics
    from watchkeeper_operator.sensors.following import Following
    from watchkeeper_operator.sensors.nodes import Heard, Node

ALL = "all"
RESYNC_SECONDS = 60.0
STATUS_SECONDS = 2.0  # what nodes say is gathered for so long
COUNTS_SECONDS = 60.0  # counts that always move are written so often


class Sensors:
    """`wake` has the Sensors looked at; `wake_nodes` the states of nodes."""

    def __init__(self, image: Image, health: Health, metrics: Metrics, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._image = image
        self._clock = clock
        self._sensors = Reconciler("sensors", health, metrics)
        self._states = Reconciler("node-sensors", health, metrics, per_second=50.0)
        self._applied: dict[str, tuple[str, str, int]] = {}  # DaemonSet → what was applied, and as which object and generation it came out
        self._written: dict[str, dict[str, Any]] = {}  # NodeSensor → its status as written
        self._written_at: dict[str, int] = {}
        self._owners: dict[str, tuple[str, str]] = {}  # NodeSensor → uid of the node and name of the Sensor that it was made for
        metrics.statuses.of("NodeSensor", self._written.values)

    def wake(self) -> None:
        self._sensors.wake(ALL)

    def wake_nodes(self, following: Following, uids: set[str]) -> None:
        """Of all nodes where none is named."""
        names = {node.metadata.name for uid, node in following.nodes.by_uid.items() if not uids or uid in uids}
        self._states.wake(*names, *(() if uids else self._written))
        self._sensors.wake(ALL, after=STATUS_SECONDS)

    async def run_sensors(self, cluster: Cluster, following: Following) -> None:
        """Until cancelled. `cluster`: in the leader's epoch."""
        await following.watch_nodes.listed.wait()
        self.wake()
        await self._sensors.run(lambda _: self._look_at_sensors(cluster, following))

    async def run_nodes(self, cluster: Cluster, following: Following) -> None:
        await following.watch_nodes.listed.wait()
        for known in (await cluster.list(kinds.NODE_SENSORS, Object))[0]:
            self._written[known.metadata.name] = {name: value for name, value in known.status.items() if name != "epoch"}
            self._owners[known.metadata.name] = next(((one.uid, known.spec.get("sensor", "")) for one in known.metadata.owner_references), ("", ""))
            following.nodes.recall(known.metadata.name, node_statuses.heard_from(known.status))
            self._states.wake(known.metadata.name)
        self.wake_nodes(following, set())
        await self._states.run(lambda name: self._look_at_node(cluster, following, name))

    async def _look_at_sensors(self, cluster: Cluster, following: Following) -> None:
        self._sensors.wake(ALL, after=RESYNC_SECONDS)
        sensors, _ = await cluster.list(kinds.SENSORS, Object)
        oldest = sorted(sensors, key=lambda one: (one.metadata.creation_timestamp, one.metadata.name))
        before, following.nodes.watched = following.nodes.watched, watched_by(oldest, following.nodes.by_uid.values())
        if before != following.nodes.watched:
            self.wake_nodes(following, set())
        for place, sensor in enumerate(oldest):
            wanted = daemon_set(sensor, oldest[:place], self._image)
            if wanted is not None:
                await self._apply(cluster, wanted)
            mine = [(node, heard) for node, heard in following.nodes.with_sensor() if following.nodes.watched[node.metadata.uid] == sensor.metadata.name]
            await self._write_status(cluster, sensor, mine, too_many_terms=wanted is None)
        self._applied = {name: known for name, known in self._applied.items() if name in {name_of(one.metadata.name) for one in sensors}}

    async def _apply(self, cluster: Cluster, wanted: dict[str, Any]) -> None:
        """Nothing is written while the object is as it came out when just this was applied."""
        name, digest = wanted["metadata"]["name"], wanted["metadata"]["annotations"][APPLIED_ANNOTATION]
        try:
            there = (await cluster.get(kinds.DAEMON_SETS, Named, name, namespace=SYSTEM_NAMESPACE)).metadata
        except NotFound:
            there = None
        if there is not None and self._applied.get(name) == (digest, there.uid, there.generation) and there.annotations.get(APPLIED_ANNOTATION) == digest:
            return
        made = (await cluster.apply(kinds.DAEMON_SETS, wanted))["metadata"]
        self._applied[name] = (digest, made["uid"], made["generation"])

    async def _write_status(self, cluster: Cluster, sensor: Object, mine: Sequence[tuple[Node, Heard | None]], *, too_many_terms: bool) -> None:
        status = sensor_statuses.status_of(sensor, mine, version=self._image.version, too_many_terms=too_many_terms, now=self._clock())
        if status != {name: value for name, value in sensor.status.items() if name != "epoch"}:
            await cluster.apply(kinds.SENSORS, {"metadata": {"name": sensor.metadata.name}, "status": status}, subresource="status")

    async def _look_at_node(self, cluster: Cluster, following: Following, name: str) -> None:
        self._states.wake(name, after=COUNTS_SECONDS)
        node = next((one for one in following.nodes.by_uid.values() if one.metadata.name == name), None)
        sensor = following.nodes.watched.get(node.metadata.uid) if node else None
        if node is None or sensor is None:
            await self._remove(cluster, name, looked=bool(following.nodes.watched) or node is None)
            return
        heard, now, before = following.nodes.heard.get(node.metadata.uid), self._clock(), self._written.get(name)
        is_current = heard is not None and following.shares.is_current(node.metadata.uid, heard.state.policies_revision)
        status = node_statuses.status_of(heard, before or {}, is_current=is_current, allowed="", generation=1, now=now)
        owner = (node.metadata.uid, sensor)
        if before is None or self._owners.get(name) != owner:
            await cluster.apply(kinds.NODE_SENSORS, node_sensor(node, sensor))
            self._owners[name] = owner
        elif not self._is_due(name, before, status, now):
            return
        try:
            await cluster.apply(kinds.NODE_SENSORS, {"metadata": {"name": name}, "status": status}, subresource="status")
        except NotFound:  # somebody deleted it
            self._written.pop(name, None)
            raise Conflict(f"NodeSensor {name} is gone") from None
        self._written[name], self._written_at[name] = status, now

    def _is_due(self, name: str, before: dict[str, Any], status: dict[str, Any], now: int) -> bool:
        if node_statuses.is_worth_writing(before, status):
            return True
        return status != before and now - self._written_at.get(name, 0) >= COUNTS_SECONDS * 1e9

    async def _remove(self, cluster: Cluster, name: str, *, looked: bool) -> None:
        """The NodeSensor of a node that no Sensor watches; `looked`: the Sensors were looked at."""
        if not looked:
            return
        self._states.forget([name])
        if self._written.pop(name, None) is not None:
            try:
                await cluster.remove(kinds.NODE_SENSORS, name)
            except NotFound:
                return


def node_sensor(node: Node, sensor: str) -> dict[str, Any]:
    owner = {"apiVersion": "v1", "kind": "Node", "name": node.metadata.name, "uid": node.metadata.uid}
    return {"metadata": {"name": node.metadata.name, "ownerReferences": [owner]}, "spec": {"sensor": sensor}}
