"""Audit files are judged as batches are, and nothing is noted as read before it is stored."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry
from sqlalchemy import text
from tests.support.audit import an_administrator_binding

from watchkeeper_cli.policy_set import library_program
from watchkeeper_detection import wire
from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.collector import audit_files
from watchkeeper_operator.collector.audit_judging import AuditJudge
from watchkeeper_operator.collector.audit_receiving import AuditReceiver
from watchkeeper_operator.collector.audit_states import AuditStates
from watchkeeper_operator.store.engine import open_engine


@asynccontextmanager
async def following(folder, *, engine):
    queue = Queue(engine)
    await queue.open()
    states = AuditStates("collector-0", CollectorRegistry(), time.time_ns)
    async with AuditReceiver.open(AuditJudge(library_program(), keys=tuple, clock=time.time_ns), queue, states) as receiver:
        task = asyncio.create_task(audit_files.follow(receiver, "node-1", [str(folder / "audit.log")], folder / "notes.json", retry_seconds=0.1))
        try:
            yield queue
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    await queue.close()


async def granted(queue, count):
    """Names of so many bindings, when their detections are there."""
    end = time.monotonic() + 15
    while True:
        found = [wire.decode_detection(one.payload) for one in await queue.fetch(0, 10_000, 1 << 28) if one.topic == "detection"]
        names = [one.event_ids[0] for one in found if one.rule == "granted"]
        if len(names) >= count or time.monotonic() > end:
            return names
        await asyncio.sleep(0.05)


def wrote(folder, *numbers):
    with (folder / "audit.log").open("a") as file:
        file.writelines(json.dumps(an_administrator_binding(number)) + "\n" for number in numbers)


def test_lines_are_judged_and_the_next_process_goes_on(tmp_path):
    (tmp_path / "audit.log").touch()
    audit_files.note(tmp_path / "notes.json", audit_files.Positions())
    engine = open_engine(f"sqlite:///{tmp_path}/queue.db")

    async def act():
        async with following(tmp_path, engine=engine) as queue:
            wrote(tmp_path, 1, 2)
            assert len(await granted(queue, 2)) == 2
            await asyncio.sleep(0.6)  # until it is noted
        wrote(tmp_path, 3)
        async with following(tmp_path, engine=engine) as queue:
            return await granted(queue, 3)

    assert len(asyncio.run(act())) == 3


def test_a_store_that_can_not_be_written_to_is_waited_for(tmp_path):
    (tmp_path / "audit.log").touch()
    audit_files.note(tmp_path / "notes.json", audit_files.Positions())
    before = (tmp_path / "notes.json").read_bytes()
    engine = open_engine(f"sqlite:///{tmp_path}/queue.db")

    async def act():
        async with following(tmp_path, engine=engine) as queue:
            with engine.begin() as connection:
                connection.execute(text("ALTER TABLE queue_messages RENAME TO elsewhere"))
            wrote(tmp_path, 1)
            await asyncio.sleep(1.5)
            unread = (tmp_path / "notes.json").read_bytes() == before
            with engine.begin() as connection:
                connection.execute(text("ALTER TABLE elsewhere RENAME TO queue_messages"))
            return unread, await granted(queue, 1)

    unread, names = asyncio.run(act())
    assert unread
    assert len(names) == 1
