"""How a command ends: exit statuses, and the error that ends one."""

from __future__ import annotations

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


def flush_output() -> None:
    """Raises CommandError for a disk that is full; what is left of the output is given up then."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise CommandError(f"the output can't be written: {error.strerror}", FAILED) from None
