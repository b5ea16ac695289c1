"""Programs of the distribution for tests, unpacked into a cache and never installed: the machine stays as it was."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class NoPackagesError(Exception):
    """Why they can't be had here."""


def unpack(packages: Sequence[str], layer: Path) -> None:
    """Makes the folder, whose usr/ may lie over the machine's. Raises NoPackagesError."""
    layer.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=layer.parent) as name:
        made = layer.parent / name / "layer"
        _download(packages, made.parent)
        for package in sorted(made.parent.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, made], check=True)
        for old in ("bin", "sbin", "lib"):  # of packages that do not know of a merged /usr
            if (made / old).is_dir():
                shutil.copytree(made / old, made / "usr" / old, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(layer, ignore_errors=True)
        made.rename(layer)


def _download(packages: Sequence[str], folder: Path) -> None:
    command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *packages]
    if shutil.which("apt-get") is None:
        raise NoPackagesError("no apt on this machine")
    if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoPackagesError(done.stderr.strip()[-300:])
