"""Thresholds: `count` matches (or distinct values) of one key within a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.match import Match, Scalar
from watchkeeper_detection.window_state import Fired, Keyed, named

if TYPE_CHECKING:
    from watchkeeper_detection.program import Threshold


class Window(msgspec.Struct):
    """Matches of one key within the window, oldest first.

    times    event times, nanoseconds; with `distinct` the last time of each value in `values`
    matches  the first and last few, for the detection's event ids
    """

    times: list[int]
    values: list[Scalar]
    matches: list[Match]


class ThresholdState:
    """Fires when a window holds `count`, then empties it: so again after each `count` more."""

    def __init__(self, threshold: Threshold) -> None:
        self.threshold = threshold
        self.windows: Keyed[Window] = Keyed()

    def join(self, match: Match) -> Fired | None:
        window = self.windows.take(match.keys) or Window([], [], [])
        self._add(window, match)
        if len(window.times) < self.threshold.count:
            self.windows.put(match.keys, window)
            return None
        return Fired(match, named(window.matches), len(window.times))

    def _add(self, window: Window, match: Match) -> None:
        oldest = match.observed_at - self.threshold.within_ns
        if self.threshold.distinct is None:
            window.times.append(match.observed_at)
            window.matches.append(match)
        else:
            (value,) = match.value
            if value is None:
                return
            if value in window.values:
                place = window.values.index(value)
                for column in (window.times, window.values, window.matches):
                    del column[place]
            window.times.append(match.observed_at)
            window.values.append(value)
            window.matches.append(match)
        expired = sum(1 for time in window.times if time <= oldest)
        if expired:
            del window.times[:expired], window.matches[:expired], window.values[:expired]

    def close(self, watermark: int) -> None:
        """Forget windows that can't fill any more: nothing later than their last match fits in."""
        oldest = watermark - self.threshold.within_ns
        self.windows.drop_where([key for key, window in self.windows if not window.times or window.times[-1] <= oldest])

    @property
    def evicted(self) -> int:
        return self.windows.evicted

    def snapshot(self) -> Any:
        return [(key, window) for key, window in self.windows]

    def restore(self, data: Any) -> None:
        for key, window in msgspec.convert(data, list[tuple[tuple[Scalar, ...], Window]]):
            self.windows.put(key, window)
