"""`PUT /v1/state`: how a node's sensor is. Only the latest waits for the leader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.node_wire import NODE_WIRE_VERSION, NodeState
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.bus.messages import Arrival
from watchkeeper_operator.bus.taking import QueueFullError
from watchkeeper_operator.collector.routes import Answer, Refused, Route
from watchkeeper_operator.store.engine import StoreError

if TYPE_CHECKING:
    from watchkeeper_operator.bus.queue import Queue
    from watchkeeper_operator.collector.routes import Call

PATH = "/v1/state"
BODY_BYTES = 64 * 1024
AT_ONCE = 64

_decoder = msgspec.json.Decoder(NodeState)


class States:
    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    @property
    def route(self) -> Route:
        return Route("PUT", PATH, Role.SENSOR, BODY_BYTES, self.answer, AT_ONCE)

    async def answer(self, call: Call) -> Answer:
        state = await call.decoded(_decoder)
        if state.version != NODE_WIRE_VERSION:
            raise Refused(400, "Version")
        try:
            await self._queue.put([Arrival(topic="node-state", source=f"node/{call.caller.name}", payload=msgspec.msgpack.encode(state))])
        except (StoreError, QueueFullError):
            raise Refused(503, "StoreUnavailable", retry_after=5) from None
        return Answer()
