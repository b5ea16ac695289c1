"""One transaction of the queue: what is new and finds room is stored, in order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from watchkeeper_detection import wire
from watchkeeper_operator.bus import tables
from watchkeeper_operator.bus.messages import LATEST, Arrival, Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

RESERVE = 0.05  # beyond the bound: for statements of loss and states alone, so that there is always room to say that there is none
SHARE = 0.25  # of the bound: no source may hold more


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of all messages together: payload bytes, and how many."""

    bytes: int = 1024 * 1024 * 1024
    entries: int = 2_000_000


class QueueFullError(Exception):
    """No room for these messages; nothing of them was kept."""


class Stored(NamedTuple):
    """`repeated`: how many had been stored before."""

    stored: int
    repeated: int


class Taking:
    """Batches are taken one after the other: each whole, or not at all."""

    def __init__(self, connection: Connection, bounds: Bounds, moment: int) -> None:
        self._connection = connection
        self._bounds = bounds
        self._moment = moment
        self._turn = tables.take_turn(connection)

    def take(self, batch: Sequence[Arrival]) -> Stored | QueueFullError:
        fresh, marks = self._fresh(batch)
        if not fresh:
            return Stored(0, len(batch))
        held = tables.held_by(self._connection, {one.source for one in fresh})
        if not self._has_room(fresh, held):
            return QueueFullError("the queue is full")
        self._replace_states(fresh, held)
        self._add(fresh, held)
        if marks:
            tables.mark(self._connection, marks, self._moment)
        return Stored(len(fresh), len(batch) - len(fresh))

    def take_losses(self, losses: Mapping[str, wire.Blind]) -> dict[str, wire.Blind]:
        """Those that find no room even in the reserve come back."""
        taken = {source: self.take([Arrival(topic="loss", source=source, payload=wire.encode(blind))]) for source, blind in losses.items()}
        return {source: blind for source, blind in losses.items() if isinstance(taken[source], QueueFullError)}

    def end(self) -> tables.Turn:
        tables.end_turn(self._connection, self._turn)
        return self._turn

    def _fresh(self, batch: Sequence[Arrival]) -> tuple[list[Arrival], dict[tables.Spool, int]]:
        """What was not stored before, and the positions to remember."""
        spools = {(one.source, one.spool) for one in batch if one.spool}
        known = tables.marks_of(self._connection, spools) if spools else {}
        marks: dict[tables.Spool, int] = {}
        fresh = []
        for one in batch:
            spool = (one.source, one.spool)
            if one.spool:
                if one.position <= marks.get(spool, known.get(spool, -1)):
                    continue
                marks[spool] = one.position
            fresh.append(one)
        return fresh, marks

    def _has_room(self, fresh: Sequence[Arrival], held: Mapping[str, int]) -> bool:
        more = Counter[str]()
        for one in fresh:
            more[one.source] += len(one.payload)
        reserved = all(one.topic in LATEST or one.topic == "loss" for one in fresh)
        scale = 1 + RESERVE if reserved else 1
        return (
            self._turn.bytes + more.total() <= self._bounds.bytes * scale
            and self._turn.entries + len(fresh) <= self._bounds.entries * scale
            and all(held.get(source, 0) + size <= self._bounds.bytes * (SHARE + scale - 1) for source, size in more.items())
        )

    def _replace_states(self, fresh: Sequence[Arrival], held: dict[str, int]) -> None:
        states = {(one.source, one.topic) for one in fresh if one.topic in LATEST}
        if states:
            gone = tables.remove_latest(self._connection, states)
            for source, size in gone.bytes.items():
                held[source] -= size
            self._turn = self._turn.without(gone)

    def _add(self, fresh: Sequence[Arrival], held: dict[str, int]) -> None:
        first = self._turn.next_id
        tables.add(self._connection, [Message(first + number, one.topic, one.source, self._moment, one.payload) for number, one in enumerate(fresh)])
        for one in fresh:
            held[one.source] = held.get(one.source, 0) + len(one.payload)
        tables.note_held(self._connection, held)
        size = sum(len(one.payload) for one in fresh)
        self._turn = tables.Turn(first + len(fresh), self._turn.bytes + size, self._turn.entries + len(fresh))
