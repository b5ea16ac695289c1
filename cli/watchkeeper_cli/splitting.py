"""Big files of JSON lines, cut at line ends, so that several processes can judge one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from watchkeeper_cli.parts import Part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

PART_BYTES = 32 << 20
READ_BYTES = 1 << 20


def parts_of(path: str, size: int, part_bytes: int = PART_BYTES) -> Iterator[Part]:
    """The file as parts that can be judged apart; one part unless it is a big file of JSON lines."""
    if size < 2 * part_bytes or not holds_json_lines(path):
        yield Part(path)
        return
    with Path(path).open("rb", buffering=0) as file:
        start, number = 0, 1
        while start < size:
            lines, end = _lines_until_cut(file, start, start + part_bytes)
            last = end >= size
            yield Part(path, start, None if last else end, number)
            if last:
                return
            start, number = end, number + lines


def holds_json_lines(path: str) -> bool:
    """Whether the first two lines are a JSON object each: no archive, no array, no object over several lines, no text."""
    with Path(path).open("rb") as file:
        head = file.read(READ_BYTES)
    first, newline, rest = head.partition(b"\n")
    return bool(newline) and first[:1] == b"{" and first.rstrip()[-1:] == b"}" and first.rstrip() != b"{}" and rest[:1] == b"{"


def _lines_until_cut(file: FileIO, start: int, wanted: int) -> tuple[int, int]:
    """Number of lines from `start` up to the first line end at or after `wanted`, and that place."""
    file.seek(start)
    lines, at = 0, start
    while block := file.read(READ_BYTES):
        if at + len(block) >= wanted:
            end = block.find(b"\n", max(0, wanted - at - 1))
            if end >= 0:
                return lines + block.count(b"\n", 0, end + 1), at + end + 1
        lines += block.count(b"\n")
        at += len(block)
    return lines, at
