"""Bringing what was written to the disk itself, apart from those who go on writing."""

from __future__ import annotations

import os


class Syncing:
    """Descriptors of what was written up to an entry, held until they are synced."""

    def __init__(self, last: int, changes: int, files: list[int], folder: int) -> None:
        self.last = last
        self.changes = changes
        self._syncs = [*((number, os.fdatasync) for number in files), (folder, os.fsync)]

    def run(self) -> str:
        """Why the disk refused; empty when everything is on it."""
        reason = ""
        for number, sync in self._syncs:
            try:
                sync(number)
            except OSError as error:
                reason = error.strerror or str(error)
            os.close(number)
        return reason
