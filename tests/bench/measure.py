"""Times side by side in one run, because machines are noisy: what counts is the ratio."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5


def best_of(*runs: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Least seconds of processor time of each run; the runs take turns, so that a slow moment of the machine hits all of them."""
    best = [float("inf")] * len(runs)
    for _ in range(rounds):
        for number, run in enumerate(runs):
            gc.collect()
            begun = time.process_time()
            run()
            best[number] = min(best[number], time.process_time() - begun)
    return best
