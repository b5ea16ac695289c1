"""Files: opened, made, written, renamed, linked, removed and marked."""

from __future__ import annotations

import re
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watchkeeper_detection.logs.kernel_event import base_name, directory
from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.decoding.likeness import Bytes, at
from watchkeeper_sensor.decoding.parts import file_part
from watchkeeper_sensor.decoding.paths import normalised
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.ends import DENIED, LOOK_AT_MEMORY, LOOK_AT_OPEN, LOOK_AT_WRITE, POSITIVE, ZERO
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import Layout, text
from watchkeeper_sensor.names import device_name, file_type
from watchkeeper_sensor.words import inode_flags, open_flags

FILE_PLACE = Layout("file_place", ("identity", records.FILE_IDENTITY), "device_number I, of_process I, path text, claimed text, directory text, padding I")
FILE = Layout("file_record", ("record", records.RECORD), ("file", FILE_PLACE), "open_flags Q, access I, written_by I, head text, repeats I")
FILE_CHANGE = Layout(
    "file_change_record",
    ("record", records.RECORD),
    ("file", FILE_PLACE),
    "flags Q, size Q, modified_seconds q, modified_nanoseconds I, modified I, mode I, device_number I, uid I, gid I",
    "new_claimed text, new_directory text, name text, padding I",
)

FOR_READ, FOR_WRITE, CREATED, PATH_ONLY = 1, 2, 4, 8  # enum file_access
WRITTEN_BY = (None, "write", "mmap", "sendfile", "copy", "splice", "clone")  # enum file_written_by
TIME_NOW, TIME_GIVEN = 1, 2  # enum file_time
O_TRUNC = 0o1000
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
UNCHANGED = 2**32 - 1
RESULT, PROCESS, TIME = 10, 7, 4  # where the header holds them
USER = records.NAMESPACES.fields.index("user")
INITIAL_USER_NAMESPACE = 0xEFFFFFFD  # its inode number on every kernel; source: PROC_USER_INIT_INO in linux/proc_ns.h

SERVICE_ACCOUNT = re.compile(
    r"^(/var)?/run/secrets/kubernetes\.io/serviceaccount(/|$)|/volumes/kubernetes\.io~(projected/kube-api-access-|secret/[^/]*-token-)"
)
"""Where kubelet mounts the token in a container, and where it keeps the volume on the host."""

CONTENTS = (
    (b"\x7fELF", "elf"),
    (b"#!", "script"),
    (b"PK\x03\x04", "archive"),
    (b"\x1f\x8b", "archive"),
    (b"BZh", "archive"),
    (b"\xfd7zXZ", "archive"),
    (b"\x28\xb5\x2f\xfd", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"-----BEGIN", "key"),
    (b"openssh-key-v1", "key"),
)
MEMORY_DISKS = frozenset({1, 7, 43})  # ramdisk, loop, network block device: no disk of the host
SYS_BLOCK = Path("/sys/dev/block")


_File: Any = record_type("file")


def is_host_disk(device: int) -> bool:
    """Whether a block device's number is one of a disk or partition that the host has now."""
    return device >> 20 not in MEMORY_DISKS and (SYS_BLOCK / device_name(device)).exists()


def content_of(head: bytes) -> str | None:
    """What the first bytes say that a file is; None where there are none."""
    if not head:
        return None
    return next((name for start, name in CONTENTS if head.startswith(start)), "other")


def given_device(number: int) -> int:
    """The kernel's number of a device as mknod takes it. Source: new_decode_dev in linux/kdev_t.h."""
    return (number & 0xFFF00) >> 8 << 20 | number & 0xFF | number >> 12 & 0xFFF00


def under_host_mount(event: Any, path: str) -> bool | None:
    """Whether a path lies on a mount of the container that comes from the host; None where its mounts are not known."""
    targets = event.container.mount_targets
    if targets is None:
        return None
    return any(path == target or path.startswith(f"{target.rstrip('/')}/") for target in targets)


def _path(event: Any, directory_at: int, claimed_at: int) -> str | None:
    own = (str(event.image.container_process_id or event.image.process_id),)
    return normalised(text(event.record, directory_at), text(event.record, claimed_at), own)


def _device(its: Any, number: int) -> None:
    if its.type in ("block", "character"):
        its.device_number = device_name(number)
        its.is_host_disk = its.type == "block" and is_host_disk(number)


