"""A plain HTTP server that answers like an API server for the few objects that a test gives it; what it was asked is kept."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from watchkeeper_operator.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class PlainApi:
    """`objects`: path → what a GET answers, `posted`: path → what a POST answers. Others are 404; `status` other than 0 is the answer to everything."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.posted: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.status = 0

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        if self.status:
            return web.json_response({"kind": "Status", "code": self.status, "message": "told so"}, status=self.status)
        found = (self.posted if request.method == "POST" else self.objects).get(request.path)
        if found is None:
            return web.json_response({"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}, status=404)
        return web.json_response(found)


@asynccontextmanager
async def plain_api(folder: Path) -> AsyncIterator[tuple[PlainApi, Cluster]]:
    """The server, and the product's own door to it."""
    api = PlainApi()
    runner = web.ServerRunner(web.Server(api.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    kubeconfig = folder / "plain.kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "tests", "cluster": {"server": f"http://{host}:{port}"}}],
                "users": [{"name": "tests", "user": {}}],
                "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
                "current-context": "tests",
            }
        )
    )
    try:
        async with Cluster.connect(kubeconfig) as cluster:
            yield api, cluster
    finally:
        await runner.cleanup()
