"""Times as people write them on a command line."""

from __future__ import annotations

import re
import time

import typer

from watchkeeper_detection.logs.provider import time_ns

AGO = re.compile(r"(\d{1,6})([smhdw])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment_ns(text: str | None, option: str) -> int | None:
    """`2026-03-12`, `2026-03-12T02:30:00Z`, or `6h`, `2d` ago, as nanoseconds since the epoch."""
    if text is None:
        return None
    if ago := AGO.fullmatch(text):
        return time.time_ns() - int(ago[1]) * SECONDS[ago[2]] * 10**9
    moment = time_ns(text)
    if moment == 0:
        raise typer.BadParameter(f"{text!r} is no time: write 2026-03-12, 2026-03-12T02:30:00Z, or how long ago, such as 6h or 2d", param_hint=option)
    return moment
