"""What /proc says of processes that were there before the sensor, and of those whose exec it missed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.redact import redact
from watchkeeper_sensor.containers.cgroups import cgroup_key_of
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.process import ANCESTORS, NO_LOGIN, SECCOMP
from watchkeeper_sensor.process_view import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_sensor.process import Image
    from watchkeeper_sensor.process_tree import ProcessTree

PROC = Path("/proc")
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
LINKS = {"mount": "mnt", "process": "pid", "network": "net", "user": "user", "uts": "uts", "ipc": "ipc", "cgroup": "cgroup", "time": "time"}
MOST_BYTES = 16384  # of arguments


def processes() -> Iterator[tuple[int, int]]:
    """(process id, start in nanoseconds since boot) of every process, parents mostly before children."""
    for name in sorted((name for name in os.listdir(PROC) if name.isdecimal()), key=int):  # noqa: PTH208 (a Path for each would be made for nothing)
        stat = _stat(int(name))
        if stat is not None:
            yield int(name), int(stat[19]) * TICK_NS


def _stat(process_id: int) -> list[str] | None:
    """Fields of /proc/PID/stat after the name, which may hold anything."""
    try:
        return (PROC / str(process_id) / "stat").read_text(errors="backslashreplace").rpartition(")")[2].split()
    except (OSError, ValueError):
        return None


def image_from_proc(image: Image, tree: ProcessTree) -> bool:
    """Fill the image of a process that runs; False when it is gone, or another one has its id by now."""
    stat = _stat(image.process_id)
    if stat is None or abs(int(stat[19]) * TICK_NS - image.start) > TICK_NS:
        return False
    folder = PROC / str(image.process_id)
    try:
        status = _status(folder)
        image.args = [redact(one.decode("utf-8", "backslashreplace")) for one in _bytes(folder / "cmdline").removesuffix(b"\0").split(b"\0")]
    except OSError:
        return False
    image.args_count = len(image.args)
    image.name = status["Name"].strip()
    image.cgroup = image.cgroup or cgroup_key_of(image.process_id)
    image.container_id = tree.containers.id_of(image.cgroup)
    image.exe, image.cwd = _link(folder / "exe"), _link(folder / "cwd")
    image.container_process_id = int(status.get("NSpid", "0").split()[-1])
    image.session = int(stat[3])
    image.no_new_privileges = status.get("NoNewPrivs", "").strip() == "1"
    image.seccomp = SECCOMP[int(status["Seccomp"])] if "Seccomp" in status else None
    image.credentials = _credentials(status)
    image.namespaces = tuple(_namespace(folder / "ns" / LINKS[name]) for name in NAMESPACES)
    image.login_uid = _login(folder)
    image.exe_identity = _identity(folder / "exe")
    parent = _stat(int(stat[1])) if int(stat[1]) else None
    above = None
    if parent is not None:
        above = tree.of(int(stat[1]), int(parent[19]) * TICK_NS, 0)
        image.lineage = (above.summary(), *above.lineage)[:ANCESTORS]
        image.lineage_complete = above.lineage_complete and len(above.lineage) < ANCESTORS
    else:
        image.lineage_complete = True
    if image.container_id is not None:
        _tell_entry(image, above, has_started=tree.containers.running.has_started(image.container_id))
    return True


def _tell_entry(image: Image, above: Image | None, *, has_started: bool) -> None:
    """How a process came into its container, told by where it is now: its first process is the one that a container begins with, later ones whose parent
    is outside came in.
    """
    inside = above is not None and above.container_id == image.container_id
    first = image.container_process_id == 1 or not (inside or has_started)
    image.container_entry = first or bool(inside and above and above.container_entry and above.container_process_id == 1)
    image.entered_container = not first and not inside


def credentials_from_proc(image: Image) -> Any:
    """What the main thread of a process holds now, a CREDENTIALS tuple; None where the process is gone."""
    stat = _stat(image.process_id)
    if stat is None or abs(int(stat[19]) * TICK_NS - image.start) > TICK_NS:
        return None
    try:
        return _credentials(_status(PROC / str(image.process_id)))
    except (OSError, KeyError):  # gone meanwhile
        return None


def root_of(image: Image) -> str | None:
    """Root directory of a process, seen from its mount namespace; None where it is gone."""
    stat = _stat(image.process_id)
    if stat is None or abs(int(stat[19]) * TICK_NS - image.start) > TICK_NS:
        return None
    return _link(PROC / str(image.process_id) / "root")


def _status(folder: Path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in (folder / "status").read_text(errors="backslashreplace").split("\n") if ":" in line)


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES)


def _link(path: Path) -> str | None:
    try:
        return os.fsencode(path.readlink()).decode("utf-8", "backslashreplace").removesuffix(" (deleted)")
    except OSError:  # a kernel thread, or gone
        return None


def _namespace(path: Path) -> int:
    target = _link(path) or ""
    number = target.partition("[")[2].rstrip("]")
    return int(number) if number.isdecimal() else 0


def _login(folder: Path) -> int | None:
    try:
        uid = int((folder / "loginuid").read_text())
    except (OSError, ValueError):
        return None
    return None if uid == NO_LOGIN else uid


def _credentials(status: dict[str, str]) -> object:
    uid, euid, suid, fsuid = (int(word) for word in status["Uid"].split())
    gid, egid, sgid, _ = (int(word) for word in status["Gid"].split())
    sets = [int(status.get(f"Cap{name}", "0"), 16) for name in ("Eff", "Prm", "Inh", "Amb", "Bnd")]
    return records.CREDENTIALS.of(uid, euid, suid, fsuid, gid, egid, sgid, 0, *sets)


def _identity(path: Path) -> object:
    try:
        stat = path.stat()
    except OSError:
        return None
    flags = records.KNOWN | (0 if stat.st_nlink else records.UNLINKED)
    device = os.major(stat.st_dev) << 20 | os.minor(stat.st_dev)
    return records.FILE_IDENTITY.of(stat.st_ino, stat.st_size, stat.st_ctime_ns, 0, device, stat.st_nlink, stat.st_mode, stat.st_uid, stat.st_gid, flags)
