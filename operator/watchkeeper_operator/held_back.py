"""What PolicyExceptions held back, summed over nodes and their restarts, and kept in the store: an exception that is never used can be found."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_operator.names import ROOT_NAMESPACE
from watchkeeper_operator.policy_objects import EXCEPTION, Key
from watchkeeper_operator.policy_statuses import Held
from watchkeeper_operator.sensors.node_statuses import rfc3339
from watchkeeper_operator.store.documents import FencedError, claim, document, put_document
from watchkeeper_operator.store.engine import StoreError, reading, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Engine

    from watchkeeper_detection.node_wire import NodeState
    from watchkeeper_operator.policy_objects import Written

KIND, NAME = "held-back", "sums"
SAVE_SECONDS = 60.0
ENTRIES_OF_A_NODE = 1000
MOST = 2**53 - 1

log = logging.getLogger(__name__)


class Node(msgspec.Struct, frozen=True):
    """What a node said last: since when it counts, and how much."""

    started_at: int
    counts: dict[str, int]


class Sums(msgspec.Struct):
    """`exceptions`: `namespace/name` → how many, and when the last was seen (ns since the epoch); `nodes`: by uid."""

    exceptions: dict[str, tuple[int, int]] = {}
    nodes: dict[str, Node] = {}


def called(exception: Key) -> str:
    """What nodes call it (`program.Guard.name`)."""
    return exception.name if exception.namespace == ROOT_NAMESPACE else f"{exception.namespace}/{exception.name}"


def add(sums: Sums, uid: str, state: NodeState, at: int, in_force: Iterable[Written]) -> set[Key]:
    """Take in what a node says: counts go on from its last word, or begin anew where its sensor did. Returns exceptions that were used."""
    before = sums.nodes.get(uid)
    known: Mapping[str, int] = before.counts if before is not None and before.started_at == state.started_at else {}
    counts = dict(list(state.held_back.items())[:ENTRIES_OF_A_NODE])
    sums.nodes[uid] = Node(state.started_at, counts)
    policies = {one.key: str(one.spec.get("policy", "")) for one in in_force if one.key.kind == EXCEPTION} if counts != known else {}
    exceptions = {(policy, called(key)): key for key, policy in policies.items()}
    used = set()
    for text, count in counts.items():
        more = count - known.get(text, 0)
        rule, _, name = text.partition(" ")
        key = exceptions.get((rule.partition("/")[0], name))
        if more > 0 and key is not None:
            held = f"{key.namespace}/{key.name}"
            sums.exceptions[held] = (min(MOST, sums.exceptions.get(held, (0, 0))[0] + more), at)
            used.add(key)
    return used


class HeldBack:
    """Of one leader."""

    def __init__(self, store: Engine, epoch: int, clock: Callable[[], int]) -> None:
        self._store, self._epoch, self._clock = store, epoch, clock
        self._sums = Sums({}, {})
        self._changed = False

    async def load(self) -> None:
        """Raises StoreError."""

        def read() -> bytes | None:
            with reading(self._store) as connection:
                return document(connection, KIND, NAME)

        content = await asyncio.to_thread(read)
        if content is not None:
            self._sums = msgspec.msgpack.decode(content, type=Sums)

    def take(self, uid: str, state: NodeState, at: int, in_force: Iterable[Written]) -> set[Key]:
        """Exceptions that were used since the node's last word."""
        used = add(self._sums, uid, state, at, in_force)
        self._changed |= bool(used)
        return used

    def by_exception(self) -> dict[Key, Held]:
        return {Key(EXCEPTION, *name.split("/", 1)): Held(count, rfc3339(at)) for name, (count, at) in self._sums.exceptions.items()}

    async def run(self) -> None:
        """Saves what changed, until cancelled. Raises FencedError."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            if self._changed:
                self._changed = False
                try:
                    await asyncio.to_thread(self._save, msgspec.msgpack.encode(self._sums))
                except FencedError:
                    raise
                except StoreError as trouble:
                    self._changed = True
                    log.warning("what exceptions held back is not on disk: %s", trouble)

    def _save(self, content: bytes) -> None:
        with writing(self._store) as connection:
            claim(connection, self._epoch)
            put_document(connection, KIND, NAME, content, now=self._clock())
