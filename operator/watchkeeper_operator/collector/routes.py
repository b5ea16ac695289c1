"""Routes: what each endpoint takes, from whom and how much. A request that is not meant for a route is refused before its body is read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from aiohttp.web import BaseRequest

    from watchkeeper_operator.authority.roles import Peer, Role

MSGPACK = "application/msgpack"
JSON = "application/json"
BODY_SECONDS = 30.0  # for a body to come

T = TypeVar("T")


class Refused(Exception):  # noqa: N818 (an answer, as the API's words are)
    """What was asked is not done. `reason`: one word of a fixed set, for metrics and the caller; it repeats nothing of the request."""

    def __init__(self, status: int, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. Without a body: 204 where nothing else is said."""

    body: bytes = b""
    content_type: str = MSGPACK
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


class Call:
    """A request that its route takes: who calls (`peer` is None only where the route takes strangers) and the body, of which nothing is read yet."""

    def __init__(self, request: BaseRequest, peer: Peer | None, limit: int, seconds: float = BODY_SECONDS) -> None:
        self.peer = peer
        self.query: Mapping[str, str] = request.query
        self.address = str(request.remote or "")
        self._request = request
        self._limit = limit
        self._seconds = seconds

    @property
    def caller(self) -> Peer:
        """Raises Refused for a stranger."""
        if self.peer is None:
            raise Refused(401, "NoCertificate")
        return self.peer

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Refused when it grows beyond the route's limit or does not come in time."""
        size = 0
        try:
            async with asyncio.timeout(self._seconds):
                async for chunk in self._request.content.iter_any():
                    size += len(chunk)
                    if size > self._limit:
                        raise Refused(413, "TooLarge")
                    yield chunk
        except TimeoutError:
            raise Refused(408, "TooSlow") from None

    async def body(self) -> bytes:
        """All of the body. Raises Refused."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def decoded(self, decoder: msgspec.msgpack.Decoder[T] | msgspec.json.Decoder[T]) -> T:
        """The body as what the route takes. Raises Refused."""
        body = await self.body()
        try:
            return decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused(400, "Malformed") from None

    def whole(self, name: str, default: int, most: int) -> int:
        """A number of the query, from 0 to `most`. Raises Refused."""
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= 19):
            raise Refused(400, "Malformed")
        return min(int(text), most)


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint.

    role        whose client certificate it takes; None: anyone's, also none
    body_bytes  a longer body is refused, by its Content-Length before any of it is read
    at_once     requests that are worked on at a time, so that bodies in memory are bounded: the others wait, unread, as many again
    """

    method: str
    path: str
    role: Role | None
    body_bytes: int
    answer: Callable[[Call], Awaitable[Answer]]
    at_once: int = 16
    body_seconds: float = BODY_SECONDS
