"""Matches in event-time order, however many: sorted runs on disk, merged at the end.

A log is not in order (CloudTrail files hold what arrived, several files overlap), and thresholds and sequences must not
depend on how it was cut. So every match waits until all input is read; past a bound it waits on disk.
"""

from __future__ import annotations

import heapq
from typing import IO, TYPE_CHECKING

import msgspec

from watchkeeper_detection.match import Match

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HELD = 50_000  # matches in memory, about 50 MB
LENGTH_BYTES = 4


class MatchStore:
    """Add in any order, then take in `Match.order()`."""

    def __init__(self, held: int = HELD) -> None:
        self._held = held
        self._matches: list[Match] = []
        self._runs: list[IO[bytes]] = []
        self._encoder = msgspec.msgpack.Encoder()

    def add(self, matches: Iterable[Match]) -> None:
        self._matches.extend(matches)
        if len(self._matches) >= self._held:
            self._spill()

    def _spill(self) -> None:
        """Write what is held as one sorted run; the file has no name and vanishes with the process."""
        import tempfile  # 10 ms that short runs need not pay

        self._matches.sort(key=Match.order)
        run = tempfile.TemporaryFile(prefix="watchkeeper-")  # noqa: SIM115 (open until read back by `in_order`)
        for match in self._matches:
            encoded = self._encoder.encode(match)
            run.write(len(encoded).to_bytes(LENGTH_BYTES, "little"))
            run.write(encoded)
        run.seek(0)
        self._runs.append(run)
        self._matches = []

    def in_order(self) -> Iterator[Match]:
        """All matches, earliest first; the store is empty afterwards."""
        self._matches.sort(key=Match.order)
        yield from heapq.merge(*(_read(run) for run in self._runs), self._matches, key=Match.order)
        for run in self._runs:
            run.close()
        self._runs, self._matches = [], []


def _read(run: IO[bytes]) -> Iterator[Match]:
    decoder = msgspec.msgpack.Decoder(Match)
    while head := run.read(LENGTH_BYTES):
        yield decoder.decode(run.read(int.from_bytes(head, "little")))
