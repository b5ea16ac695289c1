"""A real Docker engine for tests, where the host has none: from the distribution's packages, unpacked into a cache and never installed.

The engine lives in mount and network namespaces of its own, in which the packages lie over /usr: its programs have the paths that they have everywhere.
What it keeps on disk is where the host sees it, as the sensor reads it there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Self

from tests.support.debian_packages import NoPackagesError, unpack

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchkeeper" / "docker-engine"
PACKAGES = (
    *("docker.io", "containerd", "runc", "tini", "iptables", "busybox-static"),
    *("libip4tc2", "libip6tc2", "libnfnetlink0", "libnetfilter-conntrack3", "libnftnl11", "libxtables12", "libnftables1", "libdevmapper1.02.1", "libseccomp2"),
)
FOLDERS = (Path("/var/lib/docker"), Path("/run/docker"), Path("/run/containerd"))
OURS = FOLDERS[0] / "watchkeeper-tests"
SOCKET, PROCESS_ID = Path("/run/docker.sock"), Path("/run/docker.pid")
APPLETS = ("sh", "ls", "cat", "echo", "sleep", "httpd", "wget", "id", "ps", "cp", "mkdir")
IMAGE = "shop/cart:1.4"
START_SECONDS = 30.0
IN_NAMESPACES = """
set -e
mount --make-rprivate /
mount -t overlay -o lowerdir={layer}/usr:/usr none /usr
ip link set lo up
exec dockerd --exec-opt native.cgroupdriver=cgroupfs --storage-driver overlay2 --log-level warn
"""


class NoEngineError(Exception):
    """Why there can be no engine here."""


def unpacked() -> Path:
    """Folder whose usr/ holds the engine. Raises NoEngineError."""
    layer = CACHE / "layer"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "layer-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (layer / "usr" / "sbin" / "dockerd").exists():
            return layer
        try:
            unpack(PACKAGES, layer)
        except NoPackagesError as reason:
            raise NoEngineError(f"the packages of a Docker engine can't be had: {reason}") from reason
        for command in ("iptables", "ip6tables", "iptables-save", "iptables-restore"):
            (layer / "usr" / "sbin" / command).symlink_to("xtables-nft-multi")
    return layer


def image() -> bytes:
    """The file system of a small image, as a tar."""
    busybox = CACHE / "layer" / "usr" / "bin" / "busybox"
    with BytesIO() as data:
        with tarfile.open(fileobj=data, mode="w") as tar:
            tar.add(busybox, "bin/busybox")
            for applet in APPLETS:
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        return data.getvalue()


def _remove() -> None:
    """What an engine of ours left on the host."""
    for folder in FOLDERS:
        shutil.rmtree(folder, ignore_errors=True)
    for file in (SOCKET, PROCESS_ID):
        file.unlink(missing_ok=True)


class DockerEngine:
    """Runs while the context lasts. Raises NoEngineError."""

    def __enter__(self) -> Self:
        CACHE.mkdir(parents=True, exist_ok=True)
        self._lock = (CACHE / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # one at a time: tests run in several processes
        if OURS.exists():  # of a run that was killed
            _remove()
        if SOCKET.exists() or FOLDERS[0].exists():
            raise NoEngineError(f"another engine has {SOCKET} or {FOLDERS[0]}")
        layer = unpacked()
        FOLDERS[0].mkdir()
        OURS.touch()
        self._log = tempfile.TemporaryFile()
        self._engine = subprocess.Popen(
            ["unshare", "--mount", "--net", "/bin/sh", "-c", IN_NAMESPACES.format(layer=layer)], stdout=self._log, stderr=self._log, start_new_session=True
        )
        with contextlib.ExitStack() as failing:
            failing.callback(self.__exit__)
            self._await()
            self.docker("import", "-c", 'CMD ["sh"]', "-", IMAGE, stdin=image())
            failing.pop_all()
        return self

    def _await(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._engine.poll() is None:
            if SOCKET.exists():
                with contextlib.suppress(subprocess.CalledProcessError):
                    self.docker("version")
                    return
            time.sleep(0.1)
        self._log.seek(0)
        raise NoEngineError(f"the engine did not start: {self._log.read()[-600:].decode(errors='replace')}")

    def docker(self, *words: str, stdin: bytes = b"", check: bool = True) -> str:
        """Output of the command `docker`; raises CalledProcessError."""
        command = ["nsenter", f"--target={self._engine.pid}", "--mount", "--net", "docker", *words]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": "/nonexistent"}
        return subprocess.run(command, input=stdin, check=check, capture_output=True, env=environment).stdout.decode().strip()

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            if running := self.docker("ps", "--all", "--quiet").split():
                self.docker("rm", "--force", *running)
        self._engine.terminate()
        try:
            self._engine.wait(20)
        except subprocess.TimeoutExpired:
            self._engine.kill()
            self._engine.wait()
        self._log.close()
        _remove()
        self._lock.close()
