"""Path → package in ten bytes a path: a table of keyed hashes, so that nobody can choose a path that is taken for another one."""

from __future__ import annotations

import hashlib
import os
from array import array

MOST_PATHS = 2_000_000  # 33 MB; a desktop with everything has half of that
FIRST_SLOTS = 1 << 15
LOAD = 0.6


class FullError(Exception):
    """There are more paths or packages than the index holds; the message is for users."""


class PathIndex:
    """Written by one thread while another looks up. A path may be added again: the last package counts."""

    def __init__(self, most: int = MOST_PATHS) -> None:
        self._most = most
        self._key = os.urandom(16)
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._count = 0
        self._table = (array("Q", bytes(8 * FIRST_SLOTS)), array("H", bytes(2 * FIRST_SLOTS)))

    def __len__(self) -> int:
        return self._count

    def package(self, name: str) -> int:
        """Number of a package. Raises FullError."""
        number = self._numbers.get(name)
        if number is None:
            if len(self._names) >= 0xFFFF:
                raise FullError(f"the host has more than {0xFFFF} packages")
            number = self._numbers[name] = len(self._names)
            self._names.append(name)
        return number

    def add(self, path: str, number: int) -> None:
        """The package of this number owns the path. Raises FullError."""
        hashes, numbers = self._table
        wanted = self._hash(path)
        slot = self._slot(hashes, wanted)
        numbers[slot] = number
        if not hashes[slot]:
            if self._count >= self._most:
                raise FullError(f"the host's packages own more than {self._most} paths")
            hashes[slot] = wanted
            self._count += 1
            if self._count > LOAD * len(hashes):
                self._grow()

    def find(self, path: str) -> str | None:
        hashes, numbers = self._table
        slot = self._slot(hashes, self._hash(path))
        return self._names[numbers[slot]] if hashes[slot] else None

    def _hash(self, path: str) -> int:
        """Never 0, which is an empty slot."""
        return int.from_bytes(hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).digest(), "little") or 1

    @staticmethod
    def _slot(hashes: array[int], wanted: int) -> int:
        mask = len(hashes) - 1
        slot = wanted & mask
        while hashes[slot] and hashes[slot] != wanted:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        hashes, numbers = self._table
        slots = 2 * len(hashes)
        more_hashes, more_numbers = array("Q", bytes(8 * slots)), array("H", bytes(2 * slots))
        for at, found in enumerate(hashes):
            if found:
                slot = self._slot(more_hashes, found)
                more_hashes[slot], more_numbers[slot] = found, numbers[at]
        self._table = (more_hashes, more_numbers)
