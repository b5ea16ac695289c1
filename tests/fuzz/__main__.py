"""Feeds damaged and hostile input to every parser: `python -m tests.fuzz [--inputs N] [--seed S] [--only TARGET]`.

A crash, an input that takes longer than five seconds, or memory that grows ends the run with the input saved for a test.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz import bodies, conditions, messages, policies, readers
from tests.fuzz.mutations import mutated

if TYPE_CHECKING:
    from types import FrameType, ModuleType

TARGETS: dict[str, ModuleType] = {"readers": readers, "conditions": conditions, "policies": policies, "messages": messages, "bodies": bodies}
HANG_SECONDS = 5
GROWTH_MIB = 64  # resident memory that a run may gain after its first tenth


class HangError(Exception):
    """One input took too long."""


def _on_alarm(_signal: int, _frame: FrameType | None) -> None:
    raise HangError(f"an input took longer than {HANG_SECONDS} s")


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def fuzz(name: str, inputs: int, seed: int) -> None:
    target, chance = TARGETS[name], random.Random(f"{seed} {name}")
    began, settled = time.monotonic(), 0.0
    for number in range(inputs):
        data = mutated(target.SEEDS, chance)
        signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
        try:
            target.one_input(data)
        except BaseException:
            signal.setitimer(signal.ITIMER_REAL, 0)
            saved = Path(f"fuzz-{name}-{number}.bin")
            saved.write_bytes(data)
            print(f"{name}: input {number} (seed {seed}) failed; saved as {saved}", file=sys.stderr)
            raise
        if number == inputs // 10:
            settled = resident_mib()
    signal.setitimer(signal.ITIMER_REAL, 0)
    grown = resident_mib() - settled
    print(f"{name:11} {inputs:9,} inputs in {time.monotonic() - began:6.1f} s, no crash, no hang, memory {grown:+.1f} MiB", flush=True)
    if grown > GROWTH_MIB:
        sys.exit(f"{name}: memory grew by {grown:.0f} MiB")


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--inputs", type=int, default=1_000_000, help="inputs in all, shared by the targets")
    ask.add_argument("--seed", type=int, default=0, help="other seeds make other inputs")
    ask.add_argument("--only", choices=tuple(TARGETS))
    told = ask.parse_args()
    signal.signal(signal.SIGALRM, _on_alarm)
    names = (told.only,) if told.only else tuple(TARGETS)
    for name in names:
        fuzz(name, told.inputs // len(names), told.seed)


if __name__ == "__main__":
    main()
