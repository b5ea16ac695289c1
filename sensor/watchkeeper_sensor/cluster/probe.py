"""The DaemonSet's probe: `python -I -m watchkeeper_sensor.cluster.probe FOLDER [SECONDS]` ends with 0 while the sensor in that state folder goes round.

The sensor listens nowhere; each round touches a file. A collector that is away, or a full disk, is no reason to restart a sensor that watches.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from watchkeeper_sensor.cluster.settings import HEARTBEAT, SLOTS

STALE_SECONDS = 30.0


def trouble(folder: Path, now: float, stale_seconds: float = STALE_SECONDS) -> str:
    """Why the sensor does not do; empty when it does. `now`: seconds since the epoch."""
    beats = [found for name in SLOTS if (found := _beat(folder / name / HEARTBEAT)) is not None]
    if not beats:
        return "no sensor watches here yet"
    age = now - max(beats)
    return f"the sensor's last round was {age:.0f} s ago" if age > stale_seconds else ""


def _beat(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def main(words: list[str]) -> int:
    reason = trouble(Path(words[0]), time.time(), float(words[1]) if len(words) > 1 else STALE_SECONDS)
    if reason:
        print(reason, file=sys.stderr)  # noqa: T201 (the kubelet's event shows it)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
