"""What a node needs besides Kubernetes, and kind itself, by exact version from Go modules; and the process that holds a pod's namespaces."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.support.cluster.go import go, kept
from tests.support.cluster.steps import CACHE, output

KIND, CONTAINERD, PLUGINS = "v0.33.0", "v2.4.2", "v1.9.1"
_CONTAINERD, _PLUGINS = "github.com/containerd/containerd/v2", "github.com/containernetworking/plugins/plugins"
Builds = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]  # flags, packages
COMMAND: Builds = ((("-ldflags", "-s -w"), (f"sigs.k8s.io/kind@{KIND}",)),)
NODE: Builds = (
    (
        ("-tags", "no_btrfs no_devmapper no_zfs no_aufs urfave_cli_no_docs", "-ldflags", f"-s -w -X {_CONTAINERD}/version.Version={CONTAINERD}"),
        tuple(f"{_CONTAINERD}/cmd/{command}@{CONTAINERD}" for command in ("containerd", "ctr", "containerd-shim-runc-v2")),
    ),
    (("-ldflags", "-s -w"), tuple(f"{_PLUGINS}/{plugin}@{PLUGINS}" for plugin in ("ipam/host-local", "main/loopback", "main/ptp", "meta/portmap"))),
)
PAUSE = Path(__file__).parent / "node" / "pause.c"


def programs() -> Path:
    """Folder of them, built if it is not there: four minutes of two cores. Raises NoKubernetesError."""
    key = hashlib.sha256(repr(NODE).encode() + PAUSE.read_bytes()).hexdigest()[:16]
    return kept(CACHE / "k8s" / f"programs-{key}", _build, "containerd and CNI plugins")


def _build(folder: Path) -> None:
    _install(folder, NODE)
    output("gcc", "-Os", "-static", "-s", "-o", folder / "pause", PAUSE)


def kind() -> Path:
    """The command, built if it is not there."""
    return kept(CACHE / "k8s" / f"kind-{KIND}", lambda folder: _install(folder, COMMAND), "kind") / "kind"


def _install(folder: Path, builds: Builds) -> None:
    with go() as environment:
        for flags, packages in builds:
            output("nice", "go", "install", "-trimpath", *flags, *packages, environment={**environment, "GOBIN": str(folder)})
