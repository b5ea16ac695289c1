"""Thresholds: `count` matches (or distinct values) of one key within a window."""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.detection import EVENT_IDS_KEPT
from watchkeeper_detection.match import Match, Scalar
from watchkeeper_detection.window_state import Fired, Keyed

if TYPE_CHECKING:
    from watchkeeper_detection.program import Threshold

TIMES_PER_MATCH = 16  # times or values that take up as much memory as one match


class Window(msgspec.Struct):
    """What one key had within the window, oldest first.

    times    event times, nanoseconds (without `distinct`)
    values   value → the last time that it was met (with `distinct`)
    matches  the latest few, which the detection names
    """

    times: list[int] = []
    values: dict[Scalar, int] = {}
    matches: list[Match] = []


def _matches_in(window: Window) -> int:
    return len(window.matches) + (len(window.times) + len(window.values)) // TIMES_PER_MATCH


class ThresholdState:
    """Fires when a window holds `count`, then empties it: so again after each `count` more."""

    def __init__(self, threshold: Threshold) -> None:
        self.threshold = threshold
        self.windows: Keyed[Window] = Keyed(matches_in=_matches_in)

    def join(self, match: Match) -> Fired | None:
        if match.value == (None,):  # an absent value is none to count
            return None
        window = self.windows.take(match.keys) or Window()
        count = self._added(window, match)
        if count < self.threshold.count:
            self.windows.put(match.keys, window)
            return None
        return Fired(match, tuple(window.matches), count)

    def _added(self, window: Window, match: Match) -> int:
        """How many there are with this match."""
        oldest = match.observed_at - self.threshold.within_ns
        others = window.matches
        if self.threshold.distinct is None:
            insort(window.times, match.observed_at)
            del window.times[: bisect_right(window.times, oldest)]
        else:
            (value,) = match.value
            if window.values.pop(value, None) is not None:
                others = [other for other in others if other.value != match.value]
            window.values[value] = match.observed_at
            while (first := next(iter(window.values.items())))[1] <= oldest:
                del window.values[first[0]]
        window.matches = [*(other for other in others if other.observed_at > oldest), match][-EVENT_IDS_KEPT:]
        return len(window.times) + len(window.values)

    def close(self, watermark: int) -> None:
        """Forget windows that can't fill any more: nothing later than their last match fits in."""
        oldest = watermark - self.threshold.within_ns
        self.windows.drop_where([key for key, window in self.windows if window.matches[-1].observed_at <= oldest])

    @property
    def evicted(self) -> int:
        return self.windows.evicted

    def given_up(self) -> str:
        """What was given up for lack of room, in words."""
        return f"{self.windows.evicted} keys were evicted"

    def snapshot(self) -> Any:
        return list(self.windows)

    def restore(self, data: Any) -> None:
        for key, window in msgspec.convert(data, list[tuple[tuple[Scalar, ...], Window]]):
            self.windows.put(key, window)
