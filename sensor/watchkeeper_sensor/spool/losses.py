"""What a spool lost: how it is stated, and which numbers are missing that no statement names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from watchkeeper_sensor.spool.segments import NUMBERS

if TYPE_CHECKING:
    from watchkeeper_sensor.spool.segments import Segment

Cause = Literal["spool_full", "disk", "too_long", "damaged"]
Interval = tuple[int, int]  # first and last number
LOSS = NUMBERS["loss"]


class Loss(msgspec.Struct, frozen=True):
    """Payload of an entry of kind `loss` that the spool itself wrote, as JSON."""

    cause: Cause
    counts: dict[str, int]  # kind → entries lost; `damaged` where the kind can't be read any more
    since: int  # nanoseconds since the epoch
    until: int
    first: int = 0  # numbers of the entries, where they had any
    last: int = 0


def gaps(segments: list[Segment], first: int, last: int) -> list[Interval]:
    """What is not there of the numbers from `first` to `last`: holes, and what lies between segments."""
    found: list[Interval] = []
    for segment in segments:
        found.append((first, segment.first - 1))
        found += [(segment.first + at, segment.first + at) for at, kind in enumerate(segment.kinds) if not kind and segment.first + at >= first]
        first = max(first, segment.last + 1)
    return [gap for gap in [*found, (first, last)] if gap[0] <= gap[1]]


def without(gap: Interval, stated: list[Interval]) -> list[Interval]:
    """Parts of a gap that no loss states; `stated` is sorted."""
    found, (start, end) = [], gap
    for first, last in stated:
        if first <= end and last >= start:
            found.append((start, first - 1))
            start = last + 1
    return [part for part in [*found, (start, end)] if part[0] <= part[1]]


def stated_in(segment: Segment) -> list[Interval]:
    if LOSS not in segment.kinds:
        return []
    losses = [loss_of(entry.payload) for entry in segment.entries(0, len(segment.kinds)) if entry.kind == "loss"]
    return [(loss.first, loss.last) for loss in losses if loss is not None and loss.first]


def loss_of(payload: bytes) -> Loss | None:
    """None for a loss of the agent, which has a form of its own."""
    try:
        return msgspec.json.decode(payload, type=Loss)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
