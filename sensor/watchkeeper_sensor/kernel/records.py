"""What records hold, byte by byte: the mirror of sensor/bpf/records.h. A test compares it with the object's BTF.

A layout is written as the C struct is: `name format`, where a format is a letter of Python's `struct`, `text` (a place in the record),
`bytes16`, or another layout. `read` gives a named tuple; a nested field is `exe_inode`, an element of an array `stdio_0_type`.
"""

from __future__ import annotations

import struct
from collections import namedtuple
from functools import partial
from typing import Any

VERSION = 2

KINDS = {
    1: "process.exec",
    2: "process.exec_failed",
    3: "process.fork",
    4: "process.exit",
    5: "process.ptrace",
    6: "process.memory_read",
    7: "process.memory_write",
    8: "process.signal",
    9: "process.prctl",
    10: "process.personality",
    11: "process.compat_call",
    20: "credentials.change",
    21: "credentials.capabilities",
    22: "credentials.unexplained",
    30: "file.open",
    31: "file.open_by_handle",
    32: "file.create",
    33: "file.write",
    34: "file.rename",
    35: "file.link",
    36: "file.symlink",
    37: "file.unlink",
    38: "file.mkdir",
    39: "file.rmdir",
    40: "file.mknod",
    41: "file.chmod",
    42: "file.chown",
    43: "file.setxattr",
    44: "file.utime",
    45: "file.truncate",
    46: "file.setflags",
    60: "memory.map",
    61: "memory.protect",
    62: "memfd.create",
    63: "descriptor.duplicate",
    64: "descriptor.receive",
    65: "descriptor.take",
    66: "descriptor.splice",
    80: "network.connect",
    81: "network.accept",
    82: "network.listen",
    83: "network.close",
    84: "network.send",
    85: "network.socket",
    86: "dns.question",
    87: "dns.answer",
    100: "isolation.setns",
    101: "isolation.unshare",
    102: "isolation.chroot",
    103: "mount.mount",
    104: "mount.unmount",
    105: "mount.move",
    106: "mount.clone",
    107: "mount.change",
    108: "mount.prepare",
    120: "module.load",
    121: "module.unload",
    122: "kexec.load",
    123: "bpf.load",
    124: "bpf.attach",
    125: "perf.open",
    126: "keyring.call",
    127: "userfaultfd.create",
    128: "io_uring.create",
    129: "io_uring.operation",
    130: "clock.set",
    131: "tty.inject",
    140: "sensor.tampered",
    141: "sensor.enforced",
    142: "sensor.not_enforced",
    150: "cgroup.mkdir",
    151: "cgroup.attach",
    152: "cgroup.rmdir",
}
"""Number of a record's kind → the event kind that it becomes; those of cgroups become none, they tell which cgroup is whose."""

NUMBERS = {name: number for number, name in KINDS.items()}

COMPAT, IO_URING, KILLED = 1, 2, 4  # enum record_flag
UPPER, MEMFD, UNLINKED, OVERLAY, PATH_TRUNCATED, KNOWN, PATH_USER, PATH_CHANGED = 1, 2, 4, 8, 16, 32, 64, 128  # enum file_flag

HEADER = struct.Struct("<HHIQQQQIIiiI")
HEADER_FIELDS = ("kind", "flags", "size", "id", "time", "cgroup", "start", "process", "thread", "syscall", "result", "uid")


def _tuple_type(name: str, fields: list[str]) -> Any:
    return namedtuple(name, fields)  # noqa: PYI024 (fields are known when the layout is)


