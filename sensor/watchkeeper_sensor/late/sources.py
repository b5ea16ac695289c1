"""Which sources of late fields the agent asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_sensor.hashing import Hashes
from watchkeeper_sensor.late import LateQueue
from watchkeeper_sensor.late.containers import ContainerSource, FeedSource
from watchkeeper_sensor.late.files import EXE, HashSource

if TYPE_CHECKING:
    from watchkeeper_detection.program import Program
    from watchkeeper_sensor.surroundings import Surroundings


class LateFields(LateQueue):
    """The queue with all sources. None of them does anything before a rule waits for it, but for what `judge_by` says."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._hashes = Hashes()
        super().__init__((ContainerSource(around.containers), FeedSource(around), HashSource(around, self._hashes)), time_of=around.steady_time)

    def judge_by(self, program: Program) -> None:
        """Programs are hashed at their exec where a rule of these reads the hash: they may be gone soon."""
        reads = {path for rule in program.rules for path in rule.reads}
        self._around.hashes = self._hashes if EXE in reads else None
