"""The stateful half of the engine: matches in event-time order in; detections of thresholds, sequences, first-seen and
suppressed rules out. Reads no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from watchkeeper_detection.cel.compile import compile_captured
from watchkeeper_detection.cel.paths import captured_key
from watchkeeper_detection.cel.tree import Field
from watchkeeper_detection.first_seen import FirstSeenState
from watchkeeper_detection.matcher import make_detection, message_of, shown
from watchkeeper_detection.sequence import SequenceState
from watchkeeper_detection.suppress import SuppressState
from watchkeeper_detection.threshold import ThresholdState
from watchkeeper_detection.window_state import Fired

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.match import Match, Scalar
    from watchkeeper_detection.program import Guard, Program, Rule

SNAPSHOT_VERSION = 1
FirstSeenMode = Literal["live", "baseline", "blind", "learn"]


class RuleState:
    """One stateful rule's state: what makes it fire, then what keeps it quiet."""

    def __init__(self, rule: Rule, lists: Mapping[str, Any]) -> None:
        self.rule = rule
        self.core: ThresholdState | FirstSeenState | SequenceState | None = None
        if rule.threshold:
            self.core = ThresholdState(rule.threshold)
        elif rule.first_seen:
            self.core = FirstSeenState(rule.first_seen)
        elif rule.sequence:
            self.core = SequenceState(rule.sequence, lists)
        self.suppress = SuppressState(rule.suppress) if rule.suppress else None
        self.guards = [(guard, compile_captured(guard.when, lists)) for guard in (*rule.unless, *rule.exceptions)] if rule.sequence else []
        self.held: dict[Guard, int] = {}

    def join(self, match: Match) -> Detection | None:
        fired = self.core.join(match) if self.core else Fired(match, (match,), 1)
        if fired is None:
            return None
        message = None
        spoken = match
        if isinstance(self.core, SequenceState):
            captured = self.core.captured(dict(enumerate(fired.matches)))
            for guard, holds in self.guards:
                if (not guard.until_ns or match.observed_at < guard.until_ns) and holds(captured):
                    self.held[guard] = self.held.get(guard, 0) + 1
                    return None
            spoken = msgspec.structs.replace(match, suppress=self._suppress_key(fired.matches[-1], captured))
            message = "".join(word.text if not word.path else shown(captured.get(word.path), reveals=self.rule.reveals) for word in self.rule.message)
        elif fired.times > 1:
            message = (
                f"{message_of(self.rule, fired.last.words)} ({fired.times} {'different' if self.rule.threshold and self.rule.threshold.distinct else 'times'})"
            )
        if self.suppress and not self.suppress.allows(spoken):
            return None
        return make_detection(self.rule, fired.matches, fired.times, message=message)

    def _suppress_key(self, last: Match, captured: Mapping[str, Scalar]) -> tuple[Scalar, ...]:
        """Values of `suppress.by`: what the last step's match brought, or what an earlier step kept."""
        by = self.rule.suppress.by if self.rule.suppress else ()
        return tuple(
            captured.get(captured_key(node)) if isinstance(node, Field) and node.step else value for node, value in zip(by, last.suppress, strict=True)
        )

    @property
    def parts(self) -> Iterator[tuple[str, Any]]:
        if self.core:
            yield "core", self.core
        if self.suppress:
            yield "suppress", self.suppress


class Joiner:
    """Joins matches of all stateful rules. Feed it in the order of `Match.order()`."""

    def __init__(self, program: Program, *, first_seen: FirstSeenMode = "live") -> None:
        lists = {name: frozenset(values) for name, values in program.lists.items()}
        self.first_seen = first_seen
        self.states = {rule.state_key: RuleState(rule, lists) for rule in program.rules if rule.threshold or rule.first_seen or rule.sequence or rule.suppress}

    def join(self, match: Match) -> Detection | None:
        state = self.states.get(match.rule)
        if state is None:  # a match made by another revision of the policies
            return None
        if self.first_seen != "live" and isinstance(state.core, FirstSeenState):
            if self.first_seen == "blind":
                return None
            detection = state.join(match)
            return None if self.first_seen == "learn" else detection
        return None if self.first_seen == "learn" else state.join(match)

    def join_alone(self, match: Match) -> Detection | None:
        """A match that came too late to be joined with others: a rule that needs no others still speaks."""
        state = self.states.get(match.rule)
        return self.join(match) if state is not None and state.core is None else None

    def close(self, watermark: int) -> None:
        """Forget what can't complete any more: no match at or before `watermark` (nanoseconds) is still to come."""
        for state in self.states.values():
            for _, part in state.parts:
                part.close(watermark)

    def blind(self) -> dict[str, str]:
        """Rules whose state does not let them see everything, with the reason."""
        reasons = {}
        for state in self.states.values():
            if isinstance(state.core, FirstSeenState):
                if self.first_seen == "blind":
                    reasons[state.rule.name] = "no baseline: what is new can't be known"
                elif state.core.blind:
                    reasons[state.rule.name] = f"first-seen store is full: {state.core.unlearned} matches were not judged"
            elif state.core and state.core.evicted:
                reasons[state.rule.name] = f"state is full: {state.core.given_up()}"
            elif isinstance(state.core, SequenceState) and state.core.untimed:
                reasons[state.rule.name] = "some events say no time: they have no place in a sequence"
        return reasons

    def held(self) -> dict[tuple[str, str, bool], int]:
        """(rule, guard, is it an exception) → completed sequences held back."""
        return {(state.rule.name, guard.name, guard.exception): count for state in self.states.values() for guard, count in state.held.items()}

    def suppressed(self) -> dict[str, int]:
        return {state.rule.name: state.suppress.held for state in self.states.values() if state.suppress and state.suppress.held}

    def snapshot(self) -> bytes:
        """All state, for `restore` of this or a later revision of the policies."""
        states = {key: {name: part.snapshot() for name, part in state.parts} for key, state in self.states.items()}
        return msgspec.msgpack.encode({"version": SNAPSHOT_VERSION, "states": states})

    def restore(self, data: bytes) -> tuple[str, ...]:
        """Take up state; returns the rules that begin anew because their condition is not the snapshot's.

        Raises ValueError when `data` is no snapshot of this version.
        """
        try:
            found = msgspec.msgpack.decode(data)
            if found["version"] != SNAPSHOT_VERSION:
                raise ValueError(f"state was written by version {found['version']}, this is version {SNAPSHOT_VERSION}")
            for key, saved in found["states"].items():
                if state := self.states.get(key):
                    for name, part in state.parts:
                        if name in saved:
                            part.restore(saved[name])
        except (msgspec.DecodeError, msgspec.ValidationError, TypeError, KeyError, AttributeError) as damage:
            raise ValueError(f"not a snapshot of engine state: {damage}") from damage
        return tuple(state.rule.name for key, state in self.states.items() if key not in found["states"])

    def finish_learning(self) -> None:
        for state in self.states.values():
            if isinstance(state.core, FirstSeenState):
                state.core.learned()
