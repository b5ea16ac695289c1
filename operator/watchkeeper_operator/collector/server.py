"""The collector's server: who may ask is settled by certificate and route, before a body is read."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from aiohttp import web

from watchkeeper_operator.collector.connections import Connection
from watchkeeper_operator.collector.routes import Answer, Call, Refused, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchkeeper_operator.authority.roles import Peer
    from watchkeeper_operator.collector.metrics import Metrics

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Dispatch:
    """Requests → routes. An answer to one that is refused closes the connection: what is left of its body is not read."""

    def __init__(self, routes: Sequence[Route], metrics: Metrics, clock: Callable[[], float] = time.time) -> None:
        self._routes = {(route.method, route.path): route for route in routes}
        self._paths = frozenset(route.path for route in routes)
        self._room = {route: asyncio.Semaphore(route.at_once) for route in routes}
        self._waiting = dict.fromkeys(routes, 0)
        self._metrics = metrics
        self._clock = clock

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path if request.path in self._paths else "other"
        try:
            route = self._route_of(request)
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
            return await route.answer(Call(request, _peer(request), route.body_bytes))
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
