"""exec, fork, exit and failed exec."""

from __future__ import annotations

from typing import Any

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.decoding.likeness import Bytes
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.ends import DENIED, FAILED
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import text
from watchkeeper_sensor.names import capability_names
from watchkeeper_sensor.process import process_unique_id
from watchkeeper_sensor.words import clone_flags

_Exec: Any = record_type("exec")
_Fork: Any = record_type("fork")
_Exit: Any = record_type("exit")


def _exec(event: Any) -> Any:
    made = records.EXEC.read(event.record)
    path, interpreter = text(event.record, made.path), text(event.record, made.interpreter)
    is_script = bool(path and interpreter and path != interpreter)
    before = event.before
    had = before.credentials.capabilities_permitted if before.credentials else None
    return _Exec(
        path=path,
        interpreter=event.image.exe if is_script else None,
        script=path if is_script else None,
        previous_exe=event.image.previous_exe,
        enters_container=event.image.enters if event.image.container_id else None,
        empty_args=made.arguments == 0 or made.argument_bytes == 0,
        by_descriptor=bool(made.by_descriptor) or bool(path and path.startswith("/dev/fd/")),
        gained_capabilities=capability_names(made.credentials_capabilities_permitted & ~had) if had is not None else None,
    )


def _exec_failed(event: Any) -> Any:
    made = records.EXEC_FAILED.read(event.record)
    return _Exec(path=text(event.record, made.path), by_descriptor=bool(made.by_descriptor))


def _fork(event: Any) -> Any:
    made = records.FORK.read(event.record)
    return _Fork(
        child_process_id=made.child,
        child_id=process_unique_id(event.around.host.boot_id, made.child, made.child_start),
        flags=clone_flags(made.clone_flags),
    )


def _exit(event: Any) -> Any:
    made = records.EXIT.read(event.record)
    lifetime = event.header[4] - event.header[6]
    return _Exit(code=made.code >> 8 & 0xFF, signal=made.code & 0x7F, core_dumped=bool(made.code & 0x80), lifetime=f"{lifetime / 1e9:.9f}s")


LAYOUTS = (records.EXEC, records.FORK, records.EXIT, records.EXEC_FAILED)

PROGRAMS = (
    BpfProgram("process_exec", "tracepoint", ("process.exec",)),
    BpfProgram("process_fork", "tracepoint", ("process.fork",)),
    BpfProgram("process_exit", "tracepoint", ("process.exit",)),
    BpfProgram("process_exec_failed", "call", ("process.exec_failed",), calls=("execve", "execveat"), ends=DENIED | FAILED),
)

EVENTS = (
    kind("process.exec", {"exec": _exec}, Bytes(by_value=True)),
    kind("process.exec_failed", {"exec": _exec_failed}),
    kind("process.fork", {"fork": _fork}),
    kind("process.exit", {"exit": _exit}),
)
