"""What was put is there until it is acknowledged, once, in order, within bounds; and whoever reads misses nothing."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from watchkeeper_detection import wire
from watchkeeper_operator.bus.messages import Arrival, Message
from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.bus.tables import SPOOLS
from watchkeeper_operator.bus.taking import Bounds, QueueFullError, Stored
from watchkeeper_operator.store.engine import open_engine

WIDE = Bounds(1_000_000, 10_000)


def an_arrival(position: int = 0, *, source: str = "node/a", spool: str = "s", topic: str = "detection", payload: bytes = b"x") -> Arrival:
    return Arrival(topic=topic, source=source, payload=payload, spool=spool, position=position)


def a_queue(url: str, bounds: Bounds = WIDE) -> Queue:
    return Queue(open_engine(url), bounds)


def run(url: str, story: object, bounds: Bounds = WIDE) -> object:
    async def whole() -> object:
        queue = a_queue(url, bounds)
        await queue.open()
        try:
            return await story(queue)
        finally:
            await queue.close()

    return asyncio.run(whole())


async def all_of(queue: Queue) -> list[Message]:
    return await queue.fetch(0, 10_000, 10**9)


def test_messages_come_back_in_the_order_of_their_arrival(url: str) -> None:
    async def story(queue: Queue) -> list[Message]:
        for number in range(5):
            await queue.put([an_arrival(2 * number, payload=b"%d" % number), an_arrival(2 * number + 1, payload=b"%d'" % number)])
        return await all_of(queue)

    found = run(url, story)
    assert [one.payload for one in found] == [b"0", b"0'", b"1", b"1'", b"2", b"2'", b"3", b"3'", b"4", b"4'"]
    assert [one.id for one in found] == sorted({one.id for one in found})


def test_what_was_put_is_there_after_a_restart(url: str) -> None:
    async def put(queue: Queue) -> Stored:
        return await queue.put([an_arrival(1)])

    run(url, put)
    assert [one.payload for one in run(url, all_of)] == [b"x"]


def test_what_comes_twice_is_kept_once_also_after_it_was_acknowledged_and_over_a_restart(url: str) -> None:
    async def first(queue: Queue) -> None:
        assert await queue.put([an_arrival(1), an_arrival(2)]) == Stored(2, 0)
        assert await queue.put([an_arrival(1), an_arrival(2), an_arrival(3)]) == Stored(1, 2)
        assert await queue.acknowledge((await all_of(queue))[-1].id) == 3

    async def second(queue: Queue) -> None:
        assert await queue.put([an_arrival(3)]) == Stored(0, 1)
        assert await queue.put([an_arrival(3, spool="other"), an_arrival(3, source="node/b")]) == Stored(2, 0)

    run(url, first)
    run(url, second)


def test_the_same_position_twice_in_one_delivery_is_kept_once(url: str) -> None:
    async def story(queue: Queue) -> None:
        assert await queue.put([an_arrival(1), an_arrival(1)]) == Stored(1, 1)

    run(url, story)


def test_messages_without_a_spool_are_all_kept(url: str) -> None:
    async def story(queue: Queue) -> None:
        assert await queue.put([an_arrival(spool=""), an_arrival(spool="")]) == Stored(2, 0)

    run(url, story)


def test_spools_of_a_source_are_remembered_up_to_a_bound(url: str) -> None:
    async def story(queue: Queue) -> None:
        for number in range(SPOOLS + 10):
            await queue.put([an_arrival(1, spool=f"spool-{number:02}")])
        assert await queue.put([an_arrival(1, spool=f"spool-{SPOOLS + 9}"), an_arrival(1, spool="spool-10")]) == Stored(0, 2)
        assert await queue.put([an_arrival(1, spool="spool-00")]) == Stored(1, 0)

    run(url, story)


def test_what_is_acknowledged_goes_and_the_rest_stays(url: str) -> None:
    async def story(queue: Queue) -> None:
        await queue.put([an_arrival(number) for number in range(10)])
        found = await all_of(queue)
        assert await queue.acknowledge(found[3].id) == 4
        assert await all_of(queue) == found[4:]
        assert queue.depth.entries == 6

    run(url, story)


def test_numbers_rise_also_over_a_queue_that_was_lost(tmp_path: Path) -> None:
    async def story(queue: Queue) -> int:
        await queue.put([an_arrival(1)])
        (one,) = await all_of(queue)
        return one.id

    assert run(f"sqlite:///{tmp_path}/a.db", story) < run(f"sqlite:///{tmp_path}/b.db", story)


def test_numbers_are_not_given_twice_when_all_has_gone(url: str) -> None:
    async def story(queue: Queue) -> int:
        await queue.put([an_arrival(1, spool="")])
        (one,) = await all_of(queue)
        await queue.acknowledge(one.id)
        return one.id

    assert run(url, story) < run(url, story)


def test_a_full_queue_takes_nothing_of_a_batch_and_takes_again_when_there_is_room(url: str) -> None:
    async def story(queue: Queue) -> None:
        for source in "abcd":
            await queue.put([an_arrival(1, source=source, payload=bytes(240))])
        with pytest.raises(QueueFullError):
            await queue.put([an_arrival(1, source="e", payload=bytes(30)), an_arrival(2, source="e", payload=bytes(30))])
        assert queue.refused == {"detection": 2}
        await queue.acknowledge((await all_of(queue))[0].id)
        assert await queue.put([an_arrival(1, source="e", payload=bytes(60))]) == Stored(1, 0), "a refused position was not remembered"

    run(url, story, Bounds(1000, 100))


def test_the_number_of_messages_is_bounded_too(url: str) -> None:
    async def story(queue: Queue) -> None:
        await queue.put([an_arrival(number, payload=b"") for number in range(20)])
        with pytest.raises(QueueFullError):
            await queue.put([an_arrival(21, payload=b"")])

    run(url, story, Bounds(1000, 20))


def test_one_source_leaves_room_for_others(url: str) -> None:
    async def story(queue: Queue) -> None:
        await queue.put([an_arrival(1, payload=bytes(250))])
        with pytest.raises(QueueFullError):
            await queue.put([an_arrival(2, payload=bytes(10))])
        await queue.put([an_arrival(1, source="node/b", payload=bytes(250))])
        await queue.acknowledge((await all_of(queue))[0].id)
        assert await queue.put([an_arrival(2, payload=bytes(250))]) == Stored(1, 0)

    run(url, story, Bounds(1000, 100))


def test_a_loss_is_stated_also_when_the_queue_is_full(url: str) -> None:
    async def story(queue: Queue) -> None:
        for source in "abcd":
            await queue.put([an_arrival(1, source=source, payload=bytes(1000))])
        for since in (70, 60, 80):
            queue.lose("audit/main", {"detection": 2, "match": 1}, since)
        async with asyncio.timeout(5):
            (*_, last) = await all_of(queue)
            found = [last, *await queue.fetch(last.id, 10, 10**6, wait=5)]
        assert (found[-1].topic, found[-1].source) == ("loss", "audit/main")
        blind = wire.decode_blind(found[-1].payload)
        assert (blind.cause, blind.since, blind.entries) == ("queue_full", 60, {"detection": 6, "match": 3})

    run(url, story, Bounds(4000, 100))


def test_a_loss_is_stated_when_the_process_ends(url: str) -> None:
    async def story(queue: Queue) -> None:
        queue.lose("audit/main", {"detection": 1}, 5)

    run(url, story)
    assert [one.topic for one in run(url, all_of)] == ["loss"]


def test_of_states_only_the_latest_of_each_source_waits(url: str) -> None:
    async def story(queue: Queue) -> None:
        for text in (b"1", b"2", b"3"):
            await queue.put([an_arrival(topic="node-state", spool="", payload=text), an_arrival(topic="node-state", spool="", source="node/b", payload=text)])
        assert [(one.source, one.payload) for one in await all_of(queue)] == [("node/a", b"3"), ("node/b", b"3")]
        assert queue.depth.entries == 2
        assert queue.depth.bytes == 2

    run(url, story)


def test_fetching_is_bounded_by_number_and_bytes_and_always_gets_on(url: str) -> None:
    async def story(queue: Queue) -> None:
        await queue.put([an_arrival(number, payload=bytes(100)) for number in range(10)])
        assert len(await queue.fetch(0, 3, 10**6)) == 3
        assert len(await queue.fetch(0, 10, 250)) == 2
        assert len(await queue.fetch(0, 10, 1)) == 1
        found = await queue.fetch(0, 3, 10**6)
        assert len(await queue.fetch(found[-1].id, 100, 10**6)) == 7

    run(url, story)


def test_whoever_waits_hears_at_once(url: str) -> None:
    async def story(queue: Queue) -> None:
        waiting = asyncio.create_task(queue.fetch(0, 10, 10**6, wait=20))
        await asyncio.sleep(0.05)
        await queue.put([an_arrival(1)])
        async with asyncio.timeout(2):
            assert len(await waiting) == 1
        assert await queue.fetch((await all_of(queue))[-1].id, 10, 10**6, wait=0.05) == []

    run(url, story)


def test_many_who_put_at_once_share_a_sync_and_none_is_lost(url: str) -> None:
    async def story(queue: Queue) -> None:
        done = await asyncio.gather(*(queue.put([an_arrival(1, source=f"node/{number}")]) for number in range(200)))
        assert done == [Stored(1, 0)] * 200
        assert len({one.source for one in await all_of(queue)}) == 200

    run(url, story)


def test_a_caller_who_gives_up_stops_nobody(url: str) -> None:
    async def story(queue: Queue) -> None:
        puts = [asyncio.create_task(queue.put([an_arrival(number, spool="")])) for number in range(3)]
        await asyncio.sleep(0)
        puts[1].cancel()
        assert await puts[0] == await puts[2] == Stored(1, 0)

    run(url, story)


def test_replicas_that_share_a_database_show_no_message_behind_one_that_was_read(url: str) -> None:
    """Numbers of two writers appear in the order of their commits: what was acknowledged holds nothing unread."""

    async def story(first: Queue) -> None:
        second = a_queue(url)
        await second.open()
        writing = [
            asyncio.create_task(queue.put([an_arrival(number, source=f"{name}/{part}", payload=bytes(50)) for number in range(20)]))
            for part in range(40)
            for name, queue in (("a", first), ("b", second))
        ]
        read: list[Message] = []
        while len(read) < 1600:
            found = await first.fetch(read[-1].id if read else 0, 100, 10**6, wait=5)
            assert found, "a message never came"
            read += found
            await second.acknowledge(read[-1].id)
        await asyncio.gather(*writing)
        assert await all_of(first) == []
        assert [one.id for one in read] == sorted(one.id for one in read)
        await second.close()

    run(url, story)


PUTTING = """
import asyncio, sys
from watchkeeper_operator.bus.messages import Arrival
from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.bus.tables import SPOOLS
from watchkeeper_operator.store.engine import open_engine

async def main():
    queue = Queue(open_engine(f"sqlite:///{sys.argv[1]}/queue.db"))
    await queue.open()
    async def putting(source):
        position = 0
        while True:
            await queue.put([Arrival(topic="detection", source=source, payload=b"x" * 300, spool="s", position=position + n) for n in range(10)])
            position += 10
            print(source, position - 1, flush=True)
    await asyncio.gather(*(putting(f"node/{n}") for n in range(4)))
asyncio.run(main())
"""


@pytest.mark.parametrize("answers", [5, 60])
def test_killed_in_the_middle_nothing_that_was_answered_is_lost(tmp_path: Path, answers: int) -> None:
    with subprocess.Popen([sys.executable, "-c", PUTTING, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        told = [process.stdout.readline() for _ in range(answers)]
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    answered: dict[str, int] = {}
    for line in told:
        if line.endswith("\n"):
            source, position = line.split()
            answered[source] = int(position)
    assert answered
    found = run(f"sqlite:///{tmp_path}/queue.db", all_of)
    for source, last in answered.items():
        mine = [one for one in found if one.source == source]
        assert len(mine) >= last + 1
        assert len(mine) % 10 == 0, "a batch is there whole or not at all"
