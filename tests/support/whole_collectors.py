"""A collector with all of its own routes, a queue on disk and a plain API server behind it."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.collectors import Authorities, Running, serving
from tests.support.nodes import NODE, a_view, some_rules
from tests.support.plain_api import PlainApi, plain_api

from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.bus.taking import Bounds
from watchkeeper_operator.collector.deliveries import Deliveries
from watchkeeper_operator.collector.feeding import Feeds
from watchkeeper_operator.collector.handing_over import HandingOver
from watchkeeper_operator.collector.issued import IssuedCertificates
from watchkeeper_operator.collector.metrics import Metrics
from watchkeeper_operator.collector.rates import Rates
from watchkeeper_operator.collector.states import States
from watchkeeper_operator.collector.trading import Trade
from watchkeeper_operator.store.engine import open_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from watchkeeper_operator.collector.cluster_view import ClusterView
    from watchkeeper_operator.collector.rules_known import RulesKnown

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
PODS = "/api/v1/namespaces/watchkeeper-system/pods"
ACCOUNT = "system:serviceaccount:watchkeeper-system:watchkeeper-sensor"


@dataclass
class Whole:
    """`current`: what watches say; `times`: the collector's clock, seconds."""

    running: Running
    queue: Queue
    api: PlainApi
    feeds: Feeds
    view: ClusterView
    rules: RulesKnown
    issued: IssuedCertificates
    times: list[float]
    current: list[bool] = field(default_factory=lambda: [True])

    @property
    def authorities(self) -> Authorities:
        return self.running.authorities

    async def messages(self) -> list[Any]:
        return await self.queue.fetch(0, 1000, 10**9)


def in_force(issued: IssuedCertificates) -> Callable[[str], Awaitable[bool]]:
    async def shown(fingerprint: str) -> bool:
        return await asyncio.to_thread(issued.show, fingerprint)

    return shown


@asynccontextmanager
async def collecting(folder: Path, *, bounds: Bounds = Bounds(), authorities: Authorities | None = None, only_issued: bool = False) -> AsyncIterator[Whole]:  # noqa: B008 (frozen)
    """`only_issued`: sensors' certificates count only where they came from a trade here."""
    engine = open_engine(f"sqlite:///{folder}/collector.db")
    queue, issued, metrics, view, rules = Queue(engine, bounds), IssuedCertificates(engine), Metrics(), a_view(), some_rules()
    await queue.open()
    issued.create()
    authorities = authorities or Authorities()
    times, current = [time.time()], [True]
    async with plain_api(folder) as (api, cluster):
        feeds = Feeds(view, tuple, "shop-cluster", lambda: current[0])
        routes = (
            Trade(cluster, view, lambda: authorities.sensors, issued, queue, Rates(), clock=lambda: times[0]).route,
            Deliveries(cluster, view, rules, queue, metrics, lambda: current[0]).route,
            feeds.route,
            States(queue).route,
            *HandingOver(queue).routes,
        )
        shown = in_force(issued) if only_issued else None
        async with serving(routes, authorities=authorities, metrics=metrics, clock=lambda: times[0], in_force=shown) as running:
            yield Whole(running, queue, api, feeds, view, rules, issued, times, current)
    await queue.close()


def a_token(pod_uid: str = "uid-sensor-1", **claims: Any) -> str:
    """What looks like a projected token of the sensor's account; nobody has signed it."""
    whole = {"aud": ["watchkeeper-collector"], "sub": ACCOUNT, "exp": 4_000_000_000, "kubernetes.io": {"pod": {"name": "sensor-1", "uid": pod_uid}}} | claims
    parts = ({"alg": "RS256"}, whole)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts), "c2lnbmF0dXJl"])


def a_review(**changes: Any) -> dict[str, Any]:
    """What the API server answers about a good token; `extra` is merged, None leaves a name out."""
    extra = {
        "authentication.kubernetes.io/pod-name": ["sensor-1"],
        "authentication.kubernetes.io/pod-uid": ["uid-sensor-1"],
        "authentication.kubernetes.io/node-name": [NODE],
        "authentication.kubernetes.io/node-uid": [f"uid-{NODE}"],
    } | changes.pop("extra", {})
    user = {"username": ACCOUNT, "extra": {name: value for name, value in extra.items() if value is not None}} | changes.pop("user", {})
    return {"status": {"authenticated": True, "audiences": ["watchkeeper-collector"], "user": user} | changes}


def a_sensor_pod(*, restarts: int = 0, **changes: Any) -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "watchkeeper-sensor", "uid": "uid-daemonset", "controller": True}
    metadata = {"name": "sensor-1", "namespace": "watchkeeper-system", "uid": "uid-sensor-1", "ownerReferences": [owner]} | changes.pop("metadata", {})
    status = {"phase": "Running", "containerStatuses": [{"restartCount": restarts}]} | changes.pop("status", {})
    return {"metadata": metadata, "spec": {"nodeName": NODE} | changes.pop("spec", {}), "status": status}


def there_is_a_sensor(api: PlainApi) -> None:
    """One pod of our DaemonSet on the first node, whose token is good."""
    daemon_set = {
        "metadata": {"name": "watchkeeper-sensor", "namespace": "watchkeeper-system", "uid": "uid-daemonset"},
        "spec": {"template": {"spec": {"serviceAccountName": "watchkeeper-sensor"}}},
    }
    api.posted[REVIEWS] = a_review()
    api.objects |= {
        f"{PODS}/sensor-1": a_sensor_pod(),
        "/apis/apps/v1/namespaces/watchkeeper-system/daemonsets/watchkeeper-sensor": daemon_set,
        f"/api/v1/nodes/{NODE}": {"metadata": {"name": NODE, "uid": f"uid-{NODE}"}},
    }
