"""Log files that grow: whole lines as they are written, through rotation by rename or by truncation, from where a last process stopped.

A file is known by its inode, so what a rotated one still holds is read before it is let go, and one that is matched under its new name is not read again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from glob import iglob
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from watchkeeper_operator.transports.files import GZIP, READ_BYTES, ZSTD

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import BinaryIO

FILES = 256  # followed at a time
LINE_BYTES = 16 << 20  # a longer line is given in pieces, which its reader rejects

Key = tuple[int, int]  # device and inode


class Lines(NamedTuple):
    """Whole lines of one file, and what of it has been read with them."""

    path: str
    content: bytes


@dataclass(slots=True)
class _Open:
    path: str
    file: BinaryIO
    offset: int


class Positions(msgspec.Struct, frozen=True):
    """How far each file has been read: (device, inode, bytes)."""

    files: tuple[tuple[int, int, int], ...] = ()


class Following:
    """`patterns`: paths, or globs of them. `saved`: positions of the last process; None where there was none: what is written already is passed over."""

    def __init__(self, patterns: Collection[str], saved: Positions | None, *, line_bytes: int = LINE_BYTES) -> None:
        self.unreadable: dict[str, str] = {}
        self._patterns = tuple(patterns)
        self._line_bytes = line_bytes
        self._open: dict[Key, _Open] = {}
        self._saved: dict[Key, int] = {(device, inode): offset for device, inode, offset in saved.files} if saved else {}
        self._at_end = saved is None
        self._look()
        self._at_end = False

    @property
    def positions(self) -> Positions:
        """Of all that `read` gave so far."""
        return Positions(tuple((*key, one.offset) for key, one in self._open.items()))

    def read(self) -> Iterator[Lines]:
        """What was written since, READ_BYTES of a file at a time; ends when there is nothing more now."""
        named = self._look()
        for key, one in list(self._open.items()):
            while content := _whole_lines(one, self._line_bytes):
                yield Lines(one.path, content)
            if key not in named:  # rotated away, and read to its end
                one.file.close()
                del self._open[key]

    def close(self) -> None:
        for one in self._open.values():
            one.file.close()
        self._open.clear()

    def _look(self) -> set[Key]:
        """The files that the patterns name now; new ones are opened."""
        named: set[Key] = set()
        self.unreadable = {}
        for path in sorted({path for pattern in self._patterns for path in iglob(pattern)}):  # noqa: PTH207 (absolute patterns)
            try:
                status = Path(path).stat()
                key = (status.st_dev, status.st_ino)
                named.add(key)
                if key in self._open:
                    self._open[key].path = path
                elif len(self._open) < FILES:
                    self._begin(path, key)
                else:
                    self.unreadable[path] = f"more than {FILES} files"
            except OSError as error:
                self.unreadable[path] = error.strerror or str(error)
        return named

    def _begin(self, path: str, key: Key) -> None:
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115 (kept while the file is followed)
        if file.read(4).startswith((GZIP, ZSTD)):  # packed after it was rotated: its lines were read before
            file.close()
            return
        end = os.fstat(file.fileno()).st_size
        offset = end if self._at_end else min(self._saved.get(key, 0), end)
        self._open[key] = _Open(path, file, offset)


def _whole_lines(one: _Open, most: int) -> bytes:
    """The next whole lines; nothing where there are none yet."""
    if os.fstat(one.file.fileno()).st_size < one.offset:  # emptied, and written anew
        one.offset = 0
    one.file.seek(one.offset)
    content = bytearray()
    while len(content) <= most:
        more = one.file.read(READ_BYTES)
        content += more
        if (end := content.rfind(b"\n") + 1) or not more:
            one.offset += end
            return bytes(content[:end])
    one.offset += len(content)
    return bytes(content)
