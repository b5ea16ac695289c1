"""Big files of JSON lines, cut at line ends, so that several processes can judge one file."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from watchkeeper_cli.parts import Part
from watchkeeper_detection.logs.kubernetes_audit import STARTED_REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

PART_BYTES = 16 << 20
HEAD_BYTES = 1 << 20
STARTED = b"ResponseStarted"
STAGE = re.compile(rb'stage\\?"\s*:\s*\\?"$')
AUDIT_ID = re.compile(rb'auditID\\?"\s*:\s*\\?"([^"\\]{1,100})')


def parts_of(path: str, size: int, part_bytes: int = PART_BYTES) -> Iterator[Part]:
    """The file as parts that can be judged apart; one part unless it is a big file of JSON lines."""
    if size < 2 * part_bytes or not holds_json_lines(path):
        yield Part(path)
        return
    started: deque[str] = deque(maxlen=STARTED_REQUESTS)
    with Path(path).open("rb", buffering=0) as file:
        start, number = 0, 1
        while lines := _whole_lines(file, start, part_bytes):
            end = start + len(lines)
            yield Part(path, start, end, number, tuple(started))
            started.extend(started_requests(lines))
            start, number = end, number + lines.count(b"\n")


def holds_json_lines(path: str) -> bool:
    """Whether the first two lines are a JSON object each: no archive, no array, no object over several lines, no text."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:  # whoever judges the part says why
        return False
    first, newline, rest = head.partition(b"\n")
    return bool(newline) and first[:1] == b"{" and first.rstrip()[-1:] == b"}" and first.rstrip() != b"{}" and rest[:1] == b"{"


def _whole_lines(file: FileIO, start: int, wanted: int) -> bytes:
    """About `wanted` bytes from `start`, up to a line's end or the file's."""
    file.seek(start)
    lines = file.read(wanted)
    while lines[-1:] != b"\n" and (more := file.read(HEAD_BYTES)):
        end = more.find(b"\n") + 1
        lines += more[:end] if end else more
    return lines


def started_requests(lines: bytes) -> Iterator[str]:
    """Audit ids of long requests that were judged when they started, so that a later part passes over their end."""
    at = -1
    while (at := lines.find(STARTED, at + 1)) >= 0:  # a third of what a regular expression over everything takes
        begin = lines.rfind(b"\n", 0, at) + 1
        if not STAGE.search(lines, begin, at):
            continue
        end = lines.find(b"\n", at)
        if found := AUDIT_ID.search(lines, begin, end if end >= 0 else len(lines)):
            yield found[1].decode(errors="replace")
