"""Connections: opened, accepted, listened for, ended; datagrams sent; unusual sockets made."""

from __future__ import annotations

import re
import socket
from typing import Any

from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.decoding.likeness import Bytes, at
from watchkeeper_sensor.decoding.parts import connection_part
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import Layout, text

CONNECTION = Layout(
    "connection_record",
    ("record", records.RECORD),
    ("ends", records.ENDPOINTS),
    "cookie Q, bytes_sent Q, bytes_received Q, opened Q, flags I, unix_path text, unix_abstract text, unix_bound text, listener text, padding I",
)
INBOUND, OUTBOUND, FAST_OPEN, COUNTED = 1, 2, 4, 8  # enum connection_flag
DIRECTIONS = {INBOUND: "inbound", OUTBOUND: "outbound"}
TIME = 4  # where the header holds it
RAW = 3
PACKET = 17

NETLINK_FAMILIES = (
    *("route", "unused", "usersock", "firewall", "sock_diag", "nflog", "xfrm", "selinux", "iscsi", "audit", "fib_lookup", "connector", "netfilter"),
    *("ip6_fw", "dnrtmsg", "kobject_uevent", "generic", "dm", "scsitransport", "ecryptfs", "rdma", "crypto", "smc"),
)
"""By number. Source: linux/netlink.h."""

RUNTIME_SOCKET = re.compile(
    r"(^|/)("
    r"docker\.sock|dockershim\.sock|cri-dockerd\.sock|docker-raw\.sock|containerd(-debug)?\.sock(\.ttrpc)?|crio(-[a-z]+)?\.sock|podman\.sock|buildkitd?\.sock|kata.*\.sock"
    r"|containerd-shim/.*|containerd/s/[0-9a-f]+|frakti\.sock|rktlet\.sock"
    r")(@|$)"
)
"""Names by which runtimes bind their sockets: what the listener chose, wherever it is mounted and whatever it is called there."""
RUNTIMES = re.compile(r"^(dockerd|docker|containerd|containerd-shim.*|crio|conmon|podman|cri-dockerd|buildkitd|k3s.*|k0s|rke2|nerdctl|lxcfs?|lxd|incusd)$")
"""Programs that listen for what steers containers."""


def is_runtime_socket(bound: str | None, path: str | None, abstract: str | None, listener: str | None) -> bool:
    """By what the listener is, by the name that it bound, and by the directory entry that it was reached by."""
    names = (bound, path, abstract)
    return bool(listener and RUNTIMES.match(listener)) or any(name is not None and RUNTIME_SOCKET.search(name) for name in names)


def _connection(event: Any) -> Any:
    return _told(event.record, CONNECTION.read(event.record))


def _told(record: bytes, made: Any) -> Any:
    ends = records.ENDPOINTS.pick(made, "ends")
    path, abstract = text(record, made.unix_path), text(record, made.unix_abstract)
    its = connection_part(ends, path, abstract)
    its.direction = DIRECTIONS.get(made.flags & (INBOUND | OUTBOUND))
    its.cookie = made.cookie or None
    its.local_port = its.local_port or None
    if ends.family == socket.AF_UNIX:
        its.runtime_socket = is_runtime_socket(text(record, made.unix_bound), path, abstract, text(record, made.listener))
    elif ends.family == socket.AF_NETLINK:
        its.protocol, its.raw_protocol = "other", None
        its.netlink_family = NETLINK_FAMILIES[ends.protocol] if ends.protocol < len(NETLINK_FAMILIES) else str(ends.protocol)
    elif ends.family == PACKET:
        its.protocol, its.raw_protocol = "raw", ends.protocol
    return its


def _opening(event: Any) -> Any:
    made = CONNECTION.read(event.record)
    its = _told(event.record, made)
    if its.protocol == "tcp":
        its.fast_open = bool(made.flags & FAST_OPEN)
    if its.local_ip in UNBOUND and its.local_port is None:
        its.local_ip = None
    return its


UNBOUND = ("0.0.0.0", "::")  # noqa: S104 (what a socket shows before it is bound)


def _socket(event: Any) -> Any:
    its = _connection(event)
    its.local_ip = its.local_port = its.remote_ip = its.remote_port = None
    return its


def _ending(event: Any) -> Any:
    made = CONNECTION.read(event.record)
    its = _told(event.record, made)
    if made.flags & COUNTED:
        its.bytes_sent, its.bytes_received = made.bytes_sent, made.bytes_received
    if made.opened:
        its.duration = f"{(event.header[TIME] - made.opened) / 1e9:.9f}s"
    return its


LAYOUTS = (CONNECTION,)

PROGRAMS = (
    BpfProgram("network_open", "tracepoint", ("network.connect", "network.listen", "network.accept")),
    BpfProgram("network_connect4", "cgroup", ("network.connect",)),
    BpfProgram("network_connect6", "cgroup", ("network.connect",)),
    BpfProgram("network_unix", "call", ("network.connect",), calls=("connect",)),
    BpfProgram("network_accept", "call", ("network.accept", "network.close"), calls=("accept", "accept4"), needs=("network_open",)),
    BpfProgram("network_close", "tracepoint", ("network.close",), needs=("network_open",)),
    BpfProgram("network_sendmsg4", "cgroup", ("network.send",)),
    BpfProgram("network_sendmsg6", "cgroup", ("network.send",)),
    BpfProgram("network_socket", "call", ("network.socket",), calls=("socket",)),
)

_LOCAL, _REMOTE = at(CONNECTION, "ends_local", "ends_local"), at(CONNECTION, "ends_remote", "ends_remote")
_LOCAL_PORT, _REMOTE_PORT = at(CONNECTION, "ends_local_port", "ends_local_port"), at(CONNECTION, "ends_remote_port", "ends_remote_port")

TOLD = Bytes(
    always=(at(CONNECTION, "ends_family", "ends_protocol"), at(CONNECTION, "flags")),
    only={
        "connection.family": (_LOCAL, _REMOTE),
        "connection.local_ip": (_LOCAL, _LOCAL_PORT),
        "connection.local_port": (_LOCAL, _LOCAL_PORT),
        "connection.remote_ip": (_REMOTE, _REMOTE_PORT),
        "connection.remote_port": (_REMOTE_PORT,),
        "connection.cookie": (at(CONNECTION, "cookie", "cookie"),),
        "connection.bytes_sent": (at(CONNECTION, "bytes_sent", "bytes_sent"),),
        "connection.bytes_received": (at(CONNECTION, "bytes_received", "bytes_received"),),
    },
    never=frozenset({"connection.duration"}),
)

EVENTS = (
    kind("network.connect", {"connection": _opening}, TOLD),
    kind("network.accept", {"connection": _connection}, TOLD),
    kind("network.listen", {"connection": _connection}, TOLD),
    kind("network.close", {"connection": _ending}, TOLD),
    kind("network.send", {"connection": _opening}, TOLD),
    kind("network.socket", {"connection": _socket}, TOLD),
)
