"""Process images: what a process is from one exec to the next, and what it keeps of its ancestors.

An image never changes; an exec or a fork makes another one. Of ancestors it holds summaries, so that they outlive the ancestors and memory stays
bounded.
"""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from watchkeeper_detection.redact import redact
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.records import pieces, text, texts
from watchkeeper_sensor.process_view import ProcessView

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchkeeper_sensor.clock import WallClock

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
_BEGINNINGS = tuple(one.encode() for one in ENVIRONMENT)
REPEATING = 256  # letters of an argument that may come again; a longer one is not remembered


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
        "arriving",
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
        "others",
        "previous_exe",
        "process_id",
        "seccomp",
        "session",
        "start",
        "stdio",
        "tty",
        "uid",
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
        self.uid: int | None = None  # the real user id, where no more is known of the credentials
        self.others: dict[tuple[int, int], Image] | None = None  # (thread, its real user id) → the image with it
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
        self.arriving = False  # it came into the container from outside, and runs no program of the container yet
        self.previous_exe: str | None = None
        self.lineage: tuple[Ancestor, ...] = ()
        self.lineage_complete = False
        self.view_of: ProcessView | None = None
        self.alike: dict[Any, tuple[object, int]] | None = None  # class of processes → what it keeps of this one

    def copied(self) -> Image:
        """Another image that begins with what this one is."""
        other = _new_image(Image)
        for put, value in zip(_PUTS, _values_of(self), strict=True):
            put(other, value)
        other.view_of = other.alike = other.others = None
        return other

    def summary(self) -> Ancestor:
        identity = self.exe_identity
        uid = self.credentials.uid if self.credentials else self.uid
        return Ancestor(self.id, self.process_id, self.exe, identity.inode if identity else None, self.name, self.args, uid, self.tty, self.container_id)

    def view(self, host: Host) -> ProcessView:
        """The object `process` of events, made when somebody asks and kept."""
        if self.view_of is None:
            self.view_of = ProcessView(self, host)
        return self.view_of


_new_image = object.__new__
_values_of = attrgetter(*Image.__slots__)
_PUTS = [getattr(Image, name).__set__ for name in Image.__slots__]


class Host(NamedTuple):
    """What of the host a process is compared with: inode numbers of its namespaces, names of its users."""

    boot_id: str
    namespaces: tuple[int, ...]
    users: dict[int, str]
    clock: WallClock | None = None
    cgroup_path: Callable[[int], str | None] | None = None  # of a key


def process_unique_id(boot_id: str, process_id: int, start: int) -> str:
    """Start in hundredths of a second since boot, which is what /proc says too."""
    return f"{boot_id[:8]}:{process_id}:{start // TICK_NS}"


@lru_cache(maxsize=4096)
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
    image.args = [_redacted(one) for one in texts(record, made.argument_text)]
    image.args_count = made.arguments
    image.args_truncated = made.argument_bytes > made.argument_text >> 16
    image.environment = _selected(pieces(record, made.environment))
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


@lru_cache(maxsize=4096)
def _remembered(text: str) -> str:
    return redact(text)


def _redacted(text: str) -> str:
    return _remembered(text) if len(text) <= REPEATING else redact(text)


def _descriptor(found: Any) -> tuple[str, str | None, int | None]:
    kind = DESCRIPTOR_TYPES[found.type] if found.type < len(DESCRIPTOR_TYPES) else "other"
    is_network = found.family in (socket.AF_INET, socket.AF_INET6)
    return kind, address_text(found.family, found.remote) if is_network else None, found.remote_port if is_network else None


def _selected(variables: list[bytes]) -> dict[str, str]:
    found = {}
    for variable in variables:
        if variable.startswith(_BEGINNINGS):
            name, _, value = variable.decode("utf-8", "backslashreplace").partition("=")
            found[name] = _redacted(value)
    return found
