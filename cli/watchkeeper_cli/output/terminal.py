"""The user's terminal: lines that scroll away as in any log, and a block of lines that stays below them.

Nothing is drawn on a second screen, so that the user can scroll back, search and copy. The cursor waits at the block's first letter: whatever a resize
does to the lines, what is below the cursor is ours, and erasing it takes nothing else away.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"
ERASE = "\r\x1b[J"
WAITING_BYTES = 1 << 18  # for a terminal that does not take them; what comes then is not shown
LAST_SECONDS = 2.0  # for what still waits at the end
SMALLEST = (20, 2)
UNKNOWN = (80, 24)


class Terminal:
    """Standard output and, for keys, standard input. `enter` takes them over, `leave` gives them back as they were."""

    def __init__(self) -> None:
        self._out = self._opened()
        self._in = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._encoding = sys.stdout.encoding or "ascii"
        self._waiting = bytearray()
        self._before: list[Any] | None = None
        self._block: tuple[str, ...] = ()
        self._is_ours = False
        self.is_gone = False  # it was closed, or the connection to it ended

    @staticmethod
    def _opened() -> int:
        """The terminal, opened again: writing to it never blocks us, while the shell's own descriptor stays as it is."""
        try:
            return os.open(os.ttyname(sys.stdout.fileno()), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # not ours to open, as after su: a slow terminal then holds us up
            return os.dup(sys.stdout.fileno())

    def enter(self) -> None:
        """Take the terminal over, unless the command runs in the background."""
        if not self.is_in_foreground():
            return
        if self._in is not None:
            try:
                self._before = termios.tcgetattr(self._in)
                quiet = termios.tcgetattr(self._in)
                quiet[0] &= ~termios.IXON  # Ctrl-S would hold up the terminal, p does that better
                quiet[3] &= ~(termios.ICANON | termios.ECHO)  # keys as they come; Ctrl-C and Ctrl-Z stay
                termios.tcsetattr(self._in, termios.TCSADRAIN, quiet)
            except termios.error:
                self._in = None
        self._is_ours = True
        self._write(HIDE)

    def leave(self) -> None:
        """Give it back: no block, a cursor, its modes of before."""
        if not self._is_ours:
            return
        self._write(f"{ERASE}{WRAP}{SHOW}")
        self._block = ()
        self._drain()
        self._is_ours = False
        if self._before is not None and self._in is not None:
            with contextlib.suppress(termios.error):  # it may be gone
                termios.tcsetattr(self._in, termios.TCSADRAIN, self._before)
            self._before = None

    def close(self) -> None:
        self.leave()
        self._drain()
        os.close(self._out)

    @property
    def is_ours(self) -> bool:
        return self._is_ours

    @property
    def has_keys(self) -> bool:
        return self._in is not None

    def is_in_foreground(self) -> bool:
        """Whether the user sees what we do: a job in the background must not touch the terminal."""
        try:
            return os.tcgetpgrp(self._out) == os.getpgrp()
        except OSError:  # not our controlling terminal: nobody puts us into the background
            return True

    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        try:
            columns, rows = os.get_terminal_size(self._out)
        except OSError:
            return UNKNOWN
        if not columns or not rows:
            return UNKNOWN
        return max(columns, SMALLEST[0]), max(rows, SMALLEST[1])

    def print(self, lines: Sequence[str]) -> bool:
        """Add lines above the block. False when the terminal does not take them."""
        if len(self._waiting) > WAITING_BYTES:
            return False
        text = "".join(f"{line}\r\n" for line in lines)
        self._write(f"{ERASE if self._is_ours else ''}{text}{self._drawn()}")
        return True

    def pin(self, lines: Sequence[str]) -> None:
        """Show these lines as the block."""
        if self._is_ours and not self._waiting:
            self._block = tuple(lines)
            self._write(ERASE + self._drawn())

    def _drawn(self) -> str:
        """The block, and the cursor back at its first letter."""
        if not self._block or not self._is_ours:
            return ""
        up = f"\x1b[{len(self._block) - 1}A" if len(self._block) > 1 else ""
        joined = "\r\n".join(self._block)
        return f"{NO_WRAP}{joined}{WRAP}\r{up}"

    def keys(self) -> str:
        """Keys that were pressed."""
        if self._in is None or not self._is_ours:
            return ""
        try:
            if not select.select([self._in], [], [], 0)[0]:
                return ""
            found = os.read(self._in, 64)
        except OSError:
            found = b""
        if not found:
            self.is_gone = True
        return found.decode("ascii", "ignore")

    def flush(self) -> None:
        """Write what waits, as far as the terminal takes it."""
        while self._waiting and not self.is_gone:
            try:
                written = os.write(self._out, self._waiting)
            except BlockingIOError:
                return
            except OSError:
                self.is_gone = True
                return
            del self._waiting[:written]

    def _write(self, text: str) -> None:
        self._waiting += text.encode(self._encoding, "backslashreplace")
        self.flush()

    def _drain(self) -> None:
        end = time.monotonic() + LAST_SECONDS
        self.flush()
        while self._waiting and not self.is_gone and time.monotonic() < end:
            select.select([], [self._out], [], 0.1)
            self.flush()