def _file(event: Any, place: Any) -> Any:
    """What all records of files say: where the kernel reached the file its own words, else where the caller said that it is."""
    identity = records.FILE_IDENTITY.pick(place, "identity")
    its = file_part(identity, text(event.record, place.path)) if identity.flags & records.KNOWN else _File()
    its.claimed_path = text(event.record, place.claimed)
    if identity.flags & records.PATH_USER:
        its.path = _path(event, place.directory, place.claimed)
        its.name, its.directory = base_name(its.path or its.claimed_path), directory(its.path)
        its.path_trust, its.path_truncated = "user", bool(identity.flags & records.PATH_TRUNCATED)
    if its.path:
        its.under_service_account = SERVICE_ACCOUNT.search(its.path) is not None
        its.under_host_mount = under_host_mount(event, its.path)
    _device(its, place.device_number)
    if place.of_process and place.of_process != event.header[PROCESS]:
        its.of_process_id = place.of_process
    return its


def _opened(event: Any) -> Any:
    made = FILE.read(event.record)
    its, access, succeeded = _file(event, FILE_PLACE.pick(made, "file")), made.access, event.header[RESULT] >= 0
    its.flags = open_flags(made.open_flags)
    its.for_read, its.for_write = bool(access & FOR_READ), bool(access & FOR_WRITE)
    its.created = bool(access & CREATED)
    its.truncated = succeeded and bool(made.open_flags & O_TRUNC) and not its.created
    its.path_only = bool(access & PATH_ONLY)
    its.repeats = made.repeats
    return its


def _written(event: Any) -> Any:
    made = FILE.read(event.record)
    its = _file(event, FILE_PLACE.pick(made, "file"))
    its.flags = open_flags(made.open_flags)
    its.for_read, its.for_write = bool(made.access & FOR_READ), bool(made.access & FOR_WRITE)
    its.written_by = WRITTEN_BY[made.written_by]
    at, length = made.head & 0xFFFF, made.head >> 16
    its.content = content_of(event.record[at : at + length])
    return its


def _changed(event: Any) -> tuple[Any, Any]:
    made = FILE_CHANGE.read(event.record)
    return made, _file(event, FILE_PLACE.pick(made, "file"))


def _renamed(event: Any) -> Any:
    made, its = _changed(event)
    its.new_path = _path(event, made.new_directory, made.new_claimed)
    its.new_name = base_name(its.new_path or text(event.record, made.new_claimed))
    its.exchanged = bool(made.flags & RENAME_EXCHANGE)
    its.replaced = False if made.flags & (RENAME_NOREPLACE | RENAME_EXCHANGE) else None
    return its


def _linked(event: Any) -> Any:
    made, its = _changed(event)
    its.new_path = _path(event, made.new_directory, made.new_claimed)
    its.new_name = base_name(its.new_path or text(event.record, made.new_claimed))
    its.replaced = False  # link(2) never replaces
    return its


def _symlinked(event: Any) -> Any:
    made, its = _changed(event)
    its.link_target, its.type = text(event.record, made.name), "symlink"
    return its


def _unlinked(event: Any) -> Any:
    return _changed(event)[1]


def _made(event: Any) -> Any:
    made, its = _changed(event)
    its.type, its.new_mode = file_type(made.mode), stat.S_IMODE(made.mode)
    _device(its, given_device(made.device_number))
    return its


def _chmod(event: Any) -> Any:
    made, its = _changed(event)
    its.new_mode = made.mode
    its.adds_setuid, its.adds_execute = bool(made.mode & (stat.S_ISUID | stat.S_ISGID)), bool(made.mode & 0o111)
    return its


def _chown(event: Any) -> Any:
    made, its = _changed(event)
    namespaces = event.image.namespaces
    mapped = its.inode is None and namespaces is not None and namespaces[USER] != INITIAL_USER_NAMESPACE
    if not mapped:  # ids of another user namespace are not the host's
        its.new_owner_uid = None if made.uid == UNCHANGED else made.uid
        its.new_owner_gid = None if made.gid == UNCHANGED else made.gid
    return its


def _setxattr(event: Any) -> Any:
    made, its = _changed(event)
    its.xattr_name = text(event.record, made.name)
    return its


def _utime(event: Any) -> Any:
    made, its = _changed(event)
    if made.modified == TIME_NOW:
        its.new_modified_at = time_text(event.observed_at)
    elif made.modified == TIME_GIVEN:
        its.new_modified_at = time_text(made.modified_seconds * 1_000_000_000 + made.modified_nanoseconds)
    return its


