"""The leader's intake: what messages say becomes detections, incidents, blind intervals and notices, all in one transaction with the position.

So a kill at any moment neither loses nor doubles: either the store has all of a batch and the queue may forget it, or none of it and it comes again.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.wire import Blind, WireError, decode_blind, decode_detection, decode_match
from watchkeeper_operator.incidents.deciding import Arrived, arrived, decide, opens, rule_of, spans_of
from watchkeeper_operator.incidents.distrust import detection_of
from watchkeeper_operator.incidents.joining import LONGEST_NS
from watchkeeper_operator.incidents.joins import Joins, Taken, encode_taken
from watchkeeper_operator.incidents.keeping import keep, standing_near
from watchkeeper_operator.store.documents import claim
from watchkeeper_operator.store.engine import reading, writing
from watchkeeper_operator.store.incident_objects import touch_overlapping
from watchkeeper_operator.store.incidents import count_opened, known_detections
from watchkeeper_operator.store.progress import add_blind, count_dropped, move_position, note_taken, position, save_state, saved_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection, Engine

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.match import Match
    from watchkeeper_detection.program import Program
    from watchkeeper_operator.bus.messages import Message
    from watchkeeper_operator.incidents.keeping import Kept

STATE = "joins"
JOURNAL_ENTRIES = 500  # after which a snapshot is taken
DETECTION_ID = re.compile(r"[0-9a-f]{32}")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
TECHNIQUE = re.compile(r"T[0-9]{4}(\.[0-9]{3})?")
WORD = re.compile(r"[a-z][a-z0-9._]{0,62}")
LONGEST_BLIND_NS = 30 * 24 * 3600 * 1_000_000_000
FUTURE_NS = 600_000_000_000  # an event later than this from now on has a clock that is wrong: it counts as now


@dataclass(slots=True)
class Batch:
    """What messages said. detections: with the moment at which a collector had them; blind: with who said so."""

    detections: list[tuple[Detection, int]] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    blind: list[tuple[str, Blind]] = field(default_factory=list)
    damaged: int = 0


def read_messages(messages: Iterable[Message]) -> Batch:
    """Of detections, matches, losses and what was discarded; one that can't be read is a blind interval, for nobody knows what it said."""
    batch = Batch()
    for message in messages:
        try:
            _read(message, batch)
        except WireError:
            batch.damaged += 1
            batch.blind.append((message.source, Blind(cause="damaged", since=message.received_at, until=message.received_at, entries={message.topic: 1})))
    return batch


def _read(message: Message, batch: Batch) -> None:
    match message.topic:
        case "detection":
            detection = decode_detection(message.payload)
            if not is_well_named(detection):
                raise WireError("names that no policy and no detection has")
            batch.detections.append((_in_time(detection, message.received_at), message.received_at))
        case "match":
            batch.matches.append(decode_match(message.payload))
        case "discarded":
            batch.detections.append((detection_of(message), message.received_at))
        case "loss":
            batch.blind.append((message.source, _within(decode_blind(message.payload), message.received_at)))
        case _:
            pass


def _within(interval: Blind, received_at: int) -> Blind:
    """An interval of times that can be: who was blind for longer than a month says so of a month."""
    since = min(max(interval.since, received_at - LONGEST_BLIND_NS), received_at)
    return msgspec.structs.replace(interval, since=since, until=min(max(interval.until, since), received_at + FUTURE_NS))


def is_well_named(detection: Detection) -> bool:
    """Whether its names are such as policies have: objects and the store's columns hold them as they are."""
    names = (detection.policy, detection.rule, *([detection.namespace] if detection.namespace else []))
    words = [word for entity in detection.entities for word in (entity.role, entity.kind)]
    return (
        DETECTION_ID.fullmatch(detection.id) is not None
        and all(NAME.fullmatch(name) for name in names)
        and all(TECHNIQUE.fullmatch(technique) for technique in detection.attack)
        and all(WORD.fullmatch(word) for word in words)
    )


def _in_time(detection: Detection, received_at: int) -> Detection:
    """A clock that runs ahead would join what is to come for years."""
    if 0 <= detection.observed_at <= received_at + FUTURE_NS:
        return detection
    return msgspec.structs.replace(detection, observed_at=received_at)


