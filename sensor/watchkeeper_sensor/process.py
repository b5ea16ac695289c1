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
from watchkeeper_sensor.kernel.records import block, pieces, text
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
REPEATING = 512  # bytes of arguments that may come again; longer ones are not remembered


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
        "enters",
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
        "runs_inside",
        "seccomp",
        "session",
        "start",
        "stdio",
        "told",
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
        self.runs_inside = False  # it was told to run a program of its container
        self.enters = False  # this program is the one by which it came into the container from outside
        self.previous_exe: str | None = None
        self.lineage: tuple[Ancestor, ...] = ()
        self.lineage_complete = False
        self.view_of: ProcessView | None = None
        self.told: Ancestor | None = None  # the summary
        self.alike: dict[Any, tuple[object, int]] | None = None  # class of processes → what it keeps of this one

    def copied(self) -> Image:
        """Another image that begins with what this one is."""
        other = _new_image(Image)
        for put, value in zip(_PUTS, _values_of(self), strict=True):
            put(other, value)
        other.forget()
        return other

    def forget(self) -> None:
        """What was made of it is made again when it is asked for."""
        self.view_of = self.alike = self.others = self.told = None

    def summary(self) -> Ancestor:
        if self.told is not None:
            return self.told
        identity = self.exe_identity
        uid = self.credentials.uid if self.credentials else self.uid
        inode = identity.inode if identity else None
        self.told = Ancestor(self.id, self.process_id, self.exe, inode, self.name, self.args, uid, self.tty, self.container_id)
        return self.told

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
    image.args = _arguments(block(record, made.argument_text))
    image.args_count = made.arguments
    image.args_truncated = made.argument_bytes > made.argument_text >> 16
    image.environment = _variables(block(record, made.environment))
    image.cwd = text(record, made.directory)
    image.tty = text(record, made.tty)
    image.credentials = _same(records.CREDENTIALS.pick(made, "credentials"))
    image.namespaces = _same(tuple(records.NAMESPACES.pick(made, "namespaces")))
    image.login_uid = None if made.login_uid == NO_LOGIN else made.login_uid
    image.session = made.session
    image.seccomp = SECCOMP[made.seccomp] if made.seccomp < len(SECCOMP) else None
    image.no_new_privileges = bool(made.no_new_privileges)
    image.container_process_id = made.container_process
    image.cgroup = made.record_cgroup
    image.stdio = _descriptors(record[_STDIO])
    return made


_STDIO_AT = dict(zip(records.EXEC.fields, records.EXEC.offsets(), strict=True))["stdio_0_type"]
_STDIO = slice(_STDIO_AT, _STDIO_AT + 3 * records.DESCRIPTOR.size)


@lru_cache(maxsize=1024)
def _descriptors(three: bytes) -> tuple[tuple[str, str | None, int | None], ...]:
    size = records.DESCRIPTOR.size
    return tuple(_descriptor(records.DESCRIPTOR.read(three[start : start + size])) for start in range(0, 3 * size, size))


@lru_cache(maxsize=1024)
def _same(values: Any) -> Any:
    """One object for equal ones: many processes have the same credentials and namespaces."""
    return values


def _arguments(whole: bytes) -> list[str]:
    return _repeating_arguments(whole) if len(whole) <= REPEATING else _redacted(whole)


def _redacted(whole: bytes) -> list[str]:
    return [redact(one.decode("utf-8", "backslashreplace")) for one in pieces(whole)]


@lru_cache(maxsize=1024)
def _repeating_arguments(whole: bytes) -> list[str]:
    return _redacted(whole)


@lru_cache(maxsize=256)
def _variables(whole: bytes) -> dict[str, str]:
    return _selected(pieces(whole))


def _descriptor(found: Any) -> tuple[str, str | None, int | None]:
    kind = DESCRIPTOR_TYPES[found.type] if found.type < len(DESCRIPTOR_TYPES) else "other"
    is_network = found.family in (socket.AF_INET, socket.AF_INET6)
    return kind, address_text(found.family, found.remote) if is_network else None, found.remote_port if is_network else None


def _selected(variables: list[bytes]) -> dict[str, str]:
    found = {}
    for variable in variables:
        if variable.startswith(_BEGINNINGS):
            name, _, value = variable.decode("utf-8", "backslashreplace").partition("=")
            found[name] = redact(value)
    return found
