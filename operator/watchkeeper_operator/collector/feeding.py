"""`GET /v1/feed`: each node hears of what changes for it, and of nothing else, as soon as it does."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from watchkeeper_detection.node_wire import FEED_WAIT_SECONDS
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.collector.node_feed import FeedMaker, Told
from watchkeeper_operator.collector.routes import JSON, Answer, Refused, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from watchkeeper_operator.collector.cluster_view import ClusterView, Node
    from watchkeeper_operator.collector.routes import Call
    from watchkeeper_operator.policy_objects import Written
    from watchkeeper_operator.shapes import Object

PATH = "/v1/feed"
AT_ONCE = 8192  # nodes that wait
GATHER_SECONDS = 0.1  # for changes that come together
RETRY_SECONDS = 2


class Feeds:
    """`is_current`: as of deliveries: a view that is not whole yet is told to nobody."""

    def __init__(self, view: ClusterView, sensors: Callable[[], Iterable[Object]], cluster: str, is_current: Callable[[], bool]) -> None:
        self._view = view
        self._sensors = sensors
        self._cluster = cluster
        self._is_current = is_current
        self._maker = FeedMaker((), cluster)
        self._made: dict[str, Told] = {}
        self._changed: dict[str, asyncio.Event] = {}

    @property
    def route(self) -> Route:
        return Route("GET", PATH, Role.SENSOR, 0, self.answer, AT_ONCE)

    def use(self, in_force: Sequence[Written]) -> None:
        """Policies, exceptions and lists that are in force from now on."""
        self._maker = FeedMaker(in_force, self._cluster)
        self.renew_all()

    def renew_all(self) -> None:
        self._made.clear()
        for event in self._changed.values():
            event.set()

    def renew(self, nodes: Iterable[str]) -> None:
        """Something has changed for these nodes, by name."""
        for name in nodes:
            self._made.pop(name, None)
            if (event := self._changed.get(name)) is not None:
                event.set()

    async def answer(self, call: Call) -> Answer:
        node = self._view.node(call.caller.name)
        if node is None or not self._is_current():
            raise Refused(503, "NotReady", retry_after=RETRY_SECONDS)
        since, ends_at = call.query.get("since", ""), time.monotonic() + FEED_WAIT_SECONDS
        while True:
            event = self._changed.setdefault(node.metadata.name, asyncio.Event())
            event.clear()
            told = self._told(self._view.node(node.metadata.uid) or node)
            if told.revision != since:
                return Answer(told.body, JSON)
            try:
                async with asyncio.timeout(max(0.0, ends_at - time.monotonic())):
                    await event.wait()
            except TimeoutError:
                return Answer()
            await asyncio.sleep(GATHER_SECONDS)

    def _told(self, node: Node) -> Told:
        name = node.metadata.name
        if name not in self._made:
            self._made[name] = self._maker.make(node, self._view.on_node(name), self._sensors())
        return self._made[name]

    def forget(self, name: str) -> None:
        """A node that has gone."""
        self._made.pop(name, None)
        self._changed.pop(name, None)
