"""`POST /v1/audit`: batches of the API server's audit webhook. What is found in them is stored before they are answered.

The API server must not wait longer than it has to, nor send in vain: a body of any size is taken as it comes, in memory that does not grow
with it. Only where the store can't be written to is the answer an error, so that the batch comes again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from watchkeeper_operator.audit.configuring import PATH
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.collector.routes import Answer, Refused, Route
from watchkeeper_operator.store.engine import StoreError

if TYPE_CHECKING:
    from watchkeeper_operator.collector.audit_receiving import AuditReceiver
    from watchkeeper_operator.collector.routes import Call

ANY_SIZE = 1 << 50  # a batch that is called too large is dropped with all that is in it: whoever holds the audit certificate is never told so
AT_ONCE = 32
CHUNK_BYTES = 256 << 10  # judged at a time
RETRY_SECONDS = 5
POLICIES_SECONDS = 20.0  # after a start; the API server waits for 30, and sends again after 10


class AuditEndpoint:
    """The source is who the certificate names; any number of API servers may share it."""

    def __init__(self, receiver: AuditReceiver) -> None:
        self._receiver = receiver

    @property
    def route(self) -> Route:
        return Route("POST", PATH, Role.AUDIT, ANY_SIZE, self.answer, AT_ONCE)

    async def answer(self, call: Call) -> Answer:
        try:
            async with asyncio.timeout(POLICIES_SECONDS):
                await self._receiver.has_policies.wait()
        except TimeoutError:
            raise Refused(503, "NoPolicies", retry_after=RETRY_SECONDS) from None
        batch = self._receiver.batch(call.caller.name)
        waiting: list[bytes] = []
        size = 0
        try:
            async for chunk in call.chunks():
                waiting.append(chunk)
                size += len(chunk)
                if size >= CHUNK_BYTES:
                    await batch.feed(b"".join(waiting))
                    waiting, size = [], 0
            await batch.feed(b"".join(waiting))
            await batch.close()
        except StoreError:
            raise Refused(503, "StoreUnavailable", retry_after=RETRY_SECONDS) from None
        return Answer()
