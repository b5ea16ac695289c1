"""`POST /v1/deliveries`: what a node found. What it may not speak of is discarded and reported; the rest is on disk before the answer."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.node_wire import DELIVERY_BYTES, DELIVERY_ENTRIES, NODE_WIRE_VERSION, Delivery, Entry, Taken
from watchkeeper_operator import kinds
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.bus.messages import Arrival, Discarded
from watchkeeper_operator.bus.taking import QueueFullError
from watchkeeper_operator.cluster_errors import ClusterError, NotFound
from watchkeeper_operator.collector.cluster_view import Pod
from watchkeeper_operator.collector.routes import Answer, Refused, Route
from watchkeeper_operator.collector.vetting import Vetting
from watchkeeper_operator.store.engine import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchkeeper_operator.bus.queue import Queue
    from watchkeeper_operator.cluster import Cluster
    from watchkeeper_operator.collector.cluster_view import ClusterView
    from watchkeeper_operator.collector.metrics import Metrics
    from watchkeeper_operator.collector.routes import Call
    from watchkeeper_operator.collector.rules_known import RulesKnown
    from watchkeeper_operator.collector.vetting import Vetted

PATH = "/v1/deliveries"
AT_ONCE = 16  # bodies in memory
SPOOL = re.compile(r"[0-9A-Za-z-]{1,64}")
ASKED_PODS = 16  # of one delivery, where the watch has not told of them yet
EXAMPLES = 20  # of what is discarded for one reason
EXAMPLE_BYTES = 16 * 1024
RETRY_SECONDS = 5
TURN = 50  # entries vetted before others get their turn

_decoder = msgspec.msgpack.Decoder(Delivery)


class Deliveries:
    """`is_current`: whether the watches of pods, nodes and policies are up to date; while they are not, nothing is discarded and so nothing is taken."""

    def __init__(self, cluster: Cluster, view: ClusterView, rules: RulesKnown, queue: Queue, metrics: Metrics, is_current: Callable[[], bool]) -> None:
        self._cluster = cluster
        self._view = view
        self._rules = rules
        self._queue = queue
        self._metrics = metrics
        self._is_current = is_current

    @property
    def route(self) -> Route:
        return Route("POST", PATH, Role.SENSOR, DELIVERY_BYTES, self.answer, AT_ONCE)

    async def answer(self, call: Call) -> Answer:
        delivery = await call.decoded(_decoder)
        check(delivery)
        node = self._view.node(call.caller.name)
        if node is None or not self._is_current():
            raise Refused(503, "NotReady", retry_after=RETRY_SECONDS)
        vetting = Vetting(node.metadata.name, self._view, self._rules)
        await self._ask_for(vetting.pods_of(delivery.entries))
        vetted = []
        for entry in delivery.entries:
            vetted.append(vetting.vet(entry))
            if len(vetted) % TURN == 0:
                await asyncio.sleep(0)
        arrivals, discarded = sorted_out(call.caller.name, node.metadata.name, delivery, vetted)
        try:
            await self._queue.put(arrivals)
        except (StoreError, QueueFullError):
            raise Refused(503, "StoreUnavailable", retry_after=RETRY_SECONDS) from None
        for one in vetted:
            if one.reason is not None:
                self._metrics.discarded.labels(reason=one.reason).inc()
        return Answer(msgspec.msgpack.encode(Taken(count=len(delivery.entries), discarded=discarded)))

    async def _ask_for(self, unknown: set[tuple[str, str]]) -> None:
        """Pods that the watch may tell of only now; more than a few at once nobody has."""
        for namespace, name in sorted(unknown)[:ASKED_PODS]:
            try:
                self._view.put_pod(await self._cluster.get(kinds.PODS, Pod, name, namespace=namespace))
            except NotFound:
                continue
            except ClusterError:
                raise Refused(503, "ApiServerUnavailable", retry_after=RETRY_SECONDS) from None


def check(delivery: Delivery) -> None:
    """Raises Refused for what no sensor sends. Positions rise, for lower ones would be taken for known."""
    positions = [entry.position for entry in delivery.entries]
    rises = all(before < after for before, after in pairwise(positions))
    if delivery.version != NODE_WIRE_VERSION:
        raise Refused(400, "Version")
    if not 0 < len(positions) <= DELIVERY_ENTRIES or not SPOOL.fullmatch(delivery.spool) or not rises or positions[0] < 0 or positions[-1] >= 1 << 62:
        raise Refused(400, "Malformed")


def sorted_out(node_uid: str, node: str, delivery: Delivery, vetted: Sequence[Vetted]) -> tuple[list[Arrival], int]:
    """What is to be stored, reports of what is discarded among it, and how many entries are discarded."""
    source = f"node/{node_uid}"
    arrivals = [
        Arrival(topic=entry.kind, source=source, payload=entry.payload, spool=delivery.spool, position=entry.position)
        for entry, one in zip(delivery.entries, vetted, strict=True)
        if one.reason is None
    ]
    refused: defaultdict[str, list[tuple[Entry, Vetted]]] = defaultdict(list)
    for entry, one in zip(delivery.entries, vetted, strict=True):
        if one.reason is not None:
            refused[one.reason].append((entry, one))
    for reason, those in refused.items():  # in the order of their first entries, so that positions rise
        first, about = those[0]
        examples = tuple(entry.payload for entry, _ in those[:EXAMPLES] if len(entry.payload) <= EXAMPLE_BYTES)
        told = Discarded(reason=reason, node_uid=node_uid, node_name=node, pod=about.pod[:320], policy=about.policy[:128], count=len(those), examples=examples)
        arrivals.append(
            Arrival(topic="discarded", source=source, payload=msgspec.msgpack.encode(told), spool=f"discarded/{delivery.spool}", position=first.position)
        )
    return arrivals, sum(map(len, refused.values()))
