"""Which detections belong together.

Two sets of detections with a share in common join when the times at which they had it come within WINDOW of one another; what joined is one set
with the times of both. Joining only ever widens, so the outcome is the same in whatever order detections come: a test shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MINUTE_NS = 60_000_000_000
WINDOW_NS = 30 * MINUTE_NS
KEYS = 500  # of one incident; what a detection that joins it has beside these joins nothing further
LONGEST_NS = 24 * 60 * MINUTE_NS  # an incident takes nothing more in when it is as long; what follows begins another


class Span(NamedTuple):
    """From the first to the last time, nanoseconds since the epoch."""

    first: int
    last: int

    def with_(self, other: Span) -> Span:
        return Span(min(self.first, other.first), max(self.last, other.last))

    def reaches(self, other: Span, window_ns: int) -> bool:
        return self.first - window_ns <= other.last and other.first - window_ns <= self.last

    @property
    def length(self) -> int:
        return self.last - self.first


@dataclass(slots=True)
class Group:
    """A set of detections that belong together: an incident, or one detection that has just come.

    id      of the incident; of a detection that is in none, its own
    rank    order in which groups give their id to what they join: the least goes first
    spans   key → when its detections had it
    holds   ids of the groups that became this one, its own first
    """

    id: str
    rank: tuple[int | str, ...]
    spans: dict[str, Span]
    holds: list[str] = field(default_factory=list)
    span: Span = field(init=False)

    def __post_init__(self) -> None:
        self.holds = self.holds or [self.id]
        self.span = Span(min(span.first for span in self.spans.values()), max(span.last for span in self.spans.values()))


class Groups:
    """Groups so far, by what they share. All that could join what is added has to be in it first."""

    def __init__(self, known: Iterable[Group] = (), *, window_ns: int = WINDOW_NS, longest_ns: int = LONGEST_NS) -> None:
        self._window_ns, self._longest_ns = window_ns, longest_ns
        self._groups: dict[str, Group] = {}
        self._by_key: dict[str, set[str]] = {}
        for group in known:
            self._put(group)

    def add(self, arrived: Group) -> Group:
        """Take it in; returns what it is part of now."""
        self._put(arrived)
        current, widened = arrived, dict.fromkeys(arrived.spans)
        while (other := self._first_joinable(current, widened)) is not None:
            kept, gone = (current, other) if current.rank <= other.rank else (other, current)
            widened |= dict.fromkeys(gone.spans)  # for what else the one that stays has, nothing has changed
            self._join(kept, gone)
            current = kept
        return current

    def meets(self, arrived: Group) -> bool:
        """Whether it would join anything."""
        return self._first_joinable(arrived, arrived.spans) is not None

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def _put(self, group: Group) -> None:
        self._groups[group.id] = group
        for key in group.spans:
            self._by_key.setdefault(key, set()).add(group.id)

    def _first_joinable(self, group: Group, keys: Iterable[str]) -> Group | None:
        """Of those that it has to become one with for these keys, the one that gives its id first."""
        found: Group | None = None
        for key in keys:
            if (span := group.spans.get(key)) is None:
                continue
            for name in self._by_key.get(key, ()):
                other = self._groups[name]
                if (
                    name != group.id
                    and (found is None or other.rank < found.rank)
                    and other.spans[key].reaches(span, self._window_ns)
                    and other.span.with_(group.span).length <= self._longest_ns
                ):
                    found = other
        return found

    def _join(self, kept: Group, gone: Group) -> None:
        for key, span in gone.spans.items():
            self._by_key[key].discard(gone.id)
            if key in kept.spans:
                kept.spans[key] = kept.spans[key].with_(span)
            elif len(kept.spans) < KEYS:
                kept.spans[key] = span
                self._by_key[key].add(kept.id)
        kept.span = kept.span.with_(gone.span)
        kept.holds += gone.holds
        del self._groups[gone.id]
