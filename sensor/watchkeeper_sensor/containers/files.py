"""Reading the files of container runtimes: texts in them are chosen by whoever made the image or the pod, so size and types are bounded here."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_BYTES = 4 << 20  # of a container's own files; a config of 300 mounts has 0.1 MiB
INDEX_BYTES = 32 << 20  # of a list of all containers or images
FOLDERS = 64  # namespaces of one containerd

T = TypeVar("T")


class FilesReader:
    """Counts what it could not make sense of."""

    def __init__(self) -> None:
        self.unreadable = 0  # files that are too long, no JSON, or of other types than the runtime writes

    def read(self, path: Path, type_: type[T], most: int = FILE_BYTES) -> T | None:
        """The file's JSON; None where there is no such file, or none of ours. Never follows a link at the end of the path, never waits for a fifo."""
        try:
            number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        with open(number, "rb") as file:  # noqa: PTH123 (a descriptor)
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode) or found.st_size > most:
                self.unreadable += 1
                return None
            try:
                return msgspec.json.decode(file.read(most + 1), type=type_)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError):
                self.unreadable += 1
                return None


def folders(path: Path) -> Iterator[Path]:
    """Folders in a folder, at most FOLDERS; none where it is not there."""
    try:
        with os.scandir(path) as entries:
            names = sorted(entry.name for _, entry in zip(range(FOLDERS), entries, strict=False) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return
    for name in names:
        yield path / name
