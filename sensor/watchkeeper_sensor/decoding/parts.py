"""Objects that several kinds of events share, made of what records hold: a file, a connection, another process."""

from __future__ import annotations

import os
import socket
from typing import Any

from watchkeeper_detection.logs.kernel_event import base_name, directory
from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.records import Layout, text
from watchkeeper_sensor.names import device_name, file_system, file_type
from watchkeeper_sensor.process import address_text, process_unique_id

OPEN_FILE = Layout(
    "open_file",
    ("identity", records.FILE_IDENTITY),
    ("ends", records.ENDPOINTS),
    "type I, access I, path text, unix_path text, unix_abstract text, padding I",
)
OTHER_PROCESS = Layout("other_process", "start Q, cgroup Q, exe_inode Q, process I, parent I, uid I, exe text, name text, padding I")

_File: Any = record_type("file")
_Connection: Any = record_type("connection")
_Target: Any = record_type("target_process")
NO_FILE, NO_CONNECTION, NO_TARGET = _File(), _Connection(), _Target()

FAMILIES = {socket.AF_UNIX: "unix", socket.AF_INET: "inet", socket.AF_INET6: "inet6", 16: "netlink", 17: "packet", 38: "alg", 40: "vsock"}
PROTOCOLS = {socket.IPPROTO_TCP: "tcp", 262: "tcp", socket.IPPROTO_UDP: "udp", socket.IPPROTO_ICMP: "icmp", 58: "icmp", 132: "sctp", 255: "raw"}
SOCKET_TYPES = {1: "stream", 2: "datagram", 3: "raw", 5: "seqpacket"}
RAW = 3
UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 (what a socket without an address shows)


def file_part(identity: Any, path: str | None) -> Any:
    """The object `file` of a file that the kernel reached: a FILE_IDENTITY tuple and the path of its directory entries."""
    flags = identity.flags
    if not flags & records.KNOWN:
        return NO_FILE
    return _File(
        path=path,
        path_trust="kernel" if path else None,
        path_truncated=bool(flags & records.PATH_TRUNCATED) if path else None,
        name=base_name(path) if path else None,
        directory=directory(path) if path else None,
        inode=identity.inode,
        device=device_name(identity.device),
        filesystem=file_system(identity.magic),
        type=file_type(identity.mode),
        upper_layer=bool(flags & records.UPPER),
        memfd=bool(flags & records.MEMFD),
        unlinked=bool(flags & records.UNLINKED),
        links=identity.links,
        size=identity.size,
        mode=identity.mode & 0o7777,
        owner_uid=identity.owner_uid,
        owner_gid=identity.owner_gid,
        setuid=bool(identity.mode & 0o4000),
        setgid=bool(identity.mode & 0o2000),
        executable=bool(identity.mode & 0o111),
    )


def _protocol(ends: Any) -> str:
    if ends.family == socket.AF_UNIX:
        return "unix"
    if ends.type == RAW or ends.family not in (socket.AF_INET, socket.AF_INET6):
        return "raw" if ends.type == RAW else "other"
    return PROTOCOLS.get(ends.protocol, "other")


def connection_part(ends: Any, unix_path: str | None = None, unix_abstract: str | None = None) -> Any:
    """The object `connection` of an ENDPOINTS tuple."""
    if not ends.family:
        return NO_CONNECTION
    local, remote = address_text(ends.family, ends.local), address_text(ends.family, ends.remote)
    mapped = ends.family == socket.AF_INET6 and "." in f"{local}{remote}"
    return _Connection(
        family="inet" if mapped else FAMILIES.get(ends.family, "other"),
        protocol=_protocol(ends),
        local_ip=local,
        local_port=ends.local_port if local else None,
        remote_ip=None if remote in UNSPECIFIED and not ends.remote_port else remote,
        remote_port=ends.remote_port or None,
        unix_path=unix_path,
        unix_abstract=unix_abstract,
        socket_type=SOCKET_TYPES.get(ends.type),
        raw_protocol=ends.protocol if ends.type == RAW else None,
    )


def target_part(event: Any, other: Any) -> Any:
    """The object `target_process` of an OTHER_PROCESS tuple."""
    if not other.process:
        return NO_TARGET
    return _Target(
        id=process_unique_id(event.around.host.boot_id, other.process, other.start) if other.start else None,
        process_id=other.process,
        exe=text(event.record, other.exe),
        exe_inode=other.exe_inode or None,
        name=text(event.record, other.name),
        uid=other.uid,
        container_id=event.around.containers.id_of(other.cgroup),
        is_self=other.process == event.header[7],
        is_child=other.parent == event.header[7],
        is_sensor=other.process == os.getpid(),
    )
