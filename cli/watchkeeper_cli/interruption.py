"""Ctrl-C in a long run: the first asks it to end with what was found so far, the second ends it at once."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

T = TypeVar("T")


class Interruption:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.is_asked = False
        self._is_waiting = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        before = signal.signal(signal.SIGINT, self._ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        """Raise where the run waits for input; elsewhere a step that has begun is finished first."""
        if self._is_waiting or self.is_asked:
            self.is_asked = True
            raise KeyboardInterrupt
        self.is_asked = True

    def until_asked(self, results: Iterable[T]) -> Iterator[T]:
        """The results, up to when the user asks to stop; a result that was given is never cut short."""
        source = iter(results)
        while not self.is_asked:
            try:
                self._is_waiting = True
                result = next(source)
                self._is_waiting = False
            except (KeyboardInterrupt, StopIteration):
                self._is_waiting = False
                return
            yield result
