"""Logs in files: paths and folders, standard input, gzip and zstd → chunks of bytes. What they hold is the readers' business.

Compression is told by the first bytes, never by the name; one inside another is undone too. What can't be read is named with
reason and remedy, and the other files are still read.
"""

from __future__ import annotations

import stat
import sys
import zlib
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

STDIN = "-"
READ_BYTES = 256 << 10
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
MAGIC_BYTES = 4
LAYERS = 4  # compressions inside one another
MOST_BYTES = 1 << 40  # one file, decompressed
MOST_RATIO = 300  # decompressed to compressed, once the output is past RATIO_FROM_BYTES; logs reach some tens
RATIO_FROM_BYTES = 256 << 20
ZSTD_SLICE_BYTES = 1 << 10  # decompressed at once: at zstd's most, 32 MiB come out of it
ZSTD_WINDOW_BYTES = 1 << 27


class FileUnreadableError(Exception):
    """A file that can't be opened, or not read to its end; says why and what to do."""


class Chunk(NamedTuple):
    """A piece of content, and how many bytes of the file as it lies were read for it."""

    data: bytes
    read_bytes: int


@dataclass(frozen=True, slots=True)
class File:
    """A file to read; `size` is that of the file as it lies, 0 where it is not known."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Found:
    """What paths lead to: files in order, and (path, reason) of what can't be read."""

    files: tuple[File, ...]
    unreadable: tuple[tuple[str, str], ...]

    @property
    def total_bytes(self) -> int:
        return sum(file.size for file in self.files)


def find(paths: Iterable[str]) -> Found:
    """The files at these paths, folders included: recursive, sorted, hidden ones left out, each file once."""
    files: list[File] = []
    unreadable: list[tuple[str, str]] = []
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if path == STDIN:
            files.append(File(STDIN, 0))
            continue
        count = len(files) + len(unreadable)
        try:
            is_folder = stat.S_ISDIR(Path(path).stat().st_mode)
        except (OSError, ValueError) as error:
            unreadable.append((path, reason_of(error)))
            continue
        for name in _walk(path, unreadable) if is_folder else (path,):
            _add(name, files, unreadable, seen, given=not is_folder)
        if is_folder and len(files) + len(unreadable) == count and not seen:
            unreadable.append((path, "the folder holds no files (hidden ones are left out)"))
    return Found(tuple(files), tuple(unreadable))


def _add(path: str, files: list[File], unreadable: list[tuple[str, str]], seen: set[tuple[int, int]], *, given: bool) -> None:
    try:
        status = Path(path).stat()
    except OSError as error:
        unreadable.append((path, reason_of(error)))
        return
    if stat.S_ISREG(status.st_mode):
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            files.append(File(path, status.st_size))
    elif given:  # a pipe or a device that somebody named; those in folders are not waited for
        files.append(File(path, 0))


def _walk(folder: str, unreadable: list[tuple[str, str]]) -> Iterator[str]:
    """Paths of the files below a folder; links to folders are followed, but no folder is entered twice."""
    entered: set[tuple[int, int]] = set()
    waiting = [Path(folder)]
    while waiting:
        here = waiting.pop()
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            below = sorted(path for path in here.iterdir() if not path.name.startswith("."))
        except OSError as error:
            unreadable.append((str(here), reason_of(error)))
            continue
        folders = {path for path in below if path.is_dir()}
        yield from (str(path) for path in below if path not in folders)
        waiting += sorted(folders, reverse=True)


