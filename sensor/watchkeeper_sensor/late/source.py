"""What a source of late fields promises to the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable

GIVEN_UP: Final = "given up"
"""Stands for a key: the value is not known, and there is nothing to wait for."""
LATE_SECONDS: Final = 2.0
"""How long a rule waits for late fields at most. Source: docs/fields.md."""


class Source(Protocol):
    """Knows the values of some late fields, or where to ask for them. `event` is a KernelEvent."""

    paths: frozenset[str]

    def awaits(self, event: Any, path: str) -> Hashable | None:
        """What the field's value hangs on, and begin to look for it; None where it is known, or the event has none; else GIVEN_UP.

        Asked again when the key is settled, and must not begin anew then.
        """

    def settled(self) -> Iterable[Hashable]:
        """Keys that were decided since the last question."""

    def fill(self, event: Any, paths: Collection[str]) -> None:
        """Give the event what is known of these fields, which are the source's."""

    def close(self) -> None:
        """Nothing more will be asked."""


def asked_before(event: Any, path: str) -> bool:
    """Whether this was asked of the event already; it is from now on."""
    asked: set[str] = event.__dict__.setdefault("late_asked", set())
    before = path in asked
    asked.add(path)
    return before
