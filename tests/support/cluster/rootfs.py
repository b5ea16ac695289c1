"""Debian file systems for images, from the mirror that this machine's own apt uses: the base of a node, or of any other image."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tests.support.cluster.go import kept
from tests.support.cluster.steps import CACHE, UnableError, output
from tests.support.debian_packages import NoPackagesError, unpack

SUITE = "bookworm"  # systemd 256 and newer refuse cgroup v1, which some machines of ours have
NODE = (
    *(
        "systemd",
        "systemd-sysv",
        "dbus",
        "conntrack",
        "iptables",
        "nftables",
        "iproute2",
        "ethtool",
        "util-linux",
        "mount",
        "kmod",
        "libseccomp2",
        "runc",
        "e2fsprogs",
    ),
    *("bash", "ca-certificates", "curl", "jq", "procps", "socat", "ebtables", "ipset", "hostname", "libnss-myhostname", "busybox-static"),
)
LEFT_OUT = ("man", "doc", "locale")
TOOLS = ("mmdebstrap", "jq", "libjq1", "libonig5")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def tools() -> Path:
    """Folder whose usr/ has what the build and the engine need of the distribution."""

    def make(folder: Path) -> None:
        try:
            unpack(TOOLS, folder / "layer")
        except NoPackagesError as reason:
            raise UnableError(f"{' '.join(TOOLS)} can't be had: {reason}; this needs Debian, or a Docker that pulls images") from reason
        (folder / "layer" / "usr" / "lib" / "modules").mkdir(parents=True, exist_ok=True)  # kind mounts it into nodes

    key = hashlib.sha256(repr(TOOLS).encode()).hexdigest()[:16]
    return kept(CACHE / "k8s" / f"tools-{key}", make, "tools") / "layer"


def mirror() -> str:
    used = {uri.rstrip("/") for uri in output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()}
    found = next((uri for uri in sorted(used) if uri.endswith("/debian")), None)
    if found is None:
        raise UnableError("apt has no Debian mirror on this machine (no source ends in /debian): nodes are made from one")
    return found


def rootfs(packages: tuple[str, ...] = NODE) -> Path:
    """A tar file for `docker import`, with these packages and what they need. One to two minutes, once. Raises NoKubernetesError."""
    key = hashlib.sha256(repr((SUITE, packages, LEFT_OUT)).encode()).hexdigest()[:16]
    return kept(CACHE / "k8s" / f"rootfs-{key}", lambda folder: _make(folder, packages), f"Debian with {packages[0]}") / "rootfs.tar"


def _make(folder: Path, packages: tuple[str, ...]) -> None:
    bin_ = tools() / "usr" / "bin"
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    source = f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main"
    command = [bin_ / "mmdebstrap", "--quiet", "--mode=root", "--format=tar", "--variant=minbase", f"--include={','.join(packages)}", *excluded]
    output("nice", *command, SUITE, folder / "rootfs.tar", source, environment={"PATH": f"{bin_}:{os.environ['PATH']}"})
