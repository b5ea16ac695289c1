"""Sequences: steps of one key, in order or in any, within a window; across sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.cel.compile import compile_captured
from watchkeeper_detection.match import Match, Scalar
from watchkeeper_detection.window_state import Fired, Keyed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchkeeper_detection.program import Sequence

PARTIALS_PER_KEY = 32  # of one key, the latest are kept


class Partial(msgspec.Struct):
    """A sequence under way: the steps met so far, by number."""

    matches: dict[int, Match]

    @property
    def since(self) -> int:
        return min(match.observed_at for match in self.matches.values())


class SequenceState:
    """Fires once per completed match."""

    def __init__(self, sequence: Sequence, lists: Mapping[str, Any]) -> None:
        self.sequence = sequence
        self.partials: Keyed[list[Partial]] = Keyed()
        self.untimed = 0  # matches whose event says no time
        self.crowded = 0  # partial sequences that gave way to later ones of their key
        self._joined = [[compile_captured(node, lists) for node in step.joined] for step in sequence.steps]

    def join(self, match: Match) -> Fired | None:
        if None in match.keys:  # a key that is absent joins strangers
            return None
        if match.observed_at <= 0:  # an event without a time has no place in an order, nor in a window
            self.untimed += 1
            return None
        oldest = match.observed_at - self.sequence.within_ns
        partials = [partial for partial in self.partials.take(match.keys) or [] if partial.since >= oldest]
        fired = self._advance(partials, match)
        if len(partials) > PARTIALS_PER_KEY:
            self.crowded += len(partials) - PARTIALS_PER_KEY
            del partials[:-PARTIALS_PER_KEY]
        if partials:
            self.partials.put(match.keys, partials)
        return fired

    def _advance(self, partials: list[Partial], match: Match) -> Fired | None:
        last = len(self.sequence.steps)
        for partial in partials:
            if not self._awaits(partial, match.step) or any(other.event_id == match.event_id for other in partial.matches.values()):
                continue
            met = {**partial.matches, match.step: match}
            if self.sequence.ordered and not self._holds(met, match.step):
                continue
            if len(met) < last:
                partial.matches = met
                return None
            if all(self._holds(met, step) for step in range(last)):
                partials.remove(partial)
                ordered = tuple(met[step] for step in range(last))
                return Fired(match, ordered, last)
        if match.step == 0 or not self.sequence.ordered:
            partials.append(Partial({match.step: match}))
        return None

    def _awaits(self, partial: Partial, step: int) -> bool:
        if self.sequence.ordered:
            return len(partial.matches) == step and step > 0
        return step not in partial.matches

    def _holds(self, met: dict[int, Match], step: int) -> bool:
        """Whether this step's conditions on earlier steps hold for these matches."""
        tests = self._joined[step]
        if not tests:
            return True
        captured = self.captured(met)
        captured.update(met[step].kept)
        return all(test(captured) for test in tests)

    def captured(self, met: Mapping[int, Match]) -> dict[str, Scalar]:
        """What the steps kept, by `step.path`; the last step's also by `path` alone."""
        values = {f"{self.sequence.steps[number].name}.{path}": value for number, match in met.items() for path, value in match.kept.items()}
        values.update(met[max(met)].kept)
        return values

    def close(self, watermark: int) -> None:
        oldest = watermark - self.sequence.within_ns
        gone = []
        for key, partials in self.partials:
            partials[:] = [partial for partial in partials if partial.since >= oldest]
            if not partials:
                gone.append(key)
        self.partials.drop_where(gone)

    @property
    def evicted(self) -> int:
        return self.partials.evicted + self.crowded

    def snapshot(self) -> Any:
        return list(self.partials)

    def restore(self, data: Any) -> None:
        for key, partials in msgspec.convert(data, list[tuple[tuple[Scalar, ...], list[Partial]]]):
            self.partials.put(key, partials)
