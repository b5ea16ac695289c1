"""Which sources of late fields the agent asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_sensor.hashing import Hashes
from watchkeeper_sensor.late import LateQueue
from watchkeeper_sensor.late.containers import ContainerSource, FeedSource
from watchkeeper_sensor.late.files import EXE, FILE_HASH, LOADER, FileSource
from watchkeeper_sensor.late.names import REMOTE_NAME, NameSource
from watchkeeper_sensor.late.packages import PackageSource
from watchkeeper_sensor.loading import loader_of
from watchkeeper_sensor.packages import Packages

if TYPE_CHECKING:
    from watchkeeper_detection.event import Event
    from watchkeeper_detection.program import Program
    from watchkeeper_sensor.surroundings import Surroundings


class LateFields(LateQueue):
    """The queue with all sources. None of them does anything before a rule waits for it, but for what `judge_by` says."""

    needs: frozenset[str] = frozenset()
    """Kinds of events that must be told because of the fields that rules read."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._hashes = Hashes()
        sources = (
            ContainerSource(around.containers),
            FeedSource(around),
            FileSource(self._hashes, EXE, FILE_HASH),
            FileSource(Hashes(read=loader_of), LOADER),
            PackageSource(around, Packages(around.root)),
            NameSource(around.names),
        )
        super().__init__(sources, time_of=around.steady_time)

    def judge_by(self, program: Program) -> None:
        """Programs are hashed at their exec where a rule of these reads the hash: they may be gone soon. Answers of name servers are kept in mind."""
        reads = {path for rule in program.rules for path in rule.reads}
        self._around.hashes = self._hashes if EXE in reads else None
        self.needs = frozenset({"dns.answer"}) if REMOTE_NAME in reads else frozenset()

    def saw(self, event: Event) -> None:
        """An event of a kind in `needs` came: what it tells comes to others late."""
        self._around.names.take(event)
