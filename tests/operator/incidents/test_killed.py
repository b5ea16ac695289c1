"""A leader that is killed between any two steps loses nothing and counts nothing twice."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
from sqlalchemy import text
from tests.support.detections import MARCH_12, SECOND, a_detection
from tests.support.messages import TOPICS
from tests.support.spanning import a_denial

from watchkeeper_detection.wire import Blind, encode
from watchkeeper_operator.bus.messages import Arrival
from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.store.engine import open_engine, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgresql import PostgreSQL

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.match import Match

RUNS = 24  # of all moments, evenly
TABLES = {
    "detections": "SELECT id, incident = '' FROM detections ORDER BY id",
    "incidents": "SELECT severity, first_seen, last_seen, merged_into = '', content FROM incidents ORDER BY first_seen, last_seen",
    "blind": "SELECT source, since, until FROM blind ORDER BY id",
    "notices": "SELECT occasion FROM notices ORDER BY occasion",
    "positions": "SELECT queue FROM positions",
}


def said() -> list[Detection | Match | Blind]:
    """Detections of three incidents of which two become one, matches that make a threshold twice, and a loss."""
    detections = [a_detection(line=number, at=number, identity=("alice", "bob", "carol")[number % 3]) for number in range(1, 10)]
    bridge = [
        a_detection(line=20, at=11, identity=who, target="namespaces/a/serviceaccounts/b", id=f"{index:032x}")
        for index, who in enumerate(("alice", "bob"), 900)
    ]
    matches = [a_denial(number, number, who="dave") for number in range(1, 8)]
    loss = Blind(cause="ring_full", since=MARCH_12 * SECOND, until=(MARCH_12 + 1) * SECOND, records={"process.exec": 2})
    return [*detections[:5], *matches[:4], loss, *bridge, *detections[5:], *matches[4:], a_detection(line=30, severity="P4", identity="bob")]


def a_queue(folder: Path) -> None:
    async def fill() -> None:
        engine = open_engine(f"sqlite:///{folder / 'queue.db'}")
        queue = Queue(engine, clock=lambda: (MARCH_12 + 60) * SECOND)
        await queue.open()
        await queue.put([Arrival(topic=TOPICS[type(one).__name__], source="node/a", payload=encode(one)) for one in said()])
        await queue.close()

    asyncio.run(fill())


class Leaders:
    """Runs the intake in processes that may be killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, folder: Path, fatal: int, url: str = "") -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{folder} {fatal} {url or store(folder)}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def store(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.db'}"


class Whole(NamedTuple):
    """A full queue, how many moments its intake has, and what the store has afterwards when nobody is killed."""

    folder: Path
    moments: int
    outcome: dict[str, list[tuple[object, ...]]]


def outcome(url: str) -> dict[str, list[tuple[object, ...]]]:
    engine = open_engine(url)
    with reading(engine) as connection:
        found = {name: [tuple(row) for row in connection.execute(text(query))] for name, query in TABLES.items()}
    engine.dispose()
    return found


@pytest.fixture(scope="module")
def leaders() -> Iterator[Leaders]:
    process = subprocess.Popen([sys.executable, "-m", "tests.support.killed_intake"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        yield Leaders(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, leaders: Leaders) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    a_queue(folder)
    shutil.copytree(folder, folder / "copy")
    assert leaders.run(folder / "copy", 0) == 0
    return Whole(folder, int((folder / "copy" / "moments").read_text()), outcome(store(folder / "copy")))


def test_the_whole_makes_what_the_kills_are_compared_with(whole: Whole) -> None:
    assert whole.moments > 150
    assert len(whole.outcome["detections"]) == 9 + 2 + 1 + 2  # of their own, bridges, one to record, and two of the threshold
    assert len([row for row in whole.outcome["incidents"] if row[3]]) == 3  # alice with bob, carol, dave
    assert len(whole.outcome["blind"]) == 1


@pytest.mark.parametrize("part", range(RUNS))
def test_nothing_is_lost_and_nothing_counted_twice(part: int, whole: Whole, leaders: Leaders, tmp_path: Path) -> None:
    shutil.copyfile(whole.folder / "queue.db", tmp_path / "queue.db")
    assert leaders.run(tmp_path, 1 + part * whole.moments // RUNS) == -signal.SIGKILL
    assert leaders.run(tmp_path, 0) == 0
    assert outcome(store(tmp_path)) == whole.outcome


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_nor_on_postgresql(share: float, whole: Whole, leaders: Leaders, tmp_path: Path, postgresql: PostgreSQL) -> None:
    shutil.copyfile(whole.folder / "queue.db", tmp_path / "queue.db")
    url = postgresql.url()
    assert leaders.run(tmp_path, round(whole.moments * share), url) == -signal.SIGKILL
    assert leaders.run(tmp_path, 0, url) == 0
    assert outcome(url) == whole.outcome
