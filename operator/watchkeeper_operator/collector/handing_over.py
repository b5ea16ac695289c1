"""`GET /v1/messages`, `POST /v1/messages/acknowledge`: the leader fetches what waits, and says what it has kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.bus.messages import FETCH_WAIT_SECONDS, FETCHED, FETCHED_BYTES, Acknowledgement
from watchkeeper_operator.collector.routes import Answer, Refused, Route
from watchkeeper_operator.store.engine import StoreError

if TYPE_CHECKING:
    from watchkeeper_operator.bus.queue import Queue
    from watchkeeper_operator.collector.routes import Call

PATH = "/v1/messages"
LAST = 2**62
AT_ONCE = 8

_decoder = msgspec.json.Decoder(Acknowledgement)


class HandingOver:
    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    @property
    def routes(self) -> tuple[Route, Route]:
        return (
            Route("GET", PATH, Role.OPERATOR, 0, self.fetch, AT_ONCE),
            Route("POST", f"{PATH}/acknowledge", Role.OPERATOR, 1024, self.acknowledge, AT_ONCE),
        )

    async def fetch(self, call: Call) -> Answer:
        """`after`: number of the last message that the caller has; `limit`; `wait`: seconds to wait for one."""
        after, limit = call.whole("after", 0, LAST), call.whole("limit", FETCHED, FETCHED)
        wait = call.whole("wait", 0, int(FETCH_WAIT_SECONDS))
        try:
            found = await self._queue.fetch(after, max(limit, 1), FETCHED_BYTES, wait)
        except StoreError:
            raise Refused(503, "StoreUnavailable", retry_after=2) from None
        return Answer(msgspec.msgpack.encode(found))

    async def acknowledge(self, call: Call) -> Answer:
        told = await call.decoded(_decoder)
        if not 0 <= told.through <= LAST:
            raise Refused(400, "Malformed")
        try:
            await self._queue.acknowledge(told.through)
        except StoreError:
            raise Refused(503, "StoreUnavailable", retry_after=2) from None
        return Answer()
