"""Repeats of a detection are counted, not shown again: a loop must not push what else happened off the screen. Pure: the time is passed in."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchkeeper_detection.detection import Detection

WINDOW_SECONDS = 10.0
MESSAGES = 3  # different ones of a window that are shown, a line each
KEPT = 1000  # sorts of detections that are told apart

Key = tuple[str | None, ...]


class Telling(Enum):
    """How much of a detection is to be shown."""

    FULL = "full"
    LINE = "line"  # the same by the same program, about something else
    NONE = "none"


@dataclass(slots=True)
class Repeats:
    """So many more of these, since they were shown last."""

    latest: Detection
    until: float
    count: int = 0
    is_alive: bool = False  # there were some in this window
    messages: set[str] = field(default_factory=set)


class Folding:
    """Knows what was shown a moment ago."""

    def __init__(self) -> None:
        self._open: OrderedDict[Key, Repeats] = OrderedDict()
        self._given_up: list[Repeats] = []

    def take(self, detection: Detection, now: float) -> Telling:
        """`now`: seconds of a clock that never goes back."""
        key = key_of(detection)
        before = self._open.get(key)
        if before is None:
            self._open[key] = Repeats(detection, now + WINDOW_SECONDS, messages={detection.message})
            if len(self._open) > KEPT:
                self._given_up.append(self._open.popitem(last=False)[1])
            return Telling.FULL
        before.is_alive = True
        if detection.message not in before.messages and len(before.messages) < MESSAGES:
            before.messages.add(detection.message)
            return Telling.LINE
        before.latest = detection
        before.count += 1
        return Telling.NONE

    def due(self, now: float) -> list[Repeats]:
        """What was folded and is to be said now."""
        told = [one for one in self._given_up if one.count]
        self._given_up.clear()
        for key, repeats in list(self._open.items()):
            if repeats.until > now:
                continue
            if not repeats.is_alive:
                del self._open[key]
                continue
            if repeats.count:
                told.append(repeats)
            self._open[key] = Repeats(repeats.latest, now + WINDOW_SECONDS, messages={repeats.latest.message})
        return told

    def rest(self) -> list[Repeats]:
        """What was folded and not said, at the end."""
        return [*self._given_up, *(one for one in self._open.values() if one.count)]

    def latest(self) -> Repeats | None:
        """The sort that repeats most, for the status; None when nothing does."""
        return max((one for one in self._open.values() if one.count), key=lambda one: one.count, default=None)


def key_of(detection: Detection) -> Key:
    """Repeats are of one rule and severity by one program in one container; what has no process, by its message."""
    act = detection.act
    who = (act.process, act.container_id) if act is not None else (detection.message,)
    return (detection.policy, detection.rule, detection.severity, *who)
