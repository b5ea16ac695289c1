"""Runs a command on a terminal of its own, as a user does who looks at the screen and presses keys."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pyte

PATIENCE = 30.0
HISTORY = 5000


class OnTerminal:
    """The command, its screen of `columns` × `rows`, and every byte that it wrote."""

    def __init__(self, command, *, columns=100, rows=30, env=None):
        self.screen = pyte.HistoryScreen(columns, rows, history=HISTORY)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._main, self._side = os.openpty()
        self.resize(columns, rows)
        self.modes = termios.tcgetattr(self._side)
        self.process = subprocess.Popen(
            command,
            stdin=self._side,
            stdout=self._side,
            stderr=self._side,
            env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **(env or {})},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 (one call, before any thread)
        )

    def resize(self, columns, rows):
        """As a user drags the window. The kernel tells the command."""
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        screen = self.screen
        if (screen.columns, screen.lines) == (columns, rows):
            return
        column, row = screen.cursor.x, screen.cursor.y
        gone = max(0, row - rows + 1)  # of the top: the row with the cursor stays, rows below it go first; pyte takes all from the top
        if rows < screen.lines:
            screen.cursor_position()
            screen.insert_lines(screen.lines - rows - gone)
        screen.resize(rows, columns)
        screen.cursor.x, screen.cursor.y = min(column, columns - 1), row - gone

    def read(self, seconds=0.0):
        end = time.monotonic() + seconds
        while select.select([self._main], [], [], max(0.0, end - time.monotonic()))[0]:
            try:
                found = os.read(self._main, 65536)
            except OSError:  # everybody closed the other side
                return
            self.raw += found
            self._stream.feed(found)

    def press(self, keys):
        os.write(self._main, keys.encode())

    @property
    def rows(self):
        """What is on the screen, without empty rows."""
        return [row.rstrip() for row in self.screen.display if row.strip()]

    @property
    def scrolled(self):
        """What left the screen at its top, and what is on it."""
        above = ["".join(row[column].data for column in range(self.screen.columns)).rstrip() for row in self.screen.history.top]
        return [*above, *self.rows]

    def wait_for(self, holds):
        """Until `holds`, a text on the screen or a function, does."""
        if isinstance(holds, str):
            text = holds
            holds = lambda: any(text in row for row in self.scrolled)  # noqa: E731 (given or made)
        end = time.monotonic() + PATIENCE
        while not (found := holds()):
            assert time.monotonic() < end, "\n".join(self.scrolled)
            self.read(0.05)
        return found

    def state(self):
        """The process's state as /proc tells it: S sleeping, T stopped."""
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        """Its exit status."""
        self.wait_for(lambda: self.process.poll() is not None)
        self.read(0.2)
        return self.process.returncode

    def is_as_before(self):
        """Whether the terminal's modes are those of before the command, and the cursor shows."""
        return termios.tcgetattr(self._side) == self.modes and not self.screen.cursor.hidden

    def hang_up(self):
        """As when the connection to the terminal ends."""
        os.close(self._side)
        os.close(self._main)
        self._main = self._side = -1

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        for number in (self._main, self._side):
            with contextlib.suppress(OSError):
                os.close(number)
