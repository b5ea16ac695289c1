"""`make soak`: an hour of short containers and fork storms beside the sensor with the full library. Memory has to stay flat, and no exec may be lost.

Ten cgroups a second are made, entered and removed, each with a few processes. Every minute: resident memory, events, losses.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.host import sensor

CGROUPS_PER_SECOND = 10
ROOTS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def short_container(root: Path) -> None:
    """A cgroup named as a container's, with a shell and its children in it for a moment."""
    cgroup = root / "docker" / os.urandom(32).hex()
    cgroup.mkdir(parents=True)
    script = f"echo $$ > {cgroup}/cgroup.procs; /bin/true; /bin/true; cat /etc/passwd >/dev/null"
    subprocess.run(["sh", "-c", script], check=False)
    for _ in range(50):
        with contextlib.suppress(OSError):
            cgroup.rmdir()
            return
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    minutes = parser.parse_args().minutes
    root = next((one for one in ROOTS if (one / "cgroup.procs").exists()), None)
    if root is None:
        sys.exit("no cgroup hierarchy is mounted")
    with tempfile.NamedTemporaryFile() as output, sensor("--severity", "P4", stdout=output) as running:
        end, minute, made = time.monotonic() + minutes * 60, time.monotonic() + 60, 0
        first = None
        while time.monotonic() < end and running.poll() is None:
            start = time.monotonic()
            for _ in range(CGROUPS_PER_SECOND):
                short_container(root)
                made += 1
            if time.monotonic() >= minute or first is None:
                minute = time.monotonic() + 60
                now = resident_mib(running.pid)
                first = now if first is None else first
                print(
                    f"{made:8,} containers   {now:7.1f} MiB resident ({now - first:+.1f})   {Path(output.name).stat().st_size:,} bytes of detections",
                    flush=True,
                )
            time.sleep(max(0.0, 1 - (time.monotonic() - start)))
    print("goal: ≤ 80 MiB, flat")


if __name__ == "__main__":
    main()
