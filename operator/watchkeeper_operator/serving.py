"""The operator's one listener: `/healthz` and `/readyz` for the kubelet, `/metrics` for whoever may get it by RBAC (`nonResourceURLs: [/metrics]`)."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from watchkeeper_operator import kinds
from watchkeeper_operator.cluster_errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from prometheus_client import CollectorRegistry

    from watchkeeper_operator.cluster import Cluster
    from watchkeeper_operator.health import Health

TOKEN_CHARACTERS = 16_384
KNOWN_SECONDS = 60.0  # an answer about a token is kept
KNOWN_TOKENS = 64
BACKLOG = 16


class Readers:
    """Who may read metrics: asked of the API server, kept for a minute."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._known: dict[str, tuple[float, int]] = {}

    async def status(self, authorization: str) -> int:
        """HTTP status for whoever sends this header: 200, 401 or 403. Raises ClusterError."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > TOKEN_CHARACTERS:
            return 401
        at, status = self._known.get(token, (float("-inf"), 0))
        if self._clock() - at > KNOWN_SECONDS:
            status = await self._asked(token)
            while len(self._known) >= KNOWN_TOKENS:
                del self._known[next(iter(self._known))]
            self._known[token] = (self._clock(), status)
        return status

    async def _asked(self, token: str) -> int:
        review = (await self._cluster.create(kinds.TOKEN_REVIEWS, {"spec": {"token": token}})).get("status") or {}
        if not review.get("authenticated"):
            return 401
        user: dict[str, Any] = review.get("user") or {}
        spec = {"user": user.get("username"), "groups": user.get("groups") or [], "uid": user.get("uid", "")}
        asked = {"spec": {**spec, "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}}
        access = (await self._cluster.create(kinds.SUBJECT_ACCESS_REVIEWS, asked)).get("status") or {}
        return 200 if access.get("allowed") else 403


@asynccontextmanager
async def serve(at: tuple[str, int], health: Health, registry: CollectorRegistry, readers: Readers) -> AsyncIterator[int]:
    """Listens while the context lasts; gives the port."""

    async def healthz(_: web.Request) -> web.Response:
        silent = health.silent()
        text = "\n".join(f"{name} has been silent for {seconds:.0f} s" for name, seconds in sorted(silent.items()))
        return web.Response(status=503 if silent else 200, text=text or "ok")

    async def readyz(_: web.Request) -> web.Response:
        missing = health.not_ready()
        return web.Response(status=503 if missing else 200, text="\n".join(f"not yet: {name}" for name in missing) or "ok")

    async def metrics(request: web.Request) -> web.Response:
        try:
            status = await readers.status(request.headers.get("authorization", ""))
        except ClusterError:
            status = 503
        if status != 200:
            return web.Response(status=status)
        return web.Response(body=generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    app = web.Application(client_max_size=1024)
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, *at, backlog=BACKLOG)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
