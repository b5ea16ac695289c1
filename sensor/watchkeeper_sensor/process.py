"""Process images: what a process is from one exec to the next, and what it keeps of its ancestors.

An image never changes; an exec or a fork makes another one. Of ancestors it holds summaries, so that they outlive the ancestors and memory stays
bounded.
"""

from __future__ import annotations

import ipaddress
import socket
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from watchkeeper_detection.logs.kernel_event import command_line
from watchkeeper_detection.record_types import record_type
from watchkeeper_detection.redact import redact
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.records import text, texts
from watchkeeper_sensor.names import capability_names, device_name

if TYPE_CHECKING:
    import msgspec

ANCESTORS = 16
TICK_NS = 10_000_000  # /proc says start times in hundredths of a second, so processes are told apart by those
NO_LOGIN = 2**32 - 1
SECCOMP = ("none", "strict", "filter")
DESCRIPTOR_TYPES = ("closed", "tty", "pipe", "socket", "file", "null", "other", "socket")
ENVIRONMENT = (
    "LD_",
    "GLIBC_TUNABLES",
    "http_proxy",
    "https_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "all_proxy",
    "PYTHONPATH",
    "NODE_OPTIONS",
    "PERL5OPT",
    "BASH_ENV",
    "ENV=",
    "PROMPT_COMMAND",
    "HISTFILE",
    "GIT_SSH_COMMAND",
)
"""Beginnings of variables that tell something about the program; others may hold secrets and are not kept."""
NAMESPACES = ("mount", "process", "network", "user", "uts", "ipc", "cgroup", "time")
HOST_NAMESPACES = ("mount", "process", "network", "user", "ipc")


class Ancestor(NamedTuple):
    """What descendants keep of a process."""

    id: str
    process_id: int
    exe: str | None
    exe_inode: int | None
    name: str | None
    args: list[str]
    uid: int | None
    tty: str | None
    container_id: str | None


class Image:
    """A process from one exec to the next."""

    __slots__ = (
        "alike",
        "args",
        "args_count",
        "args_truncated",
        "cgroup",
        "container_entry",
        "container_id",
        "container_process_id",
        "credentials",
        "cwd",
        "entered_container",
        "environment",
        "exe",
        "exe_identity",
        "id",
        "lineage",
        "lineage_complete",
        "login_uid",
        "name",
        "namespaces",
        "no_new_privileges",
        "previous_exe",
        "process_id",
        "seccomp",
        "session",
        "start",
        "stdio",
        "tty",
        "view_of",
    )  # fmt: skip

    def __init__(self, id: str, process_id: int, start: int) -> None:  # noqa: A002 (names of the fields)
        self.id = id
        self.process_id = process_id
        self.start = start
        self.exe: str | None = None
        self.exe_identity: Any = None  # a FILE_IDENTITY tuple
        self.name: str | None = None
        self.args: list[str] = []
        self.args_count: int | None = None
        self.args_truncated: bool | None = None
        self.environment: dict[str, str] | None = None
        self.cwd: str | None = None
        self.tty: str | None = None
        self.credentials: Any = None
        self.namespaces: tuple[int, ...] | None = None
        self.login_uid: int | None = None
        self.session: int | None = None
        self.seccomp: str | None = None
        self.no_new_privileges: bool | None = None
        self.stdio: tuple[tuple[str, str | None, int | None], ...] = ()
        self.container_process_id: int | None = None
        self.cgroup = 0
        self.container_id: str | None = None
        self.container_entry: bool | None = None
        self.entered_container: bool | None = None
        self.previous_exe: str | None = None
        self.lineage: tuple[Ancestor, ...] = ()
        self.lineage_complete = False
        self.view_of: msgspec.Struct | None = None
        self.alike: dict[Any, tuple[object, int]] | None = None  # class of processes → what it keeps of this one

    def copied(self) -> Image:
        """Another image that begins with what this one is."""
        other = _new_image(Image)
        for put, value in zip(_PUTS, _values_of(self), strict=True):
            put(other, value)
        other.view_of = other.alike = None
        return other

    def summary(self) -> Ancestor:
        identity = self.exe_identity
        uid = self.credentials.uid if self.credentials else None
        return Ancestor(self.id, self.process_id, self.exe, identity.inode if identity else None, self.name, self.args, uid, self.tty, self.container_id)

    def view(self, host: Host) -> msgspec.Struct:
        """The object `process` of events, made when somebody asks and kept."""
        if self.view_of is None:
            self.view_of = _view(self, host)
        return self.view_of


_new_image = object.__new__
_values_of = attrgetter(*Image.__slots__)
_PUTS = [getattr(Image, name).__set__ for name in Image.__slots__]


class Host(NamedTuple):
    """What of the host a process is compared with: inode numbers of its namespaces, names of its users."""

    boot_id: str
    namespaces: tuple[int, ...]
    users: dict[int, str]


def process_unique_id(boot_id: str, process_id: int, start: int) -> str:
    """Start in hundredths of a second since boot, which is what /proc says too."""
    return f"{boot_id[:8]}:{process_id}:{start // TICK_NS}"


_Process = record_type("process")
_fields_of_branches = {
    name: type(getattr(_Process(), name)) for name in ("capabilities", "namespaces", "host_namespaces", "parent", "ancestors", "stdin", "stdout", "stderr")
}


def _branch(branch: str, /, **values: Any) -> Any:
    return _fields_of_branches[branch](**values)


