"""What a person reads while a cluster is made: a line per step with its time, or one error with its remedy."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchkeeper"
TAIL = 1500  # characters of a failed command's output


class NoKubernetesError(Exception):
    """Why there is no cluster, or none of its components."""


class UnableError(NoKubernetesError):
    """What this machine lacks, and what would help. Tests are skipped for it; for any other reason they fail."""


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"cluster: {time.monotonic() - began:6.1f} s  {what}", file=sys.stderr, flush=True)


def output(*command: str | Path, stdin: str | bytes | None = None, environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What the command prints; raises NoKubernetesError with what it said when it fails. `environment` is added to the process's own."""
    text = stdin.encode() if isinstance(stdin, str) else stdin
    told = {"input": text} if text is not None else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, **(environment or {})}, cwd=cwd, **told)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise NoKubernetesError(f"{' '.join(map(str, command))[:300]} failed with status {done.returncode}: {said[-TAIL:]}")
    return done.stdout.decode(errors="replace")


def await_(what: str, ready: Callable[[], bool], seconds: float, every: float = 0.1) -> None:
    """Returns when `ready()` is true; raises NoKubernetesError when it is not in time."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise NoKubernetesError(f"{what} not ready after {seconds:.0f} s")
        time.sleep(every)
