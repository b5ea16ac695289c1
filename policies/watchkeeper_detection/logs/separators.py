"""What stands between the records of an array, learnt from those seen: `},{"eventVersion"`. Where a run can be cut by a guess."""

from __future__ import annotations

import re

MOST = 8
SPACE_BYTES = 200  # between two records
TAIL_BYTES = 8 << 10
FIRST_KEY = re.compile(rb'\{\s*"[^"\\]{1,64}"')


class Separators:
    """Separators of one stream: the end of a record, what follows it, and the first key of the next."""

    def __init__(self) -> None:
        self._known: list[bytes] = []

    def __bool__(self) -> bool:
        return bool(self._known)

    def learn(self, buffer: bytes, end: int, start: int) -> None:
        """One record (an object) ends at `end`, the next one begins at `start`."""
        if start - end > SPACE_BYTES or len(self._known) == MOST:
            return
        key = FIRST_KEY.match(buffer, start)
        if key:
            separator = b"}" + buffer[end:start] + key.group()
            if separator not in self._known:
                self._known.append(separator)

    def next(self, buffer: bytes, start: int) -> int:
        """Place of the bracket that ends a record after `start`; -1 where there is none."""
        places = [buffer.find(separator, start + 1) for separator in self._known]
        return min((place for place in places if place >= 0), default=-1)

    def last(self, buffer: bytes, start: int, stop: int) -> int:
        """Place of a late one in this window; -1 where there is none. Searching backwards is slow, so the last bytes come first."""
        for first in dict.fromkeys((max(start, stop - TAIL_BYTES), start)):
            for index, separator in enumerate(self._known):
                place = buffer.rfind(separator, first, stop)
                if place >= 0:
                    if index:
                        self._known.insert(0, self._known.pop(index))
                    return place
        return -1
