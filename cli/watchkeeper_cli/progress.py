"""One line on the terminal that says how far a long run is. Nothing where stderr is no terminal."""

from __future__ import annotations

import sys
import time

from watchkeeper_cli.output.text import number

EVERY_SECONDS = 0.2
QUIET_SECONDS = 1.0  # a run that ends sooner shows nothing


class Progress:
    """Told of bytes and events as they are read; prints share, rate and time left."""

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self._bytes = 0
        self._events = 0
        self._detections = 0
        self._begun = time.monotonic()
        self._next = self._begun + QUIET_SECONDS
        self._shown = False
        self._enabled = sys.stderr.isatty()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun

    def advance(self, read_bytes: int, events: int, detections: int) -> None:
        self._bytes += read_bytes
        self._events += events
        self._detections += detections
        now = time.monotonic()
        if self._enabled and now >= self._next:
            self._next = now + EVERY_SECONDS
            self._shown = True
            sys.stderr.write(f"\r\x1b[K{self.line(now - self._begun)}")
            sys.stderr.flush()

    def line(self, seconds: float) -> str:
        rate = f"{number(self._events)} events, {number(round(self._events / seconds))}/s, {number(self._detections)} detections"
        if not self._total_bytes:
            return rate
        share = min(1.0, self._bytes / self._total_bytes)
        left = f", {duration(seconds / share - seconds)} left" if share > 0 else ""
        return f"{bar(share)} {share:4.0%}  {rate}{left}"

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False


def bar(share: float, width: int = 24) -> str:
    full = round(share * width)
    return "█" * full + "░" * (width - full)


def duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}" if whole < 3600 else f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
