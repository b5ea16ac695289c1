"""Go, and folders in the cache that it fills: whole or not there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.cluster.steps import CACHE, NoKubernetesError, output, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USUAL = Path("/usr/local/go/bin/go")


def _program() -> Path:
    found = shutil.which("go") or (str(USUAL) if USUAL.exists() else None)
    if found is None:
        raise NoKubernetesError(
            "Go is needed, 1.21 or newer (it fetches the version that a module asks for): install it from go.dev, or your distribution's golang"
        )
    return Path(found)


@contextlib.contextmanager
def go() -> Iterator[dict[str, str]]:
    """Environment for builds. What the compiler keeps (4 GB for Kubernetes) is removed after: no later build needs it."""
    program = _program()
    (CACHE / "k8s").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE / "k8s", prefix="part-go-") as built:
        yield {"GOCACHE": built, "CGO_ENABLED": "0", "PATH": f"{program.parent}:{os.environ['PATH']}"}


def module_folder(module: str, within: Path | None = None) -> Path:
    """Where Go keeps a module's files: NAME@VERSION, or NAME as required by the go.mod `within`."""
    return Path(json.loads(output(_program(), "mod", "download", "-json", module, cwd=within))["Dir"])


def kept(folder: Path, make: Callable[[Path], None], what: str) -> Path:
    """The folder of what is told, made under another name if it is not there; one process at a time, others wait and find it made."""
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with step(f"{what} made"), tempfile.TemporaryDirectory(dir=folder.parent, prefix="part-") as name:
                made = Path(name) / "made"
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder
