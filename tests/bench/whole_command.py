"""The command itself on large files: resident memory over a 2 GB log, and what a second process gains."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.corpus_files import corpus_events

COMMAND = Path(sys.executable).with_name("watchkeeper")
MIB = 1 << 20


def write_bytes(path: Path, events: list[bytes], size: int) -> None:
    """Whole events, repeated up to about `size` bytes."""
    block = b"".join(event + b"\n" for event in events)
    with path.open("wb") as file:
        for _ in range(max(size // len(block), 1)):
            file.write(block)


def family(process: int) -> list[int]:
    """The process and its descendants."""
    found = [process]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found += [int(child) for child in task.read_text(encoding="ascii").split()]
    return found


def resident_mib(process: int) -> float:
    pages = 0
    for each in family(process):
        try:
            pages += int(Path(f"/proc/{each}/statm").read_text(encoding="ascii").split()[1])
        except OSError:  # it has just ended
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def judge(path: Path, jobs: int) -> tuple[float, list[float]]:
    """Seconds, and resident MiB every half second."""
    begun, samples = time.perf_counter(), []
    with subprocess.Popen([COMMAND, "judge", "--jobs", str(jobs), path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while running.poll() is None:
            if resident := resident_mib(running.pid):  # nothing is left of a process that has just ended
                samples.append(resident)
            time.sleep(0.5)
    if running.returncode:
        sys.exit(f"watchkeeper judge ended with {running.returncode}")
    return time.perf_counter() - begun, samples


def one_event(path: Path) -> float:
    """Seconds to judge one event with the whole library from the shell, the policy cache warm; least of five."""
    best = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([COMMAND, "judge", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        best = min(best, time.perf_counter() - begun)
    return best


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--mib", type=int, default=2048, help="size of the log whose reading is watched")
    told = ask.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for log in ("k8s-audit", "cloudtrail"):
            events, path = corpus_events(log), Path(folder, f"{log}.jsonl")
            write_bytes(path, events[:1], 1)
            print(f"{log}: one event from the shell in {one_event(path):.2f} s")
            write_bytes(path, events, told.mib * MIB)
            seconds, samples = judge(path, 1)
            quarters = [samples[min(len(samples) * quarter // 4, len(samples) - 1)] for quarter in (1, 2, 3, 4)]
            print(
                f"{log}: {path.stat().st_size / MIB:,.0f} MiB in {seconds:.0f} s, resident MiB at each quarter {', '.join(f'{mib:.0f}' for mib in quarters)}, most {max(samples):.0f}"
            )
            write_bytes(path, events, told.mib * MIB // 8)
            alone, together = judge(path, 1)[0], judge(path, 2)[0]
            print(f"{log}: {path.stat().st_size / MIB:,.0f} MiB with --jobs 2 {alone / together:.2f} times as fast as with --jobs 1")


if __name__ == "__main__":
    main()
