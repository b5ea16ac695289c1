"""What the stateful parts of the language share: bounded keyed state, oldest key evicted and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from watchkeeper_detection.detection import EVENT_IDS_KEPT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_detection.match import Match, Scalar

Key = tuple["Scalar", ...]
S = TypeVar("S")

KEYS_PER_RULE = 10_000


class Fired(NamedTuple):
    """A stateful rule fired: its last match, the matches it names (at most 20), and how many there were."""

    last: Match
    matches: tuple[Match, ...]
    times: int


class Keyed(Generic[S]):
    """Key → state, at most `bound` keys; the key unused for longest goes first, and `evicted` says how often."""

    def __init__(self, bound: int = KEYS_PER_RULE) -> None:
        self._states: dict[Key, S] = {}
        self._bound = bound
        self.evicted = 0

    def take(self, key: Key) -> S | None:
        """The state of `key`, removed: what is put back becomes the most recently used."""
        return self._states.pop(key, None)

    def put(self, key: Key, state: S) -> None:
        if len(self._states) >= self._bound:
            del self._states[next(iter(self._states))]
            self.evicted += 1
        self._states[key] = state

    def drop_where(self, keys: list[Key]) -> None:
        for key in keys:
            self._states.pop(key, None)

    def __iter__(self) -> Iterator[tuple[Key, S]]:
        return iter(self._states.items())

    def __len__(self) -> int:
        return len(self._states)


def named(matches: list[Match]) -> tuple[Match, ...]:
    """The matches that a detection names: the first ones, and always the last."""
    if len(matches) <= EVENT_IDS_KEPT:
        return tuple(matches)
    return (*matches[: EVENT_IDS_KEPT - 1], matches[-1])
