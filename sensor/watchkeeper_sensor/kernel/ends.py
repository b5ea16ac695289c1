"""Which system calls the dispatcher hands on to handlers: by number, and by how the call ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_sensor.kernel.syscalls import COMPAT_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable

POSITIVE, ZERO, DENIED, FAILED = 1, 2, 4, 8  # enum call_end: how a call ended
LOOK_AT_OPEN, LOOK_AT_WRITE, LOOK_AT_MEMORY = 16, 32, 64  # and what the dispatcher looks at itself, before it hands the call on
COMPAT_ASKED = 128
ANY_END = POSITIVE | ZERO | DENIED | FAILED
LOOKS = LOOK_AT_OPEN | LOOK_AT_WRITE | LOOK_AT_MEMORY


def asked_ends(handled: Iterable[tuple[int, int]]) -> dict[int, int]:
    """(number of a call, ends of one of its handlers) → the value of each number in the kernel's table.

    Ends that any handler asks for; looks that all are content with. The same number is another call when it is made the 32-bit way.
    """
    ends: dict[int, int] = {}
    for number, its in handled:
        one = ends.get(number, LOOKS)
        ends[number] = ((one | its) & ANY_END) | (one & its & LOOKS)
    asked = dict(ends)
    for number, native in COMPAT_NUMBERS.items():
        if native in ends:
            asked[number] = asked.get(number, 0) | COMPAT_ASKED
    return asked
