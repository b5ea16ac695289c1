"""What the index found for events of one likeness, and which of it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from watchkeeper_detection.event import Event

R = TypeVar("R")
OUTCOMES = 256  # of one set of rules that are remembered


class Found(tuple[R, ...]):  # noqa: SLOT001 (a tuple has no room for slots)
    """Rules that events of one likeness may meet. Which of them hold is remembered too, by the fields that they read."""

    likeness: Callable[[Any], Hashable | None] | None
    outcomes: dict[Hashable, list[R]]
    known: int  # answers out of them since they were begun

    def holding(self, event: Event, test: Callable[[Event, Sequence[R]], list[R]]) -> list[R]:
        """Those that hold, by `test` where it is not known."""
        if self.likeness is None or (key := self.likeness(event)) is None:
            return test(event, self)
        outcome = self.outcomes.get(key)
        if outcome is not None:
            self.known += 1
            return outcome
        outcome = test(event, self)
        if len(self.outcomes) >= OUTCOMES:
            self.outcomes.clear()
            if self.known < OUTCOMES:  # ports, sizes and the like hardly repeat
                self.likeness = None
            self.known = 0
        self.outcomes[key] = outcome
        return outcome
