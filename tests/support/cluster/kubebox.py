"""All Kubernetes components as one program, built from Go modules and kept in the cache: see tests/e2e/kubernetes.

It is told which component to be by the name it is called by. Building takes nine minutes of two cores, once.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.support.cluster.go import go, kept
from tests.support.cluster.steps import CACHE, NoKubernetesError, output

__all__ = ["NoKubernetesError", "components", "source_key"]

SOURCES = Path(__file__).parents[2] / "e2e" / "kubernetes"
KEYED = ("build.sh", "go.mod", "go.sum", "main.go", "netpol/netpol.go")
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl", "kubeadm", "coredns", "netpol")


def source_key() -> str:
    """Of what the program is built from."""
    return hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in KEYED)).hexdigest()[:16]


def components() -> Path:
    """Folder of all components, built if it is not there. Raises NoKubernetesError."""
    return kept(CACHE / "k8s" / source_key(), _build, "Kubernetes")


def _build(folder: Path) -> None:
    with go() as environment:
        output(SOURCES / "build.sh", folder / "kubebox", environment=environment)
    for component in COMPONENTS:
        (folder / component).symlink_to("kubebox")
