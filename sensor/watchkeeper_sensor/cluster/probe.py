"""The DaemonSet's probe: `python -I -m watchkeeper_sensor.cluster.probe FOLDER [SECONDS]` ends with 0 while the own pod's sensor goes round.

FOLDER is the state folder, where another pod's sensor may watch as well while one takes over from the other. The sensor listens nowhere; each round
writes a file. A collector that is away, or a full disk, is no reason to restart a sensor that watches.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from watchkeeper_sensor.cluster.settings import HEARTBEAT, SLOTS, own_name

STALE_SECONDS = 30.0


def beat(slot: Path) -> None:
    """Say that we go round. In place, so that a full disk does not matter: the name is written once, then the time alone. Raises OSError."""
    path = slot / HEARTBEAT
    if _owner(path) != own_name():
        path.write_text(own_name(), encoding="utf-8")
    os.utime(path)


def trouble(folder: Path, now: float, stale_seconds: float = STALE_SECONDS) -> str:
    """Why the sensor does not do; empty when it does. `now`: seconds since the epoch."""
    beats = [(folder / name / HEARTBEAT).stat().st_mtime for name in SLOTS if _owner(folder / name / HEARTBEAT) == own_name()]
    if not beats:
        return "this pod's sensor does not watch yet"
    age = now - max(beats)
    return f"the sensor's last round was {age:.0f} s ago" if age > stale_seconds else ""


def _owner(path: Path) -> str:
    """Empty where there is no heartbeat."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def main(words: list[str]) -> int:
    reason = trouble(Path(words[0]), time.time(), float(words[1]) if len(words) > 1 else STALE_SECONDS)
    if reason:
        print(reason, file=sys.stderr)  # noqa: T201 (the kubelet's event shows it)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
