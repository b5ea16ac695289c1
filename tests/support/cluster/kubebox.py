"""All Kubernetes components as one program, built from Go modules and kept in the cache: see tests/e2e/kubernetes.

It is told which component to be by the name it is called by. `python -m tests.support.cluster.kubebox` builds it, which takes nine minutes of two cores once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "e2e" / "kubernetes"
KEYED = ("build.sh", "go.mod", "go.sum", "main.go", "netpol/netpol.go")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchkeeper" / "k8s"
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl", "kubeadm", "coredns", "netpol")


class NoKubernetesError(Exception):
    """Why its components can't be had here, and what would help."""


def key() -> str:
    """Of what the program is built from."""
    return hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in KEYED)).hexdigest()[:16]


def components() -> Path:
    """Folder of all components, built if it is not there. Raises NoKubernetesError."""
    folder = CACHE / key()
    if (folder / "kubebox").exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "kubebox").exists():
            _make(folder)
    return folder


def _make(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="part-") as name:
        made = Path(name) / "made"
        made.mkdir()
        _build(made / "kubebox")
        for component in COMPONENTS:
            (made / component).symlink_to("kubebox")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def _build(program: Path) -> None:
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        raise NoKubernetesError(
            "Go is needed to build Kubernetes (1.21 or newer; it fetches the version it needs): install it from go.dev or your distribution"
        )
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="part-go-") as built:  # 4 GB that no later build needs
        environment = {**os.environ, "GOCACHE": built, "PATH": f"{Path(go).parent}:{os.environ['PATH']}"}
        done = subprocess.run([SOURCES / "build.sh", program], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoKubernetesError(f"Kubernetes could not be built: {done.stderr.strip()[-600:]}")


if __name__ == "__main__":
    print(components())
