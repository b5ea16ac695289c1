"""Staying within the memory that the pod may use: what can be learned again is forgotten before the kernel ends the sensor."""

from __future__ import annotations

from pathlib import Path

CGROUP_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
NO_LIMIT = 1 << 60  # what v1 writes for none is above
SHEDDING = 0.85  # of the limit: from here on memory is given back


def own_limit(files: tuple[str, ...] = CGROUP_FILES) -> int:
    """Bytes that the own cgroup may use; 0 where there is no limit, or none is to be seen."""
    for name in files:
        try:
            word = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        return int(word) if word.isdecimal() and int(word) < NO_LIMIT else 0
    return 0


def is_short(resident_bytes: int, limit_bytes: int) -> bool:
    return limit_bytes > 0 and resident_bytes > limit_bytes * SHEDDING
