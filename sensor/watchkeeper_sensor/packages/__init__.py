"""Which distribution package owns a path of the host: an index over the files of its package databases, built and kept up away from the hot path.

dpkg (Debian, Ubuntu), rpm as SQLite (Fedora, RHEL 9 and later, openSUSE as far as it keeps one) and apk (Alpine) are read, never asked. Ownership is
by path: whether the content is still the package's is another question.
"""

from __future__ import annotations

import os
import threading
from queue import Full, Queue
from typing import TYPE_CHECKING

from watchkeeper_sensor.packages.databases import DATABASES, DatabaseError
from watchkeeper_sensor.packages.index import FullError, PathIndex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from watchkeeper_sensor.packages.databases import Database

NICENESS = 10


class Packages:
    """Asked by one thread; read by another, begun with the first question."""

    def __init__(self, root: Path) -> None:
        """`root`: where the host's files are mounted."""
        self.refused = ""  # why the databases can't be read
        self._aliases = aliases_of(root)
        self._databases: Sequence[Database] = tuple(made for kind in DATABASES if (made := kind(root)).is_there())
        self._index = PathIndex()
        self._stamps: tuple[object, ...] = ()
        self._wanted: Queue[bool] = Queue(1)
        self._thread: threading.Thread | None = None
        self._rounds = 0  # that the other thread has ended
        self._asked = 0  # the round that will know what is on the disk now

    @property
    def are_there(self) -> bool:
        """Whether the host has packages at all."""
        return bool(self._databases)

    @property
    def rounds(self) -> int:
        """Counts up whenever the databases have been read."""
        return self._rounds

    def owner(self, path: str) -> str | None:
        """Package that owns the path, as far as is known."""
        return self._index.find(self._real(path))

    def is_known(self) -> bool:
        """Whether a path without an owner has none: the index holds what the databases hold now. Where it does not, they are read."""
        if self._stamps == self._now() and self._rounds:
            return True
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="packages", daemon=True)
            self._thread.start()
        try:
            self._wanted.put_nowait(True)
        except Full:
            return False
        return False

    def close(self) -> None:
        """End the thread after what it reads."""
        if self._thread is not None:
            self._wanted.put(False)
            self._thread.join()
            self._thread = None

    def _now(self) -> tuple[object, ...]:
        return tuple(database.stamp() for database in self._databases)

    def _real(self, path: str) -> str:
        top, slash, rest = path[1:].partition("/")
        real = self._aliases.get(top)
        return f"{real}{slash}{rest}" if real is not None else path

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while self._wanted.get():
            stamps = self._now()
            if stamps != self._stamps or not self._rounds:
                try:
                    self._read()
                    self.refused = ""
                except (DatabaseError, FullError) as error:
                    self.refused = str(error)
                self._stamps = stamps
            self._rounds += 1

    def _read(self) -> None:
        """Take up what is new; where packages are gone, all anew."""
        if any(database.has_shrunk() for database in self._databases):
            for database in self._databases:
                database.forget()
            index = PathIndex()
        else:
            index = self._index
        for database in self._databases:
            for package, paths in database.news():
                number = index.package(package)
                for path in paths:
                    index.add(self._real(path), number)
        self._index = index


def aliases_of(root: Path) -> dict[str, str]:
    """Folders at the top that are links: `bin` → `/usr/bin`. Packages name the one, the kernel tells the other."""
    found = {}
    for entry in os.scandir(root):
        if entry.is_symlink():
            found[entry.name] = os.path.normpath(f"/{os.readlink(entry.path)}")  # noqa: PTH115 (a path below another root)
    return found