class Intake:
    """Of one leader. Safe to call from several tasks: batches are taken one after the other.

    `epoch`: of the leader; the store refuses an older one. `clock`: nanoseconds since the epoch. Errors of the store pass as StoreError.
    """

    def __init__(self, store: Engine, program: Program, *, epoch: int, clock: Callable[[], int], receivers: Sequence[str] = ()) -> None:
        self._store, self._program, self._epoch, self._clock, self._receivers = store, program, epoch, clock, tuple(receivers)
        self._joins: Joins | None = None  # None: to be restored before anything is taken
        self._journal_entries = 0
        self._turn = asyncio.Lock()
        self._program_is_new = False
        self.changed = asyncio.Event()
        """Set when incidents changed; whoever shows them clears it."""

    async def use(self, program: Program) -> None:
        """Go on with other policies: rules whose condition is the same keep what they know."""
        async with self._turn:
            self._program, self._joins, self._program_is_new = program, None, True

    @property
    def is_waiting(self) -> bool:
        """Whether matches wait for time to go on; before the state is restored, they may."""
        return self._joins is None or self._joins.is_waiting

    async def position(self, queue: str) -> int:
        def read() -> int:
            with reading(self._store) as connection:
                return position(connection, queue)

        return await asyncio.to_thread(read)

    async def take(self, queue: str, messages: Sequence[Message], *, complete_until: int) -> None:
        """All of a queue's messages, durably. `complete_until`: what was received before has been taken from every queue."""
        await self._take(read_messages(messages), complete_until, queue=queue, through=messages[-1].id if messages else 0)

    async def hand_in(self, detections: Sequence[Detection] = (), matches: Sequence[Match] = (), *, blind: Sequence[tuple[str, Blind]] = ()) -> None:
        """What was found in this process, durably when it returns."""
        now = self._clock()
        await self._take(Batch([(one, now) for one in detections], list(matches), list(blind)), 0)

    async def _take(self, batch: Batch, complete_until: int, *, queue: str = "", through: int = 0) -> None:
        async with self._turn:
            kept: Kept | None = None
            try:
                kept = await asyncio.to_thread(self._write, batch, complete_until, queue, through)
            finally:
                if kept is None:
                    self._joins = None  # it may have taken what the store did not
        if kept.changed:
            self.changed.set()

    def _write(self, batch: Batch, complete_until: int, queue: str, through: int) -> Kept:
        now = self._clock()
        with writing(self._store) as connection:
            claim(connection, self._epoch)
            joins = self._restored(connection, now)
            taken = Taken(tuple(batch.matches), complete_until)
            joined = joins.take(taken)
            if batch.matches or joined:
                self._note(connection, joins, taken, now)
            arrivals = [*batch.detections, *((one, now) for one in joined)]
            kept = self._join(connection, arrivals, now)
            for source, interval in batch.blind:
                add_blind(connection, source, [interval])
                touch_overlapping(connection, interval.since, interval.until, now=now)
            count_dropped(connection, "message", "damaged", batch.damaged, since=now, until=now)
            if through:
                move_position(connection, queue, through, now=now)
        self._joins = joins
        return kept

    def _restored(self, connection: Connection, now: int) -> Joins:
        if self._joins is not None:
            return self._joins
        joins = Joins(self._program)
        try:
            joins.restore(*saved_state(connection, STATE))
        except ValueError:  # windows begin anew: what spans this moment may go unseen, and that is said
            joins = Joins(self._program)
            add_blind(connection, "operator", [Blind(cause="state_damaged", since=now, until=now)])
            self._program_is_new = True
        if self._program_is_new:  # what was taken under other policies is in the snapshot now
            save_state(connection, STATE, joins.snapshot(), now=now)
            self._program_is_new = False
        self._journal_entries = 0
        return joins

    def _note(self, connection: Connection, joins: Joins, taken: Taken, now: int) -> None:
        self._journal_entries += 1
        if self._journal_entries > JOURNAL_ENTRIES:
            save_state(connection, STATE, joins.snapshot(), now=now)
            self._journal_entries = 0
        else:
            note_taken(connection, STATE, encode_taken(taken.matches, taken.complete_until))

    def _join(self, connection: Connection, found: Sequence[tuple[Detection, int]], now: int) -> Kept:
        """New detections among these, and what they do to incidents."""
        by_id = {one.id: arrived(one, at) for one, at in reversed(found)}
        known = known_detections(connection, by_id)
        new = [one for name, one in by_id.items() if name not in known]
        opening = [one for one in new if opens(one)]
        standing = standing_near(connection, _spans(opening))
        so_far = count_opened(connection, {rule_of(one.detection) for one in opening}, since=now - LONGEST_NS)
        outcome = decide(standing, opening, so_far, now=now)
        return keep(connection, outcome, new, receivers=self._receivers, now=now)


def _spans(arrivals: Iterable[Arrived]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for one in arrivals:
        for key, span in spans_of(one).items():
            first, last = found.get(key, span)
            found[key] = (min(first, span.first), max(last, span.last))
    return found