class Layout:
    """One struct of records.h."""

    def __init__(self, name: str, *parts: str | tuple[str, Layout] | tuple[str, Layout, int]) -> None:
        """`parts`: texts of `name format` pairs separated by commas, and (name, layout) or (name, layout, count)."""
        self.name = name
        self.fields: tuple[str, ...]
        self.formats: tuple[str, ...]
        names: list[str] = []
        formats: list[str] = []
        for part in parts:
            if isinstance(part, str):
                for pair in part.split(","):
                    word, format_ = pair.split()
                    names.append(word)
                    formats.append({"text": "I", "bytes16": "16s", "bytes4": "4s"}.get(format_, format_))
            else:
                prefix, layout, *count = part
                for number in range(count[0] if count else 1):
                    names += [f"{prefix}_{number}_{each}" if count else f"{prefix}_{each}" for each in layout.fields]
                    formats += layout.formats
        self.fields = tuple(names)
        self.formats = tuple(formats)
        self._struct = struct.Struct("<" + "".join(formats))
        self.size = self._struct.size
        self._tuple = _tuple_type(name, names)
        self._make = partial(tuple.__new__, self._tuple)
        self._slices: dict[tuple[type, str], slice] = {}

    def offsets(self) -> list[int]:
        """Where each field stands, in bytes."""
        return [struct.calcsize("<" + "".join(self.formats[:number])) for number in range(len(self.formats))]

    def of(self, *values: Any) -> Any:
        """The named tuple of these values."""
        return self._tuple._make(values)

    def pick(self, of: Any, prefix: str) -> Any:
        """The fields of this layout, out of a tuple that holds it under `prefix`."""
        place = self._slices.get((of.__class__, prefix))
        if place is None:
            start = of._fields.index(f"{prefix}_{self.fields[0]}")
            place = self._slices[(of.__class__, prefix)] = slice(start, start + len(self.fields))
        return self._make(of[place])

    def read(self, record: bytes) -> Any:
        """The fields; raises ValueError for a record that is too short."""
        try:
            return self._make(self._struct.unpack_from(record))
        except struct.error:
            raise ValueError(f"a {self.name} has {self.size} bytes, this one {len(record)}") from None


def text(record: bytes, place: int) -> str | None:
    r"""The text at a place (offset and length as one number); None where there is none.

    Bytes that are no UTF-8 become \xNN: whatever is told can be written.
    """
    length = place >> 16
    if not length:
        return None
    at = place & 0xFFFF
    return record[at : at + length].decode("utf-8", "backslashreplace")


def block(record: bytes, place: int) -> bytes:
    """The bytes at a place."""
    at = place & 0xFFFF
    return record[at : at + (place >> 16)]


def pieces(whole: bytes) -> list[bytes]:
    """Texts ended by NUL, as bytes."""
    return whole.removesuffix(b"\0").split(b"\0") if whole else []


RECORD = Layout("record", "kind H, flags H, size I, id Q, time Q, cgroup Q, start Q, process I, thread I, syscall i, result i, uid I, padding I")
FILE_IDENTITY = Layout("file_identity", "inode Q, size Q, changed_at Q, magic Q, device I, links I, mode I, owner_uid I, owner_gid I, flags I")
CAPABILITIES = Layout("capabilities", "effective Q, permitted Q, inheritable Q, ambient Q, bounding Q")
CREDENTIALS = Layout("credentials", "uid I, euid I, suid I, fsuid I, gid I, egid I, sgid I, securebits I", ("capabilities", CAPABILITIES))
NAMESPACES = Layout("namespaces", "mount I, process I, network I, user I, uts I, ipc I, cgroup I, time I")
ENDPOINTS = Layout(
    "endpoints", "local bytes16, remote bytes16, local_port H, remote_port H, family H, type H, protocol H, padding_0 H, padding_1 H, padding_2 H"
)
DESCRIPTOR = Layout("descriptor", "type I, family H, remote_port H, remote bytes16")

EXEC = Layout(
    "exec_record",
    ("record", RECORD),
    "parent_start Q, parent I, container_process I, session I, login_uid I, arguments I, variables I, argument_bytes I, seccomp I, no_new_privileges I, by_descriptor I",
    ("credentials", CREDENTIALS),
    ("namespaces", NAMESPACES),
    ("exe", FILE_IDENTITY),
    ("stdio", DESCRIPTOR, 3),
    "exe_path text, directory text, path text, interpreter text, argument_text text, environment text, name text, tty text",
)
FORK = Layout("fork_record", ("record", RECORD), "child_start Q, clone_flags Q, child_cgroup Q, child I, child_in_namespace I", ("namespaces", NAMESPACES))
EXIT = Layout("exit_record", ("record", RECORD), "code I, padding I")
EXEC_FAILED = Layout("exec_failed_record", ("record", RECORD), "path text, by_descriptor I")

LAYOUTS = (RECORD, FILE_IDENTITY, CAPABILITIES, CREDENTIALS, NAMESPACES, ENDPOINTS, DESCRIPTOR)
"""What records of several families are put together from."""
