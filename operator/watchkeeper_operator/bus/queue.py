"""The durable queue: what was put is on disk when `put` returns, and stays there until it is acknowledged. Bounded; what finds no room is refused, never dropped.

Several callers' messages go to disk in one transaction: one sync serves all who wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from watchkeeper_detection import wire
from watchkeeper_operator.bus import tables
from watchkeeper_operator.bus.taking import Bounds, QueueFullError, Stored, Taking
from watchkeeper_operator.store.engine import StoreError, reading, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Engine

    from watchkeeper_operator.bus.messages import Arrival, Message

PORTION_BYTES = 16 * 1024 * 1024  # of one transaction, beyond its first batch
STATE_SECONDS = 1.0  # between two statements of loss
POLL_SECONDS = 1.0  # for what another replica put


Outcome = Stored | QueueFullError | StoreError


class _Batch(NamedTuple):
    arrivals: Sequence[Arrival]
    done: asyncio.Future[Stored]


class Queue:
    """One per process. `clock`: ns since the epoch."""

    def __init__(self, engine: Engine, bounds: Bounds = Bounds(), *, clock: Callable[[], int] = time.time_ns) -> None:  # noqa: B008 (frozen)
        self.refused: Counter[str] = Counter()  # topic → messages that found no room
        self.depth = tables.Turn(0, 0, 0)  # as the last transaction left it
        self._engine = engine
        self.bounds = bounds
        self._clock = clock
        self._waiting: list[_Batch] = []
        self._in_hand: list[_Batch] = []
        self._writer: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self._losses: dict[str, wire.Blind] = {}
        self._stating: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Make the tables where they are missing. Raises StoreError."""

        def create() -> tables.Turn:
            with writing(self._engine) as connection:
                tables.create(connection, self._clock() // 1000)
                return tables.take_turn(connection)

        self.depth = await asyncio.to_thread(create)

    async def put(self, arrivals: Sequence[Arrival]) -> Stored:
        """All of them are kept when this returns, or none. Raises QueueFullError, StoreError."""
        done: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Batch(tuple(arrivals), done))
        self._begin()
        return await done

    def lose(self, source: str, entries: Mapping[str, int], since: int) -> None:
        """State that something was found and could not be kept: within a second, in one message for all that a source lost meanwhile."""
        before = self._losses.get(source)
        counts = Counter(before.entries if before else {}) + Counter(entries)
        self._losses[source] = wire.Blind(cause="queue_full", since=min(before.since, since) if before else since, until=self._clock(), entries=dict(counts))
        if self._stating is None:
            self._stating = asyncio.get_running_loop().call_later(STATE_SECONDS, self._state)

    async def fetch(self, after: int, limit: int, limit_bytes: int, wait: float = 0.0) -> list[Message]:
        """The first messages above a number; waits so many seconds for one. Raises StoreError."""
        ends_at = time.monotonic() + wait
        while True:
            arrived = self._arrived
            if found := await asyncio.to_thread(self._fetch, after, limit, limit_bytes):
                return found
            if (left := ends_at - time.monotonic()) <= 0:
                return []
            try:
                async with asyncio.timeout(min(left, POLL_SECONDS)):
                    await arrived.wait()
            except TimeoutError:
                continue

    async def acknowledge(self, through: int) -> int:
        """Messages up to this number go; returns how many. Raises StoreError."""
        return await asyncio.to_thread(self._acknowledge, through)

    async def oldest_received_at(self) -> int | None:
        """Raises StoreError."""

        def oldest() -> int | None:
            with reading(self._engine) as connection:
                return tables.oldest_received_at(connection)

        return await asyncio.to_thread(oldest)

    async def close(self) -> None:
        """What was put is written, what was lost is stated."""
        self._state()
        while self._writer is not None:
            await self._writer
        if self._stating is not None:
            self._stating.cancel()
        self._engine.dispose()

    def _state(self) -> None:
        if self._stating is not None:
            self._stating.cancel()
            self._stating = None
        if self._losses:
            self._begin()

    def _begin(self) -> None:
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._waiting or (self._losses and self._stating is None):
                self._in_hand, losses = self._portion(), self._losses_to_state()
                outcomes: Sequence[Outcome]
                try:
                    outcomes, unstated = await asyncio.to_thread(self._store, [one.arrivals for one in self._in_hand], losses)
                except StoreError as error:
                    outcomes, unstated = [error] * len(self._in_hand), losses
                self._restate(unstated)
                for batch, outcome in zip(self._in_hand, outcomes, strict=True):
                    self._settle(batch, outcome)
                self._in_hand = []
                arrived, self._arrived = self._arrived, asyncio.Event()
                arrived.set()
        finally:
            self._writer = None
            for batch in self._in_hand:  # a mistake of ours ended the writer: nobody waits for ever
                self._settle(batch, StoreError("the queue's writer has failed"))

    def _settle(self, batch: _Batch, outcome: Outcome) -> None:
        if isinstance(outcome, QueueFullError):
            self.refused.update(one.topic for one in batch.arrivals)
        if batch.done.cancelled():  # its caller has gone; what was stored stays
            return
        if isinstance(outcome, Stored):
            batch.done.set_result(outcome)
        else:
            batch.done.set_exception(outcome)

    def _portion(self) -> list[_Batch]:
        size, count = 0, 0
        for count, batch in enumerate(self._waiting, 1):  # noqa: B007 (how many is what is asked)
            size += sum(len(one.payload) for one in batch.arrivals)
            if size > PORTION_BYTES:
                break
        portion, self._waiting = self._waiting[:count], self._waiting[count:]
        return portion

    def _losses_to_state(self) -> dict[str, wire.Blind]:
        if self._stating is not None:  # their time has not come
            return {}
        losses, self._losses = self._losses, {}
        return losses

    def _restate(self, losses: Mapping[str, wire.Blind]) -> None:
        for source, blind in losses.items():
            self.lose(source, blind.entries, blind.since)

    def _store(self, batches: Sequence[Sequence[Arrival]], losses: Mapping[str, wire.Blind]) -> tuple[Sequence[Outcome], dict[str, wire.Blind]]:
        with writing(self._engine) as connection:
            taking = Taking(connection, self.bounds, self._clock())
            unstated = taking.take_losses(losses)
            outcomes = [taking.take(batch) for batch in batches]
            self.depth = taking.end()
        return outcomes, unstated

    def _fetch(self, after: int, limit: int, limit_bytes: int) -> list[Message]:
        with reading(self._engine) as connection:
            return tables.fetch(connection, after, limit, limit_bytes)

    def _acknowledge(self, through: int) -> int:
        with writing(self._engine) as connection:
            turn = tables.take_turn(connection)
            gone = tables.remove_through(connection, through)
            if gone.entries:
                held = tables.held_by(connection, gone.bytes)
                tables.note_held(connection, {source: held.get(source, 0) - size for source, size in gone.bytes.items()})
            self.depth = turn.without(gone)
            tables.end_turn(connection, self.depth)
        return gone.entries
