"""io_urings: what is done through one comes as the kind of the act where it has one, with `syscall.io_uring`."""

from __future__ import annotations

from typing import Any

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor import interface_words as words
from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.decoding.parts import connection_part
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import Layout, text
from watchkeeper_sensor.kernel.tracepoints import has_tracepoint

NAMED = ("file.rename", "file.link", "file.symlink", "file.unlink", "file.rmdir", "file.mkdir")
OPENED = ("file.open", "file.create")
OPERATED = ("io_uring.operation",)
NEW, OLD = "io_uring_submit_req", "io_uring_submit_sqe"

RING = Layout("io_uring_record", ("record", records.RECORD), ("ends", records.ENDPOINTS), "flags I, opcode I, registered_credentials I, path text")

_IoUring: Any = record_type("io_uring")


def _ring(event: Any) -> Any:
    return _IoUring(flags=words.bit_words(words.IO_URING_SETUP, RING.read(event.record).flags))


def _operation(event: Any) -> Any:
    made = RING.read(event.record)
    peer = connection_part(records.ENDPOINTS.pick(made, "ends"))
    return _IoUring(
        operation=words.word(words.IO_URING_OPERATIONS, made.opcode),
        flags=words.bit_words(words.IO_URING_SETUP, made.flags),
        path=text(event.record, made.path),
        remote_ip=peer.remote_ip,
        remote_port=peer.remote_port,
        registered_credentials=bool(made.registered_credentials),
    )


def _programs() -> tuple[BpfProgram, ...]:
    """The tracepoint has another name on kernels before 6.3; one without io_uring has neither."""
    if not (has_tracepoint(NEW) or has_tracepoint(OLD)):
        return ()
    suffix = "" if has_tracepoint(NEW) else "_before"
    return (
        BpfProgram(f"io_uring_named{suffix}", "tracepoint", NAMED),
        BpfProgram(f"io_uring_opening{suffix}", "tracepoint", OPENED),
        BpfProgram("io_uring_opened", "tracepoint", OPENED),
        BpfProgram(f"io_uring_operated{suffix}", "tracepoint", OPERATED),
        BpfProgram("io_uring_connected", "tracepoint", OPERATED),
    )


LAYOUTS = (RING,)

PROGRAMS = (BpfProgram("io_uring_create", "call", ("io_uring.create",), calls=("io_uring_setup",)), *_programs())

EVENTS = (kind("io_uring.create", {"io_uring": _ring}), kind("io_uring.operation", {"io_uring": _operation}))