def reason_of(error: Exception) -> str:
    """Reason and remedy, in words."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file; check the path"
    if isinstance(error, PermissionError):
        return "permission denied; let this user read it"
    if isinstance(error, OSError):
        return f"{error.strerror or error}; check the file and the disk"
    return f"{error}; check the path"


def chunks(path: str, *, start: int = 0, end: int | None = None) -> Iterator[Chunk]:
    """Content of a file in pieces, decompressed; of `start` to `end` where these are given, for files that are not compressed.

    Raises FileUnreadableError, after what could be read.
    """
    try:
        if path == STDIN:
            with FileIO(sys.stdin.fileno(), closefd=False) as stdin:  # not its buffer, which waits until it is full
                yield from _content(_read(stdin, None))
            return
        with Path(path).open("rb", buffering=0) as file:
            if start:
                file.seek(start)
            raw = _read(file, None if end is None else end - start)
            yield from raw if start else _content(raw)
    except (OSError, ValueError) as error:
        raise FileUnreadableError(reason_of(error)) from error


def _read(file: BinaryIO | FileIO, size: int | None) -> Iterator[Chunk]:
    left = size
    while left is None or left > 0:
        data = file.read(READ_BYTES if left is None else min(READ_BYTES, left))
        if not data:
            return
        left = None if left is None else left - len(data)
        yield Chunk(data, len(data))


def _content(raw: Iterator[Chunk]) -> Iterator[Chunk]:
    """The content without its compressions."""
    is_compressed = False
    for _ in range(LAYERS + 1):
        head, raw = _peeked(raw)
        undo = _gunzipped if head.startswith(GZIP) else _unzstd if head.startswith(ZSTD) else None
        if undo is None:
            yield from _limited(raw) if is_compressed else raw
            return
        raw, is_compressed = undo(raw), True
    raise FileUnreadableError(f"more than {LAYERS} compressions inside one another; unpack it first")


def _peeked(raw: Iterator[Chunk]) -> tuple[bytes, Iterator[Chunk]]:
    """The first bytes, and all of the content."""
    held: list[Chunk] = []
    head = b""
    for chunk in raw:
        held.append(chunk)
        head += chunk.data[:MAGIC_BYTES]
        if len(head) >= MAGIC_BYTES:
            break
    return head, _chained(held, raw)


def _chained(held: list[Chunk], rest: Iterator[Chunk]) -> Iterator[Chunk]:
    yield from held
    held.clear()
    yield from rest


def _gunzipped(raw: Iterator[Chunk]) -> Iterator[Chunk]:
    """Content of one or more gzip members."""
    member = zlib.decompressobj(wbits=31)
    is_open = True
    for chunk in raw:
        data, read_bytes = chunk
        more = bool(data)
        while more:
            if not is_open:
                data = data.lstrip(b"\0")  # some tools pad
                if not data:
                    break
                member, is_open = zlib.decompressobj(wbits=31), True
            try:
                out = member.decompress(data, READ_BYTES)
            except zlib.error as error:
                raise FileUnreadableError(f"damaged gzip ({error}); fetch the file again") from error
            yield Chunk(out, read_bytes)
            read_bytes = 0
            data = member.unconsumed_tail
            if member.eof:
                data, is_open = member.unused_data, False
            more = bool(data) or (is_open and len(out) == READ_BYTES)
    if is_open:
        raise FileUnreadableError("the gzip ends in its middle; fetch the file again")


def _unzstd(raw: Iterator[Chunk]) -> Iterator[Chunk]:
    """Content of one or more zstd frames."""
    import zstandard  # noqa: PLC0415 (only who reads zstd pays)

    frame = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj()
    is_open = True
    for chunk in raw:
        read_bytes = chunk.read_bytes
        for start in range(0, len(chunk.data), ZSTD_SLICE_BYTES):
            data = chunk.data[start : start + ZSTD_SLICE_BYTES]
            while data:
                if not is_open:
                    frame, is_open = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj(), True
                try:
                    out = frame.decompress(data)
                except zstandard.ZstdError as error:
                    raise FileUnreadableError(f"damaged zstd ({error}); fetch the file again") from error
                data = b""
                if frame.eof:
                    data, is_open = frame.unused_data, False
                if out or read_bytes:
                    yield Chunk(out, read_bytes)
                    read_bytes = 0
    if is_open:
        raise FileUnreadableError("the zstd ends in its middle; fetch the file again")


def _limited(content: Iterator[Chunk]) -> Iterator[Chunk]:
    """The content, unless it is a bomb: a small file that unpacks to more than any log would."""
    read_bytes = written = 0
    for chunk in content:
        read_bytes += chunk.read_bytes
        written += len(chunk.data)
        if written > MOST_BYTES or (written > RATIO_FROM_BYTES and written > read_bytes * MOST_RATIO):
            raise FileUnreadableError(
                f"unpacks to over {written >> 20} MiB from {read_bytes >> 10} KiB, as a decompression bomb does; unpack it by hand if it is a log"
            )
        yield chunk
