"""Timestamps and durations: text ⇄ nanoseconds, and the calendar of a time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from watchkeeper_detection.cel.values import DURATION_MAX, NANOSECONDS, TIMESTAMP_MAX, TIMESTAMP_MIN, Duration, Failed, Timestamp

_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))")
_DURATION = re.compile(r"([+-])?((?:\d+(?:\.\d*)?|\.\d+)(?:h|ms|us|µs|μs|ns|m|s))+|([+-])?0")
_PART = re.compile(r"(\d*)(?:\.(\d*))?(h|ms|us|µs|μs|ns|m|s)")
_UNITS = {"h": 3600 * NANOSECONDS, "m": 60 * NANOSECONDS, "s": NANOSECONDS, "ms": 1_000_000, "us": 1000, "µs": 1000, "μs": 1000, "ns": 1}
_OFFSET = re.compile(r"([+-])?(\d\d):(\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp_of(ns: int) -> Timestamp:
    """Raises Failed outside the years 1 to 9999."""
    if not TIMESTAMP_MIN <= ns <= TIMESTAMP_MAX:
        raise Failed("the timestamp is out of range")
    return Timestamp(ns)


def duration_of(ns: int) -> Duration:
    """Raises Failed beyond 10,000 years."""
    if not -DURATION_MAX <= ns <= DURATION_MAX:
        raise Failed("the duration is out of range")
    return Duration(ns)


@lru_cache(maxsize=4096)
def read_timestamp(text: str) -> Timestamp:
    """RFC 3339, nanoseconds kept. Raises Failed."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise Failed(f"{text[:40]!r} is no RFC 3339 timestamp")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    leap = second == 60  # RFC 3339 allows it; POSIX time has no place for it
    try:
        whole = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC) - _EPOCH
    except ValueError:
        raise Failed(f"{text[:40]!r} is no RFC 3339 timestamp") from None
    seconds = whole.days * 86400 + whole.seconds + leap
    if found[8]:
        seconds -= (1 if found[8] == "+" else -1) * (int(found[9]) * 3600 + int(found[10]) * 60)
    return timestamp_of(seconds * NANOSECONDS + int(((found[7] or "") + "000000000")[:9]))


@lru_cache(maxsize=1024)
def read_duration(text: str) -> Duration:
    """`1h30m`, `1.5s`, `-200ms`. Raises Failed."""
    if len(text) > 100 or _DURATION.fullmatch(text) is None:
        raise Failed(f"{text[:40]!r} is no duration")
    total = 0
    for whole, part, unit in _PART.findall(text):
        scale = _UNITS[unit]
        total += int(whole or 0) * scale + (int(part) * scale // 10 ** len(part) if part else 0)
    return duration_of(-total if text.startswith("-") else total)


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo:
    found = _OFFSET.fullmatch(name)
    if found is not None:
        minutes = int(found[2]) * 60 + int(found[3])
        if minutes >= 24 * 60:
            raise Failed(f"{name!r} is no time zone")
        return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no name at all, a folder of the database
        raise Failed(f"{name[:40]!r} is no time zone") from None


def calendar(time: Timestamp, zone: str) -> datetime:
    """The moment on the zone's calendar and clock. Raises Failed."""
    try:
        return (_EPOCH + timedelta(seconds=time.ns // NANOSECONDS)).astimezone(_zone(zone))
    except OverflowError:
        raise Failed("the timestamp is out of range in that time zone") from None
