"""The files in which package managers keep what they installed.

dpkg   /var/lib/dpkg/info/PACKAGE[:ARCHITECTURE].list, a path a line; /var/lib/dpkg/diversions, three lines each: from, to, by whom
rpm    a table `Packages` of headers (https://rpm-software-management.github.io/rpm/manual/format_header.html)
apk    /lib/apk/db/installed: `P:` a package, `F:` a folder, `R:` a file in it
"""

from __future__ import annotations

import os
import sqlite3
import struct
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIST_BYTES = 32 << 20  # of one package's list
HEADER_BYTES = 64 << 20
NAME, DIRECTORY_INDEXES, BASE_NAMES, DIRECTORY_NAMES = 1000, 1116, 1117, 1118  # tags of an rpm's header
RPM = ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
RPM_OTHERS = ("Packages.db", "Packages")  # ndb, Berkeley DB


class DatabaseError(Exception):
    """A database can't be read; the message is for users."""


class Database(Protocol):
    """One package manager's. Used by one thread, but for `stamp`."""

    def is_there(self) -> bool: ...

    def stamp(self) -> object:
        """Another one whenever something was installed or removed."""

    def has_shrunk(self) -> bool:
        """Whether something is gone that was read."""

    def forget(self) -> None:
        """Nothing was read."""

    def news(self) -> Iterator[tuple[str, list[str]]]:
        """(package, its paths) of all that was not read yet. Raises DatabaseError."""


def modified(path: Path) -> int:
    """0 for what is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


class Dpkg:
    def __init__(self, root: Path) -> None:
        self._info = root / "var/lib/dpkg/info"
        self._diversions = root / "var/lib/dpkg/diversions"
        self._read: dict[str, int] = {}  # name of a list → when it was written

    def is_there(self) -> bool:
        return self._info.is_dir()

    def stamp(self) -> object:
        return modified(self._info), modified(self._diversions)

    def _lists(self) -> dict[str, int]:
        with os.scandir(self._info) as entries:
            return {entry.name: entry.stat().st_mtime_ns for entry in entries if entry.name.endswith(".list")}

    def has_shrunk(self) -> bool:
        return not self._read.keys() <= self._lists().keys()

    def forget(self) -> None:
        self._read.clear()

    def news(self) -> Iterator[tuple[str, list[str]]]:
        diverted = self._diverted()
        for name, written in self._lists().items():
            if self._read.get(name) == written:
                continue
            package = name.removesuffix(".list").partition(":")[0]
            try:
                with (self._info / name).open("rb") as file:
                    text = file.read(LIST_BYTES).decode("utf-8", "surrogateescape")
            except FileNotFoundError:
                continue
            self._read[name] = written
            yield package, [moved[0] if (moved := diverted.get(path)) and moved[1] != package else path for path in text.splitlines() if path != "/."]

    def _diverted(self) -> dict[str, tuple[str, str]]:
        """Path → where packages other than the one named have their file instead."""
        try:
            lines = self._diversions.read_text(errors="surrogateescape").splitlines()
        except OSError:
            return {}
        return {lines[at]: (lines[at + 1], lines[at + 2]) for at in range(0, len(lines) - 2, 3)}


class Rpm:
    def __init__(self, root: Path) -> None:
        self._folders = [root / path for path in RPM]
        self._last = 0
        self._numbers: set[int] = set()

    def _path(self) -> Path | None:
        return next((folder / "rpmdb.sqlite" for folder in self._folders if (folder / "rpmdb.sqlite").exists()), None)

    def is_there(self) -> bool:
        return self._path() is not None or any((folder / name).exists() for folder in self._folders for name in RPM_OTHERS)

    def stamp(self) -> object:
        path = self._path()
        return (modified(path), modified(path.with_name("rpmdb.sqlite-wal"))) if path else None

    def _rows(self, query: str, *values: int) -> Iterator[tuple[int, bytes]]:
        path = self._path()
        if path is None:
            raise DatabaseError("the host's rpm database is of a kind that is not read: packages of files are not known")
        try:
            connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            try:
                yield from connection.execute(query, values)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise DatabaseError(f"{path} can't be read: {error}") from None

    def has_shrunk(self) -> bool:
        return self._path() is not None and not self._numbers <= {number for number, _ in self._rows("SELECT hnum, NULL FROM Packages")}

    def forget(self) -> None:
        self._last = 0
        self._numbers.clear()

    def news(self) -> Iterator[tuple[str, list[str]]]:
        for number, header in self._rows("SELECT hnum, blob FROM Packages WHERE hnum > ? ORDER BY hnum", self._last):
            self._last = number
            self._numbers.add(number)
            yield package_of(header)


def package_of(header: bytes) -> tuple[str, list[str]]:
    """Name and paths of an rpm's header: counts of entries and bytes, entries (tag, type, offset, count), then the data. Raises DatabaseError."""
    try:
        entries, size = struct.unpack_from(">II", header)
        start = 8 + 16 * entries
        found = {tag: (start + offset, count) for tag, _, offset, count in struct.iter_unpack(">IIII", header[8:start])}
        data = header[: min(start + size, HEADER_BYTES)]
        name = _texts(data, found[NAME][0], 1)[0]
        if BASE_NAMES not in found:
            return name, []
        folders, names = _texts(data, *found[DIRECTORY_NAMES]), _texts(data, *found[BASE_NAMES])
        at, count = found[DIRECTORY_INDEXES]
        indexes = struct.unpack_from(f">{count}I", data, at)
        return name, [folders[index] + base for index, base in zip(indexes, names, strict=True)]
    except (struct.error, KeyError, IndexError, ValueError) as damage:
        raise DatabaseError(f"a header of the rpm database can't be read: {damage}") from None


def _texts(data: bytes, at: int, count: int) -> list[str]:
    found = data[at:].split(b"\0", count)[:count]
    return [text.decode("utf-8", "surrogateescape") for text in found]


class Apk:
    def __init__(self, root: Path) -> None:
        self._path = root / "lib/apk/db/installed"
        self._read = 0

    def is_there(self) -> bool:
        return self._path.exists()

    def stamp(self) -> object:
        return modified(self._path)

    def has_shrunk(self) -> bool:
        """It is one file, and read as one."""
        return bool(self._read) and self._read != modified(self._path)

    def forget(self) -> None:
        self._read = 0

    def news(self) -> Iterator[tuple[str, list[str]]]:
        written = modified(self._path)
        if written == self._read:
            return
        self._read = written
        package, folder, paths = "", "", list[str]()
        try:
            with self._path.open(encoding="utf-8", errors="surrogateescape") as file:
                for line in file:
                    word, _, value = line.rstrip("\n").partition(":")
                    if word == "P":
                        if paths:
                            yield package, paths
                        package, folder, paths = value, "", []
                    elif word == "F":
                        folder = f"/{value}" if value else ""
                    elif word == "R":
                        paths.append(f"{folder}/{value}")
        except OSError as error:
            raise DatabaseError(f"{self._path} can't be read: {error.strerror}") from None
        if paths:
            yield package, paths


DATABASES = (Dpkg, Rpm, Apk)
