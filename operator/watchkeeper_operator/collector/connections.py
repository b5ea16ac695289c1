"""Connections: who is at the other end of each, how many there may be, and when they end."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from watchkeeper_operator.authority.roles import Peer, Role, peer_of

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

IDLE_SECONDS = 75.0  # between two requests; also for the head of a request to come
STRANGER_SECONDS = 20.0  # a connection without a certificate is for one trade
LINGER_SECONDS = 0.5  # a refused body is thrown away for so long, that the refusal can be read
LINE_BYTES = 4096  # of a request's first line, and of each header
HEADERS = 32


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many connections there may be: in all, of all strangers, of one address without a certificate, of one name with one."""

    whole: int = 4096
    strangers: int = 128
    address: int = 16
    name: int = 32


class Connection(RequestHandler):
    """One connection after its TLS handshake."""

    __slots__ = ("address", "opened_at", "peer", "shown_at")

    def __init__(self, server: Server, **options: Any) -> None:
        super().__init__(server, **options)
        self.peer: Peer | None = None
        self.address = ""
        self.opened_at = 0.0
        self.shown_at = 0.0  # when its certificate was last found to be in force

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        socket_name = transport.get_extra_info("peername")
        self.address = str(socket_name[0]) if socket_name else ""
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        self.peer = peer_of(certificate) if certificate is not None else None
        super().connection_made(transport)
        cast("Server", self._manager).admit(self)

    def handle_error(self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None) -> web.StreamResponse:
        """What is no HTTP is counted, not logged: a stranger writes neither our log nor our answer (`message` repeats what it sent)."""
        del message
        if status >= 500:
            log.error("a request could not be answered", exc_info=exc)
        if self._manager is not None:
            cast("Server", self._manager).refused["malformed" if status < 500 else "failed"] += 1
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had begun")
        answer = web.Response(status=status, text="Malformed" if status < 500 else "Failed")
        answer.force_close()
        return answer


class Server(web.Server):
    """aiohttp's server with bounds. `clock`: seconds since the epoch, as certificates have them."""

    def __init__(self, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], bounds: Bounds, clock: Callable[[], float]) -> None:
        super().__init__(handle)
        self.refused: Counter[str] = Counter()
        self._bounds = bounds
        self._clock = clock

    def __call__(self) -> Connection:
        return Connection(
            self,
            loop=self._loop,
            keepalive_timeout=IDLE_SECONDS,
            access_log=None,
            logger=log,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=HEADERS,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,  # a small body must not become a large one
        )

    def admit(self, connection: Connection) -> None:
        """Whether there is room for one more like it; else it ends at once."""
        connection.opened_at = self._clock()
        if (bound := self._full(connection)) is not None:
            self.refused[bound] += 1
            _abort(connection)

    def _full(self, new: Connection) -> str | None:
        others = [one for one in self.alive if one is not new]
        if len(others) >= self._bounds.whole:
            return "whole"
        if new.peer is not None:
            name = (new.peer.role, new.peer.name)
            return "name" if sum(one.peer is not None and (one.peer.role, one.peer.name) == name for one in others) >= self._bounds.name else None
        strangers = [one for one in others if one.peer is None]
        if len(strangers) >= self._bounds.strangers:
            return "strangers"
        return "address" if sum(one.address == new.address for one in strangers) >= self._bounds.address else None

    @property
    def alive(self) -> list[Connection]:
        return [one for one in cast("list[Connection]", self.connections) if one.transport is not None]

    def sweep(self) -> None:
        """End what is over: connections whose certificate has expired, and strangers who stay."""
        now = self._clock()
        for connection in self.alive:
            if connection.peer is not None and connection.peer.expires_at <= now:
                self.refused["expired"] += 1
                _abort(connection)
            elif connection.peer is None and now - connection.opened_at >= STRANGER_SECONDS:
                self.refused["stranger"] += 1
                _abort(connection)

    def count(self) -> Counter[Role | None]:
        return Counter(one.peer.role if one.peer else None for one in self.alive)


def _abort(connection: Connection) -> None:
    """Without waiting for the other end, which may never read."""
    if (transport := connection.transport) is not None:
        connection.force_close()
        transport.abort()
