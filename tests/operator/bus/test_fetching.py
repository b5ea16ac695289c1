"""The leader's side of a collector's queue, against the collector's own server."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from sqlalchemy import text
from tests.support.collectors import NAME, serving
from tests.support.detections import MARCH_12, SECOND, a_detection

from watchkeeper_detection.program import Program
from watchkeeper_detection.wire import encode
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.bus.fetching import Collector, FetchError, Progress, fetch
from watchkeeper_operator.bus.messages import Arrival
from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.collector.handing_over import HandingOver
from watchkeeper_operator.incidents.intake import Intake
from watchkeeper_operator.store.engine import open_engine, reading
from watchkeeper_operator.store.schema import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from sqlalchemy import Engine
    from tests.support.collectors import Running

    from watchkeeper_operator.bus.messages import Message


@pytest.fixture
def store(tmp_path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path / 'store.db'}")
    migrate(engine)
    return engine


@asynccontextmanager
async def a_collector(folder: Path) -> AsyncIterator[tuple[Queue, Running]]:
    queue = Queue(open_engine(f"sqlite:///{folder / 'queue.db'}"))
    await queue.open()
    async with serving(HandingOver(queue).routes) as running:
        yield queue, running
    await queue.close()


@asynccontextmanager
async def a_fetcher(running: Running, role: Role = Role.OPERATOR) -> AsyncIterator[Collector]:
    context = running.tls(running.authorities.client(role))
    async with aiohttp.ClientSession() as session:
        yield Collector(f"https://127.0.0.1:{running.port}", session, lambda: context, NAME)


async def put(queue: Queue, *numbers: int) -> None:
    await queue.put([Arrival(topic="detection", source="node/a", payload=encode(a_detection(line=number, identity=f"user-{number}"))) for number in numbers])


def kept(store: Engine) -> set[str]:
    with reading(store) as connection:
        return set(connection.execute(text("SELECT id FROM detections")).scalars())


async def until_empty(queue: Queue) -> None:
    async with asyncio.timeout(20):
        while await queue.fetch(0, 1, 1000):  # noqa: ASYNC110 (nobody says when it is empty)
            await asyncio.sleep(0.02)


def ids(*numbers: int) -> set[str]:
    return {f"{number:032x}" for number in numbers}


def test_what_a_collector_has_is_taken_in_and_then_goes_there(tmp_path: Path, store: Engine) -> None:
    seen: list[str] = []

    async def others(messages: Sequence[Message]) -> None:
        seen.extend(message.topic for message in messages)

    async def run() -> None:
        async with a_collector(tmp_path) as (queue, running), a_fetcher(running) as collector:
            intake = Intake(store, Program(), epoch=1, clock=time.time_ns)
            task = asyncio.create_task(
                fetch("queue", collector, intake, Progress(("queue",), time.time_ns()), others=others, clock=time.time_ns, spread=lambda: 0.0)
            )
            await put(queue, 1, 2, 3)
            await until_empty(queue)
            assert kept(store) == ids(1, 2, 3)
            await put(queue, 4)
            await until_empty(queue)
            assert kept(store) == ids(1, 2, 3, 4)
            task.cancel()

    asyncio.run(run())
    assert seen == ["detection"] * 4


def test_another_leader_goes_on_where_the_store_is(tmp_path: Path, store: Engine) -> None:
    async def run() -> None:
        async with a_collector(tmp_path) as (queue, running), a_fetcher(running) as collector:
            await put(queue, 1, 2, 3)
            first = Intake(store, Program(), epoch=1, clock=time.time_ns)
            found = await collector.messages(0, wait=0)
            await first.take("queue", found[:2], complete_until=0)  # and it dies before it acknowledges
            second = Intake(store, Program(), epoch=2, clock=time.time_ns)
            after = await second.position("queue")
            assert [message.id for message in await collector.messages(after, wait=0)] == [found[2].id]

    asyncio.run(run())


def test_only_the_operator_may_ask(tmp_path: Path) -> None:
    async def run() -> None:
        async with a_collector(tmp_path) as (_, running):
            for role in (Role.SENSOR, Role.AUDIT):
                async with a_fetcher(running, role) as collector:
                    with pytest.raises(FetchError, match="HTTP 403"):
                        await collector.messages(0, wait=0)
                    with pytest.raises(FetchError, match="HTTP 403"):
                        await collector.acknowledge(1)

    asyncio.run(run())


def test_a_collector_that_is_away_is_asked_again(tmp_path: Path, store: Engine) -> None:
    async def others(_: Sequence[Message]) -> None:
        pass

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            intake = Intake(store, Program(), epoch=1, clock=time.time_ns)
            async with a_collector(tmp_path) as (queue, running):
                await put(queue, 1)
                context = running.tls(running.authorities.client(Role.OPERATOR))
                away = Collector("https://127.0.0.1:1", session, lambda: context, NAME)
                task = asyncio.create_task(
                    fetch("queue", away, intake, Progress(("queue",), time.time_ns()), others=others, clock=time.time_ns, spread=lambda: 0.0)
                )
                await asyncio.sleep(0.3)
                assert not task.done()
                away.url = f"https://127.0.0.1:{running.port}"
                await until_empty(queue)
                task.cancel()

    asyncio.run(run())
    assert kept(store) == ids(1)


def test_time_goes_on_when_every_queue_was_taken() -> None:
    minute = 60 * SECOND
    progress = Progress(("a", "b"), started_at=MARCH_12 * SECOND)
    now = MARCH_12 * SECOND + 1
    assert progress.complete_until(now) == 0
    progress.note("a", now, now=now)
    assert progress.complete_until(now) == 0  # b has said nothing yet
    progress.note("b", now - 5, now=now)
    assert progress.complete_until(now) == now - 5
    later = now + 2 * minute
    progress.note("a", later, now=later)
    assert progress.complete_until(later) == later  # b has been silent for longer than others wait for it
    progress.note("b", now + 1, now=later)
    assert progress.complete_until(later) == now + 1
