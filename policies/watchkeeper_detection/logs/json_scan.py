"""Where a JSON value ends, by its brackets and strings alone: linear, and it can go on where the bytes stopped."""

from __future__ import annotations

import re

SPACE = re.compile(rb"\s*")
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
STRUCTURE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|"', re.DOTALL)
SCALAR_END = re.compile(rb"[\s,\]}]")
QUOTE = ord('"')
OPENING = b"{["


def value_end(buffer: bytes, start: int, *, final: bool) -> int:
    """Where the JSON value that begins at `start` ends; -1 when it does not end in the buffer."""
    first = buffer[start]
    if first == QUOTE:
        match = STRING.match(buffer, start)
        return match.end() if match else -1
    if first in OPENING:
        return nested_end(buffer, start, 0)[0]
    match = SCALAR_END.search(buffer, start)
    if match:
        return max(match.start(), start + 1)
    return len(buffer) if final else -1


def nested_end(buffer: bytes, at: int, depth: int) -> tuple[int, int, int]:
    """End of the object or array that `at` stands in, `depth` brackets deep; (-1, where to go on, depth) when it is not there yet."""
    for match in STRUCTURE.finditer(buffer, at):
        start = match.start()
        first = buffer[start]
        if first == QUOTE:
            if match.end() - start == 1:  # the string goes on past the buffer
                return -1, start, depth
        elif first in OPENING:
            depth += 1
        else:
            depth -= 1
            if depth <= 0:
                return match.end(), match.end(), 0
    return -1, len(buffer), depth


def values_of(line: bytes) -> list[bytes]:
    """The JSON values that stand on one line without anything between them; empty when the line is not that."""
    found = []
    at = 0
    while at < len(line):
        if line[at] not in OPENING:
            return []
        end = value_end(line, at, final=True)
        if end < 0:
            return []
        found.append(line[at:end])
        space = SPACE.match(line, end)
        at = space.end() if space else end
    return found
