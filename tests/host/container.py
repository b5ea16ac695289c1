"""A container made by hand: cgroup, overlay over the host's own root, namespaces, and the files that Docker leaves on disk."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn, Self

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID = 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x20000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
TOOLS = ("nc", "nmap", "tcpdump", "rsync", "scp", "apt-get", "crontab", "pkexec", "sudo", "docker", "crictl")
DOCKER = Path("/var/lib/docker/containers")

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> int:
    """A function of libc; raises OSError."""
    result = int(getattr(_libc, name)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def mount(source: str, target: str, kind: str | None, flags: int = 0, options: str | None = None) -> None:
    call("mount", source.encode(), target.encode(), kind.encode() if kind else None, flags, options.encode() if options else None)


class HandMadeContainer:
    """Runs commands as a runtime would."""

    def __init__(self, *, privileged: bool = False) -> None:
        self.id = os.urandom(32).hex()
        self.privileged = privileged
        self.folder = Path(tempfile.mkdtemp(prefix="watchkeeper-container-"))
        self._made_docker = not DOCKER.exists()

    def __enter__(self) -> Self:
        call("mount", b"tmpfs", str(self.folder).encode(), b"tmpfs", 0, None)
        for name in ("image", "upper", "work", "root"):
            (self.folder / name).mkdir()
        binaries = self.folder / "image" / "usr" / "bin"
        binaries.mkdir(parents=True)
        for tool in TOOLS:
            shutil.copy("/bin/true", binaries / tool)
        # as Docker does: the files first
        state = DOCKER / self.id
        state.mkdir(parents=True)
        config = {
            "ID": self.id,
            "Name": "/hand-made",
            "Image": "sha256:" + "0" * 64,
            "Config": {"Image": "registry.example.com/shop/cart:1.4", "Cmd": ["sh"], "User": ""},
            "State": {"Running": True, "StartedAt": "2026-01-01T00:00:00Z"},
            "MountPoints": {},
        }
        capabilities = ["SYS_ADMIN"] if self.privileged else None
        (state / "config.v2.json").write_text(json.dumps(config))
        (state / "hostconfig.json").write_text(
            json.dumps({"Privileged": self.privileged, "CapAdd": capabilities, "NetworkMode": "bridge", "PidMode": "", "IpcMode": "private"})
        )
        self.cgroups = [
            path / "docker" / self.id
            for path in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
            if (path / "cgroup.procs").exists()
        ]
        for cgroup in self.cgroups:
            cgroup.mkdir(parents=True)
        return self

    def run(self, *command: str) -> tuple[int, int]:
        """Run a command as the container's first process; (its process id on the host, exit status)."""
        child = os.fork()
        if child == 0:
            os.execv(sys.executable, [sys.executable, "-m", "tests.host.container", str(self.folder), ",".join(map(str, self.cgroups)), *command])  # noqa: S606
        _, status = os.waitpid(child, 0)
        return child, os.waitstatus_to_exitcode(status)

    def __exit__(self, *_: object) -> None:
        for cgroup in self.cgroups:
            cgroup.rmdir()
        shutil.rmtree(DOCKER / self.id)
        if self._made_docker:
            DOCKER.rmdir()
            DOCKER.parent.rmdir()
        subprocess.run(["umount", "-l", self.folder], check=False)
        self.folder.rmdir()


def enter(folder: Path, cgroups: list[str], command: list[str]) -> int:
    """Become the container's runtime: join the cgroup, make namespaces, become the command in them."""
    for cgroup in cgroups:
        Path(cgroup, "cgroup.procs").write_text(str(os.getpid()))
    call("unshare", CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID)
    child = os.fork()
    if not child:
        begin(folder, command)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def begin(folder: Path, command: list[str]) -> NoReturn:
    """The container's first process: its own mounts and root, then the command."""
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    root = folder / "root"
    mount("overlay", str(root), "overlay", 0, f"lowerdir={folder}/image:/,upperdir={folder}/upper,workdir={folder}/work")
    mount("proc", f"{root}/proc", "proc")
    mount("/dev", f"{root}/dev", None, MS_BIND | MS_REC)
    mount("tmpfs", f"{root}/dev/shm", "tmpfs")
    if Path("/work").is_mount():
        mount("/work", f"{root}/work", None, MS_BIND | MS_REC)
    work = os.getcwd()  # noqa: PTH109
    os.chroot(root)
    os.chdir(work)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    sys.exit(enter(Path(sys.argv[1]), [one for one in sys.argv[2].split(",") if one], sys.argv[3:]))
