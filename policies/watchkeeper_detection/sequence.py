"""Sequences: steps of one key, in order or in any, within a window; across sources."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.cel.compile import compile_captured
from watchkeeper_detection.match import Match, Scalar
from watchkeeper_detection.window_state import Fired, Keyed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchkeeper_detection.program import Sequence

PARTIALS_PER_KEY = 32  # of one key and as many steps met, the latest are kept
ALIKE = 8  # of those that differ in nothing but their events; more than one, for an event that is a step of one can't be the next step of it


class Partial(msgspec.Struct):
    """A sequence under way: the steps met so far, by number, and the time of the earliest, nanoseconds."""

    matches: dict[int, Match]
    since: int


def _matches_in(partials: list[Partial]) -> int:
    return sum(len(partial.matches) for partial in partials)


def _alike(one: Mapping[int, Match], other: Mapping[int, Match]) -> bool:
    """Whether both met the same steps and kept the same values: then whatever completes one completes the other."""
    return one.keys() == other.keys() and all(match.kept == other[step].kept for step, match in one.items())


class SequenceState:
    """Fires once per completed match."""

    def __init__(self, sequence: Sequence, lists: Mapping[str, Any]) -> None:
        self.sequence = sequence
        self.partials: Keyed[list[Partial]] = Keyed(matches_in=_matches_in)
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
        fired = self._completed(partials, match)
        if fired is None:
            partials = self._bounded(self._with(partials, self._begun(partials, match)))
        else:  # an event counts once
            spent = {one.event_id for one in fired.matches}
            partials = [partial for partial in partials if spent.isdisjoint(one.event_id for one in partial.matches.values())]
        if partials:
            self.partials.put(match.keys, partials)
        return fired

    def _completed(self, partials: list[Partial], match: Match) -> Fired | None:
        """The first sequence under way that this match completes."""
        steps = range(len(self.sequence.steps))
        if self.sequence.ordered and match.step != steps[-1]:
            return None
        for partial in partials:
            if len(partial.matches) == len(steps) - 1 and self._awaits(partial, match):
                met = {**partial.matches, match.step: match}
                if all(self._holds(met, step) for step in steps):
                    return Fired(match, tuple(met[step] for step in steps), len(steps))
        return None

    def _begun(self, partials: list[Partial], match: Match) -> list[Partial]:
        """What is under way with this match. The sequences that it goes on with stay: a later match may fit the next step better."""
        begun: list[Partial] = []
        goes_on = match.step > 0 or not self.sequence.ordered
        for partial in reversed(partials) if goes_on else ():  # of those that differ in nothing but their events, the one that has longest to live
            if len(partial.matches) < len(self.sequence.steps) - 1 and self._awaits(partial, match):
                met = {**partial.matches, match.step: match}
                if (not self.sequence.ordered or self._holds(met, match.step)) and not any(_alike(met, other.matches) for other in begun):
                    begun.append(Partial(met, min(partial.since, match.observed_at)))
        if match.step == 0 or not self.sequence.ordered:
            begun.append(Partial({match.step: match}, match.observed_at))
        return begun

    @staticmethod
    def _with(partials: list[Partial], begun: list[Partial]) -> list[Partial]:
        """The oldest of many that are alike gives way: what it could become the others, which live longer, can become too."""
        for new in begun:
            alike = [partial for partial in partials if _alike(partial.matches, new.matches)]
            if len(alike) >= ALIKE:
                partials.remove(min(alike, key=lambda partial: partial.since))
        return [*partials, *begun]

    def _bounded(self, partials: list[Partial]) -> list[Partial]:
        """The latest of each length: neither a flood of first steps nor one of second steps drives the others out."""
        if len(partials) <= PARTIALS_PER_KEY:
            return partials
        kept: list[Partial] = []
        counts: Counter[int] = Counter()
        for partial in reversed(partials):
            counts[len(partial.matches)] += 1
            if counts[len(partial.matches)] <= PARTIALS_PER_KEY:
                kept.append(partial)
        self.crowded += len(partials) - len(kept)
        return kept[::-1]

    def _awaits(self, partial: Partial, match: Match) -> bool:
        awaits = len(partial.matches) == match.step > 0 if self.sequence.ordered else match.step not in partial.matches
        return awaits and all(other.event_id != match.event_id for other in partial.matches.values())

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
        """Forget keys with nothing that can complete any more; what has expired of others goes with their next match."""
        oldest = watermark - self.sequence.within_ns
        self.partials.drop_where([key for key, partials in self.partials if all(partial.since < oldest for partial in partials)])

    @property
    def evicted(self) -> int:
        return self.partials.evicted + self.crowded

    def given_up(self) -> str:
        """What was given up for lack of room, in words."""
        crowded = f"{self.crowded} started sequences gave way to later ones of the same key"
        evicted = f"{self.partials.evicted} keys were evicted"
        return " and ".join(words for words, count in ((crowded, self.crowded), (evicted, self.partials.evicted)) if count)

    def snapshot(self) -> Any:
        return list(self.partials)

    def restore(self, data: Any) -> None:
        for key, partials in msgspec.convert(data, list[tuple[tuple[Scalar, ...], list[Partial]]]):
            self.partials.put(key, partials)