def time_text(time_ns: int) -> str | None:
    """RFC 3339 of a time since the epoch; None for years that it can't write."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
    except (ValueError, OverflowError, OSError):
        return None


def _truncated(event: Any) -> Any:
    made, its = _changed(event)
    its.new_size, its.truncated = made.size, event.header[RESULT] >= 0
    return its


def _setflags(event: Any) -> Any:
    made, its = _changed(event)
    its.inode_flags = inode_flags(made.flags)
    return its


LAYOUTS = (FILE_PLACE, FILE, FILE_CHANGE)

OPENS = ("open", "openat", "openat2", "creat", "open_by_handle_at")
WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range", "splice")

DONE_OR_DENIED = POSITIVE | ZERO | DENIED

PROGRAMS = (
    BpfProgram("file_open", "call", ("file.open", "file.create", "file.open_by_handle", "file.write"), calls=OPENS, ends=DONE_OR_DENIED | LOOK_AT_OPEN),
    BpfProgram("file_write", "call", ("file.write",), calls=WRITES, ends=POSITIVE | LOOK_AT_WRITE),
    BpfProgram("file_write_mapped", "call", ("file.write",), calls=("mmap",), ends=POSITIVE | LOOK_AT_MEMORY),
    BpfProgram("file_write_cloned", "call", ("file.write",), calls=("ioctl",), ends=ZERO),
    BpfProgram("file_rename", "call", ("file.rename",), calls=("rename", "renameat", "renameat2"), ends=DONE_OR_DENIED),
    BpfProgram("file_link", "call", ("file.link",), calls=("link", "linkat"), ends=DONE_OR_DENIED),
    BpfProgram("file_symlink", "call", ("file.symlink",), calls=("symlink", "symlinkat"), ends=DONE_OR_DENIED),
    BpfProgram("file_unlink", "call", ("file.unlink", "file.rmdir"), calls=("unlink", "unlinkat", "rmdir"), ends=DONE_OR_DENIED),
    BpfProgram("file_make", "call", ("file.mkdir", "file.mknod"), calls=("mkdir", "mkdirat", "mknod", "mknodat"), ends=DONE_OR_DENIED),
    BpfProgram("file_chmod", "call", ("file.chmod",), calls=("chmod", "fchmod", "fchmodat", "fchmodat2"), ends=DONE_OR_DENIED),
    BpfProgram("file_chown", "call", ("file.chown",), calls=("chown", "lchown", "fchown", "fchownat"), ends=DONE_OR_DENIED),
    BpfProgram(
        "file_setxattr",
        "call",
        ("file.setxattr",),
        calls=("setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat"),
        ends=DONE_OR_DENIED,
    ),
    BpfProgram("file_utime", "call", ("file.utime",), calls=("utime", "utimes", "futimesat", "utimensat"), ends=DONE_OR_DENIED),
    BpfProgram("file_truncate", "call", ("file.truncate",), calls=("truncate", "ftruncate"), ends=DONE_OR_DENIED),
    BpfProgram("file_setflags", "call", ("file.setflags",), calls=("ioctl",), ends=DONE_OR_DENIED),
)


_FORMS = {
    "open": _opened,
    "open_by_handle": _opened,
    "create": _opened,
    "write": _written,
    "rename": _renamed,
    "link": _linked,
    "symlink": _symlinked,
    "unlink": _unlinked,
    "rmdir": _unlinked,
    "mkdir": _made,
    "mknod": _made,
    "chmod": _chmod,
    "chown": _chown,
    "setxattr": _setxattr,
    "utime": _utime,
    "truncate": _truncated,
    "setflags": _setflags,
}

TOLD = Bytes(
    always=(at(FILE, "file_identity_magic"),),
    only={"file.inode": (at(FILE, "file_identity_inode", "file_identity_inode"),), "file.size": (at(FILE, "file_identity_size", "file_identity_size"),)},
    by_call=frozenset({"file.truncated"}),
    never=frozenset({"file.is_host_disk", "file.new_modified_at"}),
    place=at(FILE, "file_identity_flags")[0],
)
"""All records of files begin alike."""

EVENTS = tuple(kind(f"file.{name}", {"file": form}, TOLD) for name, form in _FORMS.items())
