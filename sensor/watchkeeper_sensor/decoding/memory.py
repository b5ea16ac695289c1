"""Executable memory, and files that live in memory alone."""

from __future__ import annotations

from typing import Any

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.decoding.likeness import Bytes, at
from watchkeeper_sensor.decoding.parts import file_part
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.ends import LOOK_AT_MEMORY, POSITIVE, ZERO
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import Layout, text

WRITABLE, EXECUTABLE, WRITTEN, ANONYMOUS, HUGE_PAGES, SHARED = 1, 2, 4, 8, 16, 32  # enum memory_flag
AREAS = ("mapping", "heap", "stack")
MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL = 2, 8
MEMFD_PREFIX = "memfd:"

MEMORY = Layout("memory_record", ("record", records.RECORD), "address Q, size Q, flags I, area I", ("file", records.FILE_IDENTITY), "path text, tells I")
MEMFD = Layout("memfd_record", ("record", records.RECORD), "flags I, mode I, huge_pages I, name text")

_Memory: Any = record_type("memory")
_Memfd: Any = record_type("memfd")


def _memory(event: Any) -> Any:
    made = MEMORY.read(event.record)
    flags = made.flags
    return _Memory(
        address=made.address,
        size=made.size,
        writable=bool(flags & WRITABLE),
        executable=bool(flags & EXECUTABLE),
        was_writable=True if flags & WRITTEN else None if flags & SHARED else False,
        anonymous=bool(flags & ANONYMOUS),
        area=AREAS[made.area],
        huge_pages=bool(flags & HUGE_PAGES),
    )


def _mapped_file(event: Any) -> Any:
    made = MEMORY.read(event.record)
    return file_part(records.FILE_IDENTITY.pick(made, "file"), text(event.record, made.path))


def _memfd(event: Any) -> Any:
    made = MEMFD.read(event.record)
    return _Memfd(
        name=(text(event.record, made.name) or "").removeprefix(MEMFD_PREFIX),
        executable=bool(made.mode & 0o111),
        sealable=bool(made.flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)),
        huge_pages=bool(made.huge_pages),
    )


LAYOUTS = (MEMORY, MEMFD)

PROGRAMS = (
    BpfProgram("memory_map", "call", ("memory.map", "memory.protect"), calls=("mmap", "shmat"), ends=POSITIVE | LOOK_AT_MEMORY),
    BpfProgram("memory_protect", "call", ("memory.protect", "memory.map"), calls=("mprotect", "pkey_mprotect"), ends=ZERO | LOOK_AT_MEMORY),
    BpfProgram("memfd_create", "call", ("memfd.create",), calls=("memfd_create",), ends=POSITIVE | ZERO),
)

TOLD = Bytes(
    always=(at(MEMORY, "flags", "area"), at(MEMORY, "file_magic")),
    only={
        "memory.address": (at(MEMORY, "address", "address"),),
        "memory.size": (at(MEMORY, "size", "size"),),
        "file.inode": (at(MEMORY, "file_inode", "file_inode"),),
        "file.size": (at(MEMORY, "file_size", "file_size"),),
    },
)

EVENTS = (
    kind("memory.map", {"memory": _memory, "file": _mapped_file}, TOLD),
    kind("memory.protect", {"memory": _memory}, TOLD),
    kind("memfd.create", {"memfd": _memfd}),
)
