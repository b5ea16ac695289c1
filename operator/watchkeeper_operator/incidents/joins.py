"""Matches of nodes, audit and RBAC, joined by the rules that need them together: thresholds, sequences, first-seen across the cluster.

Rules that wait for late logs do not make the others wait: engines go by how late their events may come. What was taken since the last snapshot is
replayed over it, so that state lives through a kill at any moment; what an engine says again in a replay is known by its id.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.engine import LATENESS_NS, OTHER_LATENESS_NS, Engine
from watchkeeper_detection.match import Match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.program import Program, Rule

SECOND_NS = 1_000_000_000
LIVE_LATENESS_NS: dict[str, int] = {"kernel": 10 * SECOND_NS, "audit.request": 15 * SECOND_NS, "rbac.grant": 5 * SECOND_NS, "rbac.object": 5 * SECOND_NS}
"""From the event to the collector, with everything up: a sensor's queue, the API server's batch and one retry of it."""
FAMILIES_OF_LOGS = ("audit", "rbac", "cloudtrail", "azure", "signin", "gcp", "windows", "vpcflow", "log")
REMEMBERED = 50_000  # matches that are known again when they come twice

_encode = msgspec.msgpack.Encoder().encode


class Taken(msgspec.Struct, frozen=True, array_like=True):
    """One step of the engines: matches, then up to when queues are complete (nanoseconds since the epoch)."""

    matches: tuple[Match, ...]
    complete_until: int


class State(msgspec.Struct, frozen=True, array_like=True):
    engines: dict[int, bytes]
    seen: list[bytes]


_taken = msgspec.msgpack.Decoder(Taken)
_state = msgspec.msgpack.Decoder(State)


class Joins:
    """State of all rules that join matches in the leader. Reads no clock."""

    def __init__(self, program: Program, *, lateness_ns: Mapping[str, int] | None = None) -> None:
        self._lateness_ns = {**LATENESS_NS, **LIVE_LATENESS_NS, **(lateness_ns or {})}
        rules = [rule for rule in program.rules if rule.threshold or rule.first_seen or rule.sequence or rule.suppress]
        self._class_of = {rule.state_key: self._lateness_of(rule) for rule in rules}
        self._engines = {
            lateness: Engine(msgspec.structs.replace(program, rules=tuple(rule for rule in rules if self._class_of[rule.state_key] == lateness)))
            for lateness in sorted(set(self._class_of.values()))
        }
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self.unknown = 0  # matches of rules that are not, or no longer, in force
        self.repeated = 0

    def take(self, taken: Taken) -> list[Detection]:
        """Take matches, each once; then join what nothing earlier can come to any more."""
        found: list[Detection] = []
        for match in taken.matches:
            lateness = self._class_of.get(match.rule)
            if lateness is None:
                self.unknown += 1
            elif self._is_new(match):
                found += self._engines[lateness].wait(match)
        for lateness, engine in self._engines.items():
            found += engine.advance(taken.complete_until - lateness)
        return found

    @property
    def is_waiting(self) -> bool:
        return any(engine.is_waiting for engine in self._engines.values())

    @property
    def late(self) -> int:
        """Matches that came after their time and were judged alone."""
        return sum(engine.late for engine in self._engines.values())

    def blind(self) -> dict[str, str]:
        """Rules whose state does not let them see everything, with the reason."""
        return {rule: reason for engine in self._engines.values() for rule, reason in engine.joiner.blind().items()}

    def snapshot(self) -> bytes:
        return _encode(State({lateness: engine.snapshot() for lateness, engine in self._engines.items()}, list(self._seen)))

    def restore(self, snapshot: bytes | None, journal: Sequence[bytes]) -> None:
        """Take up a snapshot, also one of other policies, and what was taken since. Raises ValueError when it is none."""
        try:
            state = _state.decode(snapshot) if snapshot is not None else State({}, [])
            steps = [_taken.decode(entry) for entry in journal]
        except msgspec.DecodeError as damage:
            raise ValueError(f"not a state of joins: {damage}") from damage
        for lateness, engine in self._engines.items():
            if lateness in state.engines:
                engine.restore(state.engines[lateness])
        self._seen = OrderedDict.fromkeys(state.seen)
        for step in steps:
            self.take(step)

    def _lateness_of(self, rule: Rule) -> int:
        kinds = {*rule.kinds, *(kind for step in (rule.sequence.steps if rule.sequence else ()) for kind in step.kinds)}
        return max((self._lateness_of_kind(kind) for kind in kinds), default=OTHER_LATENESS_NS)

    def _lateness_of_kind(self, kind: str) -> int:
        family = kind.partition(".")[0]
        return self._lateness_ns.get(kind, OTHER_LATENESS_NS if family in FAMILIES_OF_LOGS else self._lateness_ns["kernel"])

    def _is_new(self, match: Match) -> bool:
        name = hashlib.blake2b(f"{match.rule}/{match.step}/{match.event_id}".encode("utf-8", "replace"), digest_size=12).digest()
        if name in self._seen:
            self.repeated += 1
            return False
        self._seen[name] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True


def encode_taken(matches: Iterable[Match], complete_until: int) -> bytes:
    return _encode(Taken(tuple(matches), complete_until))
