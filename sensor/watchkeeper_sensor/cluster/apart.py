"""Work in a process of its own: what reads hostile text, or needs libraries of many megabytes for a moment, is gone when it is done."""

from __future__ import annotations

import subprocess
import sys


class ApartError(RuntimeError):
    """The work gave no answer; the reason is for people."""


def run_apart(module: str, given: bytes, *, seconds: float) -> bytes:
    """What `module` writes when it is run with `given` on its standard input. Raises ApartError."""
    try:
        # isolated: neither the environment nor the working folder decides what is imported
        done = subprocess.run([sys.executable, "-I", "-m", module], input=given, capture_output=True, timeout=seconds, check=False, env={})  # noqa: S603 (words of our own)
    except subprocess.TimeoutExpired:
        raise ApartError(f"{module} took longer than {seconds:.0f} s") from None
    except OSError as error:
        raise ApartError(f"{module} can't be run: {error.strerror}") from None
    if done.returncode:
        last = done.stderr.decode(errors="backslashreplace").strip().rpartition("\n")[2][:500]
        raise ApartError(f"{module} ended with {done.returncode}: {last}")
    return done.stdout
