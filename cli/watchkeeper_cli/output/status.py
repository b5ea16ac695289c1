"""The status below the detections: lines that fit the terminal. Pure; `up` draws it every second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchkeeper_cli.output.condition import blind_words, detections_words
from watchkeeper_cli.output.looks import BLIND, DIM
from watchkeeper_cli.output.text import number, plural

if TYPE_CHECKING:
    from watchkeeper_cli.output.condition import Condition
    from watchkeeper_cli.output.looks import Look

LOW, TINY = 12, 6  # rows of a terminal on which the status gives way to detections
KEYS = (("q quit", 9), ("p pause", 8), ("d details", 7), ("b blind spots", 6), ("Enter mark", 2), ("? help", 5))
Part = tuple[str, int]
"""Text, and how much it matters: what matters least goes first where there is no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is watched, and what the user did."""

    host: str
    kernel: str
    policies: int
    rules: int
    kinds: int
    waiting: int | None = None  # detections that wait while the screen is paused
    repeats: str = ""  # what repeats most, safe to show
    dropped: int = 0  # detections that the terminal did not take
    has_keys: bool = True


def status_lines(watch: Watch, now: Condition, look: Look, width: int, height: int) -> list[str]:
    """At most five lines, each shorter than `width` columns."""
    room = width - 1
    rates = fitted(_rates(now, look), room)
    blind = blind_words(now)
    last = look.paint(fitted(_paused(watch), room), "7") if watch.waiting is not None else look.paint(fitted(_keys(watch), room), DIM)
    if height < TINY:
        return [look.paint(cut(blind, room), BLIND) if blind else rates]
    lines = [rates]
    if height >= LOW:
        lines = [look.paint(_title(watch, look, room), DIM), rates, fitted(_counts(watch, now), room)]
    if blind:
        lines.append(look.paint(cut(blind, room), BLIND))
    return [*lines, last]


def _title(watch: Watch, look: Look, room: int) -> str:
    """A line across the screen with the host on it."""
    words = fitted([(f"{look.rule * 2} watchkeeper on {watch.host}", 9), (f"(kernel {watch.kernel})", 5)], room - 1)
    return f"{words} {look.rule * (room - len(words) - 1)}" if room > len(words) + 1 else words


def _rates(now: Condition, look: Look) -> list[Part]:
    delay = f"act to detection p99 {now.delay_ms[1]:.0f} ms" if now.delay_ms else ""
    return [
        (f"{number(round(now.events_per_second))} events/s", 9),
        (bars(now.rates, look), 3),
        (f"{number(round(now.lost_per_second))} lost/s", 8),
        (f"{now.resident_mib:.0f} MiB", 6),
        (delay, 7),
        (plural(now.containers, "container"), 4),
    ]


def _counts(watch: Watch, now: Condition) -> list[Part]:
    return [
        (detections_words(now.detections), 9),
        (watch.repeats, 8),
        (f"{watch.dropped} not shown: the terminal is too slow" if watch.dropped else "", 7),
        (f"{plural(watch.rules, 'rule')} of {plural(watch.policies, 'policy', 'policies')}, {plural(watch.kinds, 'kind')} of events", 4),
        (f"up {duration(now.seconds)}", 6),
        ("times are UTC", 1),
    ]


def _keys(watch: Watch) -> list[Part]:
    return list(KEYS) if watch.has_keys else [("Ctrl-C ends it", 9)]


def _paused(watch: Watch) -> list[Part]:
    waiting = watch.waiting or 0
    return [(f"PAUSED: {plural(waiting, 'detection')} {'waits' if waiting == 1 else 'wait'}", 9), ("p goes on", 8), ("q quits", 7), ("the sensor goes on", 3)]


def fitted(parts: list[Part], room: int) -> str:
    """The parts side by side, without those that matter least where all are too long."""
    left = [part for part in parts if part[0]]
    while len(left) > 1 and sum(len(text) + 2 for text, _ in left) - 2 > room:
        left.remove(min(left, key=lambda part: part[1]))
    return cut("  ".join(text for text, _ in left), room)


def cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(0, room - 3)] + "..."


def bars(rates: tuple[float, ...], look: Look) -> str:
    """A bar a second, as high as its share of the highest."""
    most = max(rates, default=0.0)
    if most <= 0:
        return look.bars[0] * len(rates)
    return "".join(look.bars[min(7, int(rate / most * 7.999))] for rate in rates)


def duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86_400)
    return f"{f'{days}d ' if days else ''}{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
