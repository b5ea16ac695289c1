"""Descriptors that change hands or place: duplicated onto the standard ones, received, taken, spliced from."""

from __future__ import annotations

from typing import Any

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.decoding.likeness import Bytes, at
from watchkeeper_sensor.decoding.parts import OPEN_FILE, OTHER_PROCESS, connection_part, file_part, target_part
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import Layout, text

STANDARD = ("stdin", "stdout", "stderr")
TYPES = ("other", "tty", "pipe", "socket", "file", "other", "other", "socket")  # enum descriptor_type
RECEIVE, SPLICE = records.NUMBERS["descriptor.receive"], records.NUMBERS["descriptor.splice"]

DESCRIPTOR = Layout(
    "descriptor_record",
    ("record", records.RECORD),
    ("file", OPEN_FILE),
    ("other", OTHER_PROCESS),
    "number i, from_number i, count I, read_only I",
)

_Descriptor: Any = record_type("descriptor")


def _descriptor(event: Any) -> Any:
    made = DESCRIPTOR.read(event.record)
    number, told = made.number, event.header[0]
    return _Descriptor(
        number=number if number >= 0 else None,
        from_number=made.from_number if made.from_number >= 0 else None,
        type="memfd" if made.file_identity_flags & records.MEMFD else TYPES[made.file_type] if made.file_type else None,
        onto=STANDARD[number] if 0 <= number < len(STANDARD) else None,
        count=made.count if told == RECEIVE else None,
        sender_process_id=made.other_process or None if told == RECEIVE else None,
        read_only_source=bool(made.read_only) if told == SPLICE else None,
    )


def _file(event: Any) -> Any:
    made = DESCRIPTOR.read(event.record)
    return file_part(records.FILE_IDENTITY.pick(made, "file_identity"), text(event.record, made.file_path))


def _connection(event: Any) -> Any:
    made = DESCRIPTOR.read(event.record)
    ends = records.ENDPOINTS.pick(made, "file_ends")
    return connection_part(ends, text(event.record, made.file_unix_path), text(event.record, made.file_unix_abstract))


def _target(event: Any) -> Any:
    return target_part(event, OTHER_PROCESS.pick(DESCRIPTOR.read(event.record), "other"))


LAYOUTS = (OPEN_FILE, OTHER_PROCESS, DESCRIPTOR)

PROGRAMS = (
    BpfProgram("descriptor_duplicate", "call", ("descriptor.duplicate",), calls=("dup", "dup2", "dup3", "fcntl")),
    BpfProgram("descriptor_receive", "call", ("descriptor.receive",), calls=("recvmsg", "recvmmsg")),
    BpfProgram("descriptor_take", "call", ("descriptor.take",), calls=("pidfd_getfd",)),
    BpfProgram("descriptor_splice", "call", ("descriptor.splice",), calls=("splice", "vmsplice", "sendfile")),
)

TOLD = Bytes(
    always=(at(DESCRIPTOR, "file_identity_magic"),),
    only={
        "file.inode": (at(DESCRIPTOR, "file_identity_inode", "file_identity_inode"),),
        "file.size": (at(DESCRIPTOR, "file_identity_size", "file_identity_size"),),
    },
)

EVENTS = (
    kind("descriptor.duplicate", {"descriptor": _descriptor, "connection": _connection, "file": _file}, TOLD),
    kind("descriptor.receive", {"descriptor": _descriptor, "connection": _connection, "file": _file}, TOLD),
    kind("descriptor.take", {"descriptor": _descriptor, "connection": _connection, "file": _file, "target_process": _target}),
    kind("descriptor.splice", {"descriptor": _descriptor, "file": _file}, TOLD),
)
