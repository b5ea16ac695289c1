"""A Docker engine in mount and network namespaces of its own: no bridge, rule or packet of the cluster touches the machine's network, and nothing is installed.

In them the distribution's packages lie over /usr, and /run is the engine's own. What it keeps is in the cache, so that images outlive it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.support.cluster.programs import programs
from tests.support.cluster.rootfs import tools
from tests.support.cluster.steps import CACHE, NoKubernetesError, UnableError, await_, output, step
from tests.support.docker_engine import NoEngineError, unpacked

RUN = CACHE / "cluster"  # of the running cluster; gone when it is down
DATA = CACHE / "docker"
SOCKET, PROCESS_ID, LOG, NETWORK = RUN / "docker.sock", RUN / "docker.pid", RUN / "dockerd.log", RUN / "network"  # the last: its namespace's inode
RUNTIME = Path(__file__).parent / "node" / "runc-held"
START_SECONDS, END_SECONDS = 60.0, 30.0
IN_NAMESPACES = """
set -e
mount --make-rprivate /
mount -t overlay -o lowerdir={layers}:/usr none /usr
mount -t tmpfs none /run
ip link set lo up
exec dockerd --data-root {data} --exec-root /run/docker --pidfile {pid} --host unix://{socket} --exec-opt native.cgroupdriver=cgroupfs \
  --storage-driver overlay2 --log-level warn --add-runtime held={runtime} --default-runtime held
"""


def process_id() -> int | None:
    """Of the engine that runs."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(PROCESS_ID.read_text())
        if Path(f"/proc/{pid}/comm").read_text() == "dockerd\n":
            return pid
    return None


def start() -> None:
    """Returns when it answers, also if it runs already. Raises NoKubernetesError."""
    if process_id() is not None:
        return
    try:
        layers = f"{tools() / 'usr'}:{unpacked() / 'usr'}"
    except NoEngineError as reason:
        raise UnableError(str(reason)) from reason
    RUN.mkdir(parents=True, exist_ok=True)
    DATA.mkdir(parents=True, exist_ok=True)
    stop()  # of one that was killed
    script = IN_NAMESPACES.format(layers=layers, data=DATA, pid=PROCESS_ID, socket=SOCKET, runtime=RUNTIME)
    with step("docker engine started"), LOG.open("ab") as log:
        begun = subprocess.Popen(
            ["unshare", "--mount", "--net", "/bin/sh", "-c", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
        try:
            await_("the Docker engine", lambda: begun.poll() is not None or _answers(), START_SECONDS)
        except NoKubernetesError:
            begun.kill()
            raise
        if begun.poll() is not None:
            raise NoKubernetesError(f"the Docker engine ended: {LOG.read_text(errors='replace')[-900:]}")
    NETWORK.write_text(str(Path(f"/proc/{begun.pid}/ns/net").stat().st_ino))


def _answers() -> bool:
    if process_id() is None or not SOCKET.exists():
        return False
    try:
        docker("version")
    except NoKubernetesError:
        return False
    return True


def inside(*command: str | Path, kubeconfig: Path | None = None, stdin: str | bytes | None = None) -> str:
    """Output of a command in the engine's namespaces, where nodes and pods are reached. Raises NoKubernetesError."""
    pid = process_id()
    if pid is None:
        raise NoKubernetesError("the Docker engine of the cluster does not run: make cluster-up")
    environment = {
        "PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{programs()}",
        "DOCKER_HOST": f"unix://{SOCKET}",
        "DOCKER_BUILDKIT": "0",
        "DOCKER_CONFIG": "/nonexistent",
        "KUBECONFIG": str(kubeconfig or ""),
    }
    return output("nsenter", f"--target={pid}", "--mount", "--net", *command, environment=environment, stdin=stdin)


def inside_command(*command: str | Path) -> list[str | Path]:
    """The same for a process that goes on; its file system is this machine's."""
    return ["nsenter", f"--net=/proc/{process_id()}/ns/net", *command]


def docker(*words: str | Path, stdin: str | bytes | None = None) -> str:
    """Output of the command `docker`. Raises NoKubernetesError."""
    return inside("/usr/bin/docker", *words, stdin=stdin).strip()


def stop() -> None:
    """Ends it, and whatever runs in a container of it; also after it was killed."""
    pid = process_id()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + END_SECONDS
        while process_id() == pid and time.monotonic() < end:
            time.sleep(0.1)
    for left in _left():
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
    for group in Path("/sys/fs/cgroup").glob("*/docker"):
        with contextlib.suppress(OSError):  # another engine's containers are in it
            group.rmdir()
    PROCESS_ID.unlink(missing_ok=True)
    SOCKET.unlink(missing_ok=True)


def _left() -> list[int]:
    """Processes in the engine's network namespace, or in a control group that has the name of a container of it."""
    containers = [folder.name for folder in (DATA / "containers").glob("*")]
    network = int(NETWORK.read_text()) if NETWORK.exists() else None
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            groups = (folder / "cgroup").read_text()
            if (folder / "ns" / "net").stat().st_ino == network or any(name in groups for name in containers):
                found.append(int(folder.name))
    return found
