"""Times of objects as people read them: how long ago."""

from __future__ import annotations

from watchkeeper_detection.logs.provider import time_ns

UNITS = ((86_400, "d"), (3600, "h"), (60, "m"))
SECOND = 10**9
AT_LEAST = 2  # of the next smaller unit are said while fewer of a unit have gone by, as kubectl does


def ago(moment: str, now: int) -> str:
    """`40s`, `12m`, `26h`, `3d`, as kubectl says ages; `?` for no time. What lies ahead of this machine's clock is `0s`."""
    at = time_ns(moment)
    if not at:
        return "?"
    seconds = max(0, (now - at) // SECOND)
    for size, unit in UNITS:
        if seconds >= AT_LEAST * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def seconds_since(moment: str, now: int) -> float | None:
    """None for no time."""
    at = time_ns(moment)
    return (now - at) / SECOND if at else None
