"""Suppress: after a detection, the same key stays quiet for a while; what is held is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.match import Match, Scalar
from watchkeeper_detection.window_state import Keyed

if TYPE_CHECKING:
    from watchkeeper_detection.program import Suppress


class SuppressState:
    """Remembers when each key last spoke."""

    def __init__(self, suppress: Suppress) -> None:
        self.suppress = suppress
        self.spoke: Keyed[int] = Keyed()
        self.held = 0

    def allows(self, match: Match) -> bool:
        if None in match.suppress:  # without its key a stranger would silence another
            return True
        last = self.spoke.take(match.suppress)
        if last is None:
            self.spoke.put(match.suppress, match.observed_at)
            return True
        self.spoke.put(match.suppress, last if (quiet := self._is_near(match, last)) else max(last, match.observed_at))
        self.held += quiet
        return not quiet

    def _is_near(self, match: Match, last: int) -> bool:
        """A match that came late may lie before what was said last."""
        return abs(match.observed_at - last) < self.suppress.for_ns

    def close(self, watermark: int) -> None:
        self.spoke.drop_where([key for key, last in self.spoke if last + self.suppress.for_ns <= watermark])

    @property
    def evicted(self) -> int:
        return self.spoke.evicted

    def snapshot(self) -> Any:
        return list(self.spoke)

    def restore(self, data: Any) -> None:
        for key, last in msgspec.convert(data, list[tuple[tuple[Scalar, ...], int]]):
            self.spoke.put(key, last)
