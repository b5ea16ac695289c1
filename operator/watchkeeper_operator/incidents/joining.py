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

    def __post_init__(self) -> None:
        self.holds = self.holds or [self.id]

    @property
    def span(self) -> Span:
        return Span(min(span.first for span in self.spans.values()), max(span.last for span in self.spans.values()))


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
        current = arrived
        while (other := next(self._joinable(current), None)) is not None:
            current = self._joined(current, other)
        return current

    def meets(self, arrived: Group) -> bool:
        """Whether it would join anything."""
        return next(self._joinable(arrived), None) is not None

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def _put(self, group: Group) -> None:
        self._groups[group.id] = group
        for key in group.spans:
            self._by_key.setdefault(key, set()).add(group.id)

    def _joinable(self, group: Group) -> Iterator[Group]:
        """Others that it has to become one with; those first that give their id first."""
        near = {
            name
            for key, span in group.spans.items()
            for name in self._by_key.get(key, ())
            if name != group.id and self._groups[name].spans[key].reaches(span, self._window_ns)
        }
        for other in sorted((self._groups[name] for name in near), key=lambda one: one.rank):
            if other.span.with_(group.span).length <= self._longest_ns:
                yield other

    def _joined(self, one: Group, other: Group) -> Group:
        kept, gone = (one, other) if one.rank <= other.rank else (other, one)
        for key, span in gone.spans.items():
            kept.spans[key] = kept.spans[key].with_(span) if key in kept.spans else span
            self._by_key[key].discard(gone.id)
            self._by_key[key].add(kept.id)
        kept.holds += gone.holds
        del self._groups[gone.id]
        return kept
