"""The collector's server: who may ask is settled by certificate and route, before a body is read."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from aiohttp import web

from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.collector.connections import Connection
from watchkeeper_operator.collector.routes import Answer, Call, Refused, Route
from watchkeeper_operator.store.engine import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from watchkeeper_operator.authority.roles import Peer
    from watchkeeper_operator.collector.metrics import Metrics

SHOWN_SECONDS = 60.0  # until a certificate is looked up again
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Dispatch:
    """Requests → routes. An answer to one that is refused closes the connection: what is left of its body is not read."""

    def __init__(
        self, routes: Sequence[Route], metrics: Metrics, clock: Callable[[], float] = time.time, *, in_force: Callable[[str], Awaitable[bool]] | None = None
    ) -> None:
        """`in_force`: whether a sensor's certificate, by its fingerprint, is the one that its pod holds. Raises StoreError."""
        self._routes = {(route.method, route.path): route for route in routes}
        self._paths = frozenset(route.path for route in routes)
        self._room = {route: asyncio.Semaphore(route.at_once) for route in routes}
        self._waiting = dict.fromkeys(routes, 0)
        self._metrics = metrics
        self._clock = clock
        self._in_force = in_force

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path if request.path in self._paths else "other"
        try:
            route = self._route_of(request)
            await self._show(request)
            answer = await self._answered(route, request)
        except Refused as refused:
            self._metrics.refused.labels(path=path, reason=refused.reason).inc()
            return _refusal(refused)
        self._metrics.answered.labels(path=path).inc()
        return web.Response(
            status=answer.status or (200 if answer.body else 204),
            body=answer.body or None,
            content_type=answer.content_type if answer.body else None,
            headers=dict(answer.headers),
        )

    def _route_of(self, request: web.BaseRequest) -> Route:
        route = self._routes.get((request.method, request.path))
        if route is None:
            raise Refused(405 if request.path in self._paths else 404, "NoRoute")
        peer = _peer(request)
        if peer is not None and peer.expires_at <= self._clock():
            raise Refused(401, "Expired")
        if route.role is not None and peer is None:
            raise Refused(401, "NoCertificate")
        if route.role is not None and peer is not None and peer.role != route.role:
            raise Refused(403, "WrongRole")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Refused(415, "Encoded")
        if (request.content_length or 0) > route.body_bytes:
            raise Refused(413, "TooLarge")
        return route

    async def _show(self, request: web.BaseRequest) -> None:
        """Raises Refused for a sensor's certificate that another one has taken the place of, wherever it was signed."""
        connection = request.protocol
        if self._in_force is None or not isinstance(connection, Connection) or connection.peer is None or connection.peer.role is not Role.SENSOR:
            return
        if self._clock() - connection.shown_at < SHOWN_SECONDS:
            return
        try:
            if not await self._in_force(connection.peer.fingerprint):
                raise Refused(401, "Superseded")
        except StoreError:
            raise Refused(503, "StoreUnavailable", retry_after=5) from None
        connection.shown_at = self._clock()

    async def _answered(self, route: Route, request: web.BaseRequest) -> Answer:
        if self._waiting[route] >= route.at_once:
            raise Refused(503, "Busy", retry_after=2)
        self._waiting[route] += 1
        try:
            await self._room[route].acquire()
        finally:
            self._waiting[route] -= 1
        try:
            if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
                request.transport.write(CONTINUE)
            return await route.answer(Call(request, _peer(request), route.body_bytes, route.body_seconds))
        finally:
            self._room[route].release()


def _peer(request: web.BaseRequest) -> Peer | None:
    connection = request.protocol
    return connection.peer if isinstance(connection, Connection) else None


def _refusal(refused: Refused) -> web.Response:
    response = web.Response(status=refused.status, text=refused.reason)
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(round(refused.retry_after))
    response.force_close()
    return response
