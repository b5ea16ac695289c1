"""What was judged of audit events → the store, whichever way the events came: by webhook or from a file."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from watchkeeper_detection import wire
from watchkeeper_detection.wire import Blind
from watchkeeper_operator.bus.messages import Arrival
from watchkeeper_operator.bus.taking import QueueFullError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from watchkeeper_detection.program import Program
    from watchkeeper_operator.bus.queue import Queue
    from watchkeeper_operator.collector.audit_judging import AuditJudge, BodyJudge, Judged
    from watchkeeper_operator.collector.audit_states import AuditStates

STORED_AT_ONCE = 500
TRUNCATED = "audit_truncated"

Topic = Literal["detection", "match", "loss"]


class Finding(NamedTuple):
    """What is to be stored. `key`: the same for the same thing found again, in a batch that came twice."""

    topic: Topic
    key: int
    payload: bytes


class Stored:
    """Keys of what was stored, the latest 100,000 to 200,000: the API server repeats a batch whose answer it missed within about a minute."""

    def __init__(self, room: int = 100_000) -> None:
        self._room = room
        self._young: set[int] = set()
        self._old: set[int] = set()

    def __contains__(self, key: int) -> bool:
        return key in self._young or key in self._old

    def add(self, key: int) -> None:
        if len(self._young) >= self._room:
            self._young, self._old = set(), self._young
        self._young.add(key)


def key_of(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).digest(), "big")


def findings(judged: Judged) -> list[Finding]:
    """What is to be stored of what some bytes gave; blindness last."""
    found = [Finding("detection", key_of(one.id), wire.encode(one)) for one in judged.detections]
    found += [Finding("match", key_of(one.rule, str(one.step), one.event_id), wire.encode(one)) for one in judged.matches]
    if judged.truncated:
        payload = wire.encode(Blind(cause=TRUNCATED, since=judged.oldest, until=judged.newest, records={"audit.request": judged.truncated}))
        found.append(Finding("loss", key_of("loss", payload.hex()), payload))
    return found


@dataclass(frozen=True, slots=True)
class AuditReceiver:
    """Judges in one thread of its own, so that the process answers others meanwhile."""

    judge: AuditJudge
    queue: Queue
    states: AuditStates
    thread: ThreadPoolExecutor
    stored: Stored = field(default_factory=Stored)
    has_policies: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the first rules: what was judged by none would count as clean."""

    @staticmethod
    @asynccontextmanager
    async def open(judge: AuditJudge, queue: Queue, states: AuditStates) -> AsyncIterator[AuditReceiver]:
        thread = ThreadPoolExecutor(1, "audit")
        try:
            receiver = AuditReceiver(judge, queue, states, thread)
            if judge.matcher.program.rules:
                receiver.has_policies.set()
            yield receiver
        finally:
            await asyncio.to_thread(thread.shutdown)

    async def use(self, program: Program) -> None:
        """Judge by this program from the next batch on."""
        await asyncio.get_running_loop().run_in_executor(self.thread, self.judge.use, program)
        if program.rules:
            self.has_policies.set()

    def batch(self, source: str) -> Batch:
        return Batch(self, source)

    async def store(self, source: str, found: Sequence[Finding]) -> bool:
        """Whether what is new of it is stored; what finds no room is stated as lost. Raises StoreError."""
        fresh = [one for one in found if one.key not in self.stored]
        if not fresh:
            return True
        name = f"audit/{source}"
        try:
            await self.queue.put([Arrival(topic=one.topic, source=name, payload=one.payload) for one in fresh])
        except QueueFullError:
            self.queue.lose(name, Counter(one.topic for one in fresh), self.states.clock())
            return False
        for one in fresh:
            self.stored.add(one.key)
        return True


class Batch:
    """Records of one source on their way from bytes to the store: what was fed is stored when `store` has returned."""

    def __init__(self, receiver: AuditReceiver, source: str) -> None:
        self._receiver = receiver
        self._source = source
        self._body: BodyJudge = receiver.judge.body(source)
        self._found: list[Finding] = []

    async def feed(self, content: bytes) -> None:
        """Raises StoreError."""
        await self._take(lambda: self._body.feed(content))

    async def close(self) -> None:
        """The last record need not be whole. Raises StoreError."""
        await self._take(self._body.close)
        await self.store()

    async def store(self) -> None:
        """Raises StoreError: what was found is still there, to be stored by the next try."""
        stored = await self._receiver.store(self._source, self._found)
        if stored:
            self._receiver.judge.remember(self._body.fresh)
        self._found = []
        self._body.fresh = set()

    async def _take(self, judge: Callable[[], Judged]) -> None:
        judged, found = await asyncio.get_running_loop().run_in_executor(self._receiver.thread, _judged, judge)
        self._receiver.states.add(self._source, judged)
        self._found += found
        if len(self._found) >= STORED_AT_ONCE:
            await self.store()


def _judged(judge: Callable[[], Judged]) -> tuple[Judged, list[Finding]]:
    judged = judge()
    return judged, findings(judged)
