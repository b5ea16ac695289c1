"""What the kernel's programs count: records sent, acts repeated, records lost and runs left out."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from watchkeeper_sensor.kernel.libbpf import skipped_runs
from watchkeeper_sensor.kernel.records import KINDS, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_sensor.kernel.libbpf import BpfMap, BpfObject

CAUSES = {0: "ring_full", 1: "rate_limit", 2: "scratch", 3: "decode"}


def losses_in(losses: BpfMap) -> dict[tuple[str, str, int], int]:
    """(kind, cause, cgroup) → records that were not told."""
    found = {}
    for key in losses.keys():  # noqa: SIM118 (a map of the kernel, no dict)
        value = losses.get(key)
        cgroup, kind, cause = struct.unpack("<QII", key)
        if value is not None:
            found[(KINDS.get(kind, str(kind)), CAUSES.get(cause, str(cause)), cgroup)] = struct.unpack("<Q", value)[0]
    return found


def counts_in(counts: BpfMap) -> dict[str, int]:
    """Kind → sum over the processors, of those that are not 0."""
    found = {}
    for kind, number in NUMBERS.items():
        value = counts.get(struct.pack("<I", number)) or b""
        found[kind] = sum(struct.unpack(f"<{len(value) // 8}Q", value))
    return {kind: count for kind, count in found.items() if count}


def skipped_of(objects: Iterable[BpfObject]) -> dict[str, int]:
    """Program → times that the kernel did not run it, where it did not."""
    counts = {name: skipped_runs(fd) for one in objects for name, fd in one.program_fds().items()}
    return {name: count for name, count in counts.items() if count}
