"""First-seen: a value that this key space has never had. Exact keys, bounded: past the bound the rule is blind, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.match import Match, Scalar
from watchkeeper_detection.window_state import Fired, Key

if TYPE_CHECKING:
    from watchkeeper_detection.program import FirstSeen

VALUES_PER_RULE = 100_000  # an evicting store would invent novelty, a filter would miss it
VALUES_PER_SPACE = 10_000  # so that one noisy key space does not blind the others
LEARNED = -(2**62)  # start of a key space that a baseline brought: it has nothing left to learn


class Space(msgspec.Struct):
    """One key space (`per`): when it was first met, nanoseconds, and the values (`of`) it has had."""

    since: int
    values: set[tuple[Scalar, ...]]


class FirstSeenState:
    """Learns for `learn` from a key space's first event, then fires on each value that is new to it."""

    def __init__(self, first_seen: FirstSeen) -> None:
        self.first_seen = first_seen
        self.spaces: dict[Key, Space] = {}
        self.size = 0
        self.unlearned = 0  # matches that could not be judged for lack of room

    def join(self, match: Match) -> Fired | None:
        if None in match.value:
            return None
        space = self.spaces.get(match.keys)
        if space is not None and match.value in space.values:
            return None
        if self.size >= VALUES_PER_RULE or (space is not None and len(space.values) >= VALUES_PER_SPACE):
            self.unlearned += 1
            return None
        if space is None:
            space = self.spaces[match.keys] = Space(match.observed_at, set())
        space.values.add(match.value)
        self.size += 1
        if match.observed_at < space.since + self.first_seen.learn_ns:
            return None
        return Fired(match, (match,), 1)

    def learned(self) -> None:
        """What was learned so far is the whole baseline: from now on every new value is news."""
        for space in self.spaces.values():
            space.since = LEARNED

    def close(self, watermark: int) -> None:
        """Nothing: what was seen stays seen."""

    @property
    def blind(self) -> bool:
        return self.unlearned > 0

    @property
    def evicted(self) -> int:
        return self.unlearned

    def snapshot(self) -> Any:
        return [(key, space) for key, space in self.spaces.items()]

    def restore(self, data: Any) -> None:
        self.spaces = dict(msgspec.convert(data, list[tuple[tuple[Scalar, ...], Space]]))
        self.size = sum(len(space.values) for space in self.spaces.values())