def _view(image: Image, host: Host) -> msgspec.Struct:
    made: Any = _Process(
        id=image.id,
        process_id=image.process_id,
        container_process_id=image.container_process_id,
        exe=image.exe,
        name=image.name,
        args=image.args,
        args_count=image.args_count,
        args_truncated=image.args_truncated,
        command_line=command_line(image.args),
        env=image.environment,
        cwd=image.cwd,
        login_uid=image.login_uid,
        session_id=image.session,
        tty=image.tty,
        no_new_privileges=image.no_new_privileges,
        seccomp=image.seccomp,
        cgroup_id=image.cgroup or None,
        is_container_entry=image.container_entry,
        entered_container=image.entered_container,
    )
    _set_file(made, image)
    _set_credentials(made, image, host)
    if image.namespaces:
        made.namespaces = _branch("namespaces", **{name: inode or None for name, inode in zip(NAMESPACES, image.namespaces, strict=True)})
        pairs = zip(NAMESPACES, image.namespaces, host.namespaces, strict=True)
        made.host_namespaces = _branch("host_namespaces", **{name: mine == its for name, mine, its in pairs if name in HOST_NAMESPACES and mine and its})
    for name, (kind, address, port) in zip(("stdin", "stdout", "stderr"), image.stdio, strict=False):
        setattr(made, name, _branch(name, type=kind, remote_ip=address, remote_port=port))
    _set_ancestors(made, image)
    return made  # type: ignore[no-any-return]


def _set_file(made: Any, image: Image) -> None:
    identity = image.exe_identity
    if identity is None or not identity.flags & records.KNOWN:
        return
    made.exe_inode = identity.inode
    made.exe_device = device_name(identity.device)
    made.exe_upper_layer = bool(identity.flags & records.UPPER)
    made.exe_memfd = bool(identity.flags & records.MEMFD)
    made.exe_unlinked = bool(identity.flags & records.UNLINKED)
    made.exe_setuid = bool(identity.mode & 0o4000)
    made.exe_setgid = bool(identity.mode & 0o2000)
    made.exe_owner_uid = identity.owner_uid


def _set_credentials(made: Any, image: Image, host: Host) -> None:
    held = image.credentials
    if held is None:
        return
    made.uid, made.euid, made.suid, made.fsuid, made.gid, made.egid, made.sgid = held[:7]
    sets = (held.capabilities_effective, held.capabilities_permitted, held.capabilities_inheritable, held.capabilities_ambient, held.capabilities_bounding)
    made.capabilities = _branch(
        "capabilities",
        **{name: capability_names(bits) for name, bits in zip(("effective", "permitted", "inheritable", "ambient", "bounding"), sets, strict=True)},
    )
    if image.container_id is None:
        made.user = host.users.get(held.uid)


def _set_ancestors(made: Any, image: Image) -> None:
    if image.lineage:
        parent = image.lineage[0]
        made.parent = _branch(
            "parent",
            id=parent.id,
            process_id=parent.process_id,
            exe=parent.exe,
            exe_inode=parent.exe_inode,
            name=parent.name,
            args=parent.args,
            command_line=command_line(parent.args),
            uid=parent.uid,
            tty=parent.tty,
            container_id=parent.container_id,
        )
    made.ancestors = _branch(
        "ancestors",
        exes=[one.exe or "" for one in image.lineage],
        names=[one.name or "" for one in image.lineage],
        ids=[one.id for one in image.lineage],
        complete=image.lineage_complete,
    )


def address_text(family: int, address: bytes) -> str | None:
    """Text of an address in network order; an IPv4 one that is mapped into IPv6 as what it is. None for the unspecified family."""
    if family == socket.AF_INET:
        return str(ipaddress.IPv4Address(address[:4]))
    if family == socket.AF_INET6:
        whole = ipaddress.IPv6Address(address)
        return str(whole.ipv4_mapped or whole)
    return None


def image_of_exec(record: bytes, image: Image) -> Any:
    """Fill the image from the record of its exec; returns the record's fields. Raises ValueError for a record that is too short."""
    made = records.EXEC.read(record)
    image.exe = text(record, made.exe_path)
    image.exe_identity = records.FILE_IDENTITY.pick(made, "exe")
    image.name = text(record, made.name)
    image.args = [redact(one) for one in texts(record, made.argument_text)]
    image.args_count = made.arguments
    image.args_truncated = made.argument_bytes > made.argument_text >> 16
    image.environment = _selected(texts(record, made.environment))
    image.cwd = text(record, made.directory)
    image.tty = text(record, made.tty)
    image.credentials = records.CREDENTIALS.pick(made, "credentials")
    image.namespaces = tuple(records.NAMESPACES.pick(made, "namespaces"))
    image.login_uid = None if made.login_uid == NO_LOGIN else made.login_uid
    image.session = made.session
    image.seccomp = SECCOMP[made.seccomp] if made.seccomp < len(SECCOMP) else None
    image.no_new_privileges = bool(made.no_new_privileges)
    image.container_process_id = made.container_process
    image.cgroup = made.record_cgroup
    image.stdio = tuple(_descriptor(records.DESCRIPTOR.pick(made, f"stdio_{number}")) for number in range(3))
    return made


def _descriptor(found: Any) -> tuple[str, str | None, int | None]:
    kind = DESCRIPTOR_TYPES[found.type] if found.type < len(DESCRIPTOR_TYPES) else "other"
    is_network = found.family in (socket.AF_INET, socket.AF_INET6)
    return kind, address_text(found.family, found.remote) if is_network else None, found.remote_port if is_network else None


def _selected(variables: list[str]) -> dict[str, str]:
    found = {}
    for variable in variables:
        if variable.startswith(ENVIRONMENT):
            name, _, value = variable.partition("=")
            found[name] = redact(value)
    return found
