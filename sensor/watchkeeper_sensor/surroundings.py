"""What all events of a host share: the host, its clock, its containers, its node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import msgspec

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.addresses import all_addresses, default_address
from watchkeeper_sensor.clock import WallClock
from watchkeeper_sensor.containers import Containers
from watchkeeper_sensor.containers.cgroups import Cgroups
from watchkeeper_sensor.containers.runtimes import Runtimes
from watchkeeper_sensor.process import Host
from watchkeeper_sensor.process_view import NAMESPACES
from watchkeeper_sensor.resolved_names import ResolvedNames

if TYPE_CHECKING:
    from watchkeeper_detection.event import Event
    from watchkeeper_detection.program import Rule
    from watchkeeper_sensor.hashing import Hashes
    from watchkeeper_sensor.process_tree import ProcessTree

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
USERS = "etc/passwd"
LINKS = {"mount": "mnt", "process": "pid", "network": "net", "user": "user", "uts": "uts", "ipc": "ipc", "cgroup": "cgroup", "time": "time"}
FIRST_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO of linux/proc_ns.h
TIME = 4  # where the header of a record holds it
_Node: Any = record_type("node")


class Surroundings:
    """Made once."""

    def __init__(self, node_name: str | None = None, *, root: Path = Path("/"), hashes: Hashes | None = None, pid_namespace: int = 0) -> None:
        """`root`: where the host's files are mounted; `hashes`: of executed files, where they are wanted. `pid_namespace`: of a node that shares its kernel."""
        self.root = root
        self.hashes = hashes
        boot_id = boot_id_of(BOOT_ID.read_text().strip(), pid_namespace)
        self.clock = WallClock()
        cgroups = Cgroups()
        self.host = Host(boot_id, host_namespaces(), host_users(root / USERS), self.clock, cgroups.path_of)
        self.containers = Containers(cgroups, Runtimes(root, dict(zip(NAMESPACES, self.host.namespaces, strict=True))))
        self.enforced_rules: tuple[Rule, ...] = ()  # by the number that the kernel knows them by
        self.processes: ProcessTree | None = None  # of the stream that reads the records
        self.names = ResolvedNames()
        self.node: msgspec.Struct = _Node(name=node_name or os.uname().nodename, kernel=os.uname().release, boot_id=boot_id)
        self.look_at_addresses()

    def look_at_addresses(self) -> None:
        """The node's own, unless the cluster's feed says by which it is known there."""
        found = {"ip": default_address(), "ips": all_addresses() or None}
        if self.containers.feed is None or not self.containers.feed.version:
            self.node = msgspec.structs.replace(self.node, **found)

    @property
    def boot_time_ns(self) -> int:
        """When the host booted, by the wall's clock as it stands; nanoseconds since the epoch."""
        return self.clock.boot_time_ns

    def steady_time(self, event: Event) -> int:
        """When something happened by the time that windows are kept by, which no step of the clock moves; nanoseconds."""
        header = event.__dict__.get("header")
        return header[TIME] + self.clock.steady_boot_time_ns if header is not None else event.observed_at - self.clock.drift_ns


def boot_id_of(boot_id: str, pid_namespace: int) -> str:
    """The kernel's, but of a node that shares its kernel one of its own: ids of events and processes begin with it, and two nodes must not give the same."""
    return str(uuid5(UUID(boot_id), str(pid_namespace))) if pid_namespace else boot_id


def host_namespaces() -> tuple[int, ...]:
    """Inode numbers of the host's namespaces, 0 where they can't be known.

    They are the first process's; where that one can't be looked into, our own, if we are in the first pid namespace.
    """
    ours = _inode("/proc/self/ns/pid") == FIRST_PID_NAMESPACE
    return tuple(_inode(f"/proc/1/ns/{LINKS[name]}") or (_inode(f"/proc/self/ns/{LINKS[name]}") if ours else 0) for name in NAMESPACES)


def _inode(path: str) -> int:
    try:
        return Path(path).stat().st_ino
    except OSError:
        return 0


def shared_kernel() -> int:
    """The pid namespace (inode) that we see, where it is not the kernel's first: this node is a container, and others may run beside it. Else 0."""
    own = _inode("/proc/self/ns/pid")
    return 0 if own == FIRST_PID_NAMESPACE else own


def host_users(passwd: Path) -> dict[int, str]:
    """Names by user id, as the host's own file says; a directory service is not asked. Empty for a host without the file."""
    found: dict[int, str] = {}
    text = passwd.read_text(errors="replace") if passwd.exists() else ""
    for line in text.splitlines():
        words = line.split(":")
        if len(words) > 2 and words[2].isdecimal():
            found.setdefault(int(words[2]), words[0])
    return found
