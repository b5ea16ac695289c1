"""How a command ends: exit statuses, the error that ends one, and output that is whole until then."""

from __future__ import annotations

import io
import os
import sys

SUCCEEDED, FAILED, USAGE, UNREADABLE = 0, 1, 2, 3
INTERRUPTED = 128 + 2  # what a shell reports after Ctrl-C
BROKEN_PIPE = 128 + 13  # … and for a command whose reader left


class CommandError(Exception):
    """Nothing more can be done; the message is for the user, after the lines that say what is wrong one by one."""

    def __init__(self, message: str, status: int, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.lines = lines


def keep_output_whole() -> None:
    """Buffer an output that is not (PYTHONUNBUFFERED, set in many images): of a line that a signal interrupts Python writes a part there, and forgets the rest."""
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase):
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), sys.stdout.encoding, sys.stdout.errors, line_buffering=True)


def flush_output() -> None:
    """Raises CommandError for a disk that is full; what is left of the output is given up then."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise CommandError(f"the output can't be written: {error.strerror}", FAILED) from None
