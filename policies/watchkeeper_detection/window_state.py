"""What the stateful parts of the language share: bounded keyed state, oldest key evicted and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from watchkeeper_detection.match import Match, Scalar

Key = tuple["Scalar", ...]
S = TypeVar("S")

KEYS_PER_RULE = 10_000
MATCHES_PER_RULE = 100_000  # kept under all keys together, about 100 MB


class Fired(NamedTuple):
    """A stateful rule fired: its last match, the matches it names (at most 20), and how many there were."""

    last: Match
    matches: tuple[Match, ...]
    times: int


def _one(_state: object) -> int:
    return 1


class Keyed(Generic[S]):
    """Key → state, at most `bound` keys and `room` matches; the key unused for longest goes first, and `evicted` says how often."""

    def __init__(self, bound: int = KEYS_PER_RULE, *, matches_in: Callable[[S], int] = _one, room: int = MATCHES_PER_RULE) -> None:
        self._states: dict[Key, S] = {}
        self._bound = bound
        self._matches_in = matches_in
        self._room = room
        self._held = 0
        self.evicted = 0

    def take(self, key: Key) -> S | None:
        """The state of `key`, removed: what is put back becomes the most recently used."""
        state = self._states.pop(key, None)
        if state is not None:
            self._held -= self._matches_in(state)
        return state

    def put(self, key: Key, state: S) -> None:
        """The state must not change until it is taken again."""
        self.take(key)
        self._held += self._matches_in(state)
        while self._states and (len(self._states) >= self._bound or self._held > self._room):
            self.take(next(iter(self._states)))
            self.evicted += 1
        self._states[key] = state

    def drop_where(self, keys: list[Key]) -> None:
        for key in keys:
            self.take(key)

    def __iter__(self) -> Iterator[tuple[Key, S]]:
        return iter(self._states.items())

    def __len__(self) -> int:
        return len(self._states)
