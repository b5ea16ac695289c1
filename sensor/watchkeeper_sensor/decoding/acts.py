"""What processes do to others and to themselves: ptrace, memory, signals, names, execution domain, 32-bit calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.act_words import PR_SET_MM, PRCTL_BOUNDARIES, PTRACE_REQUESTS, signal_name
from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.decoding.parts import OTHER_PROCESS, target_part
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.ends import LOOK_AT_OPEN, POSITIVE, ZERO
from watchkeeper_sensor.kernel.programs import EVERY_COMPAT_CALL, BpfProgram
from watchkeeper_sensor.kernel.records import Layout, text

if TYPE_CHECKING:
    from watchkeeper_sensor.process import Image

METHODS = ("", "process_vm", "proc_mem")  # enum memory_access_method
PROC_MEM = 2
ADDR_NO_RANDOMIZE = 0x0040000

PTRACE = Layout("ptrace_record", ("record", records.RECORD), ("target", OTHER_PROCESS), "request I, padding I")
MEMORY_ACCESS = Layout("memory_access_record", ("record", records.RECORD), ("target", OTHER_PROCESS), "bytes Q, method I, padding I")
SIGNAL = Layout("signal_record", ("record", records.RECORD), ("target", OTHER_PROCESS), "number I, padding I")
PRCTL = Layout("prctl_record", ("record", records.RECORD), "option I, boundary I, name text")
PERSONALITY = Layout("personality_record", ("record", records.RECORD), "value I, padding I")

_Ptrace: Any = record_type("ptrace")
_MemoryAccess: Any = record_type("memory_access")
_Signal: Any = record_type("signal")
_Prctl: Any = record_type("prctl")
_Personality: Any = record_type("personality")


def _target_of(layout: Layout) -> Any:
    return lambda event: target_part(event, OTHER_PROCESS.pick(layout.read(event.record), "target"))


def _ptrace(event: Any) -> Any:
    request = PTRACE.read(event.record).request
    return _Ptrace(request=PTRACE_REQUESTS.get(request) or hex(request))


def _memory_access(event: Any) -> Any:
    made = MEMORY_ACCESS.read(event.record)
    return _MemoryAccess(method=METHODS[made.method], bytes=None if made.method == PROC_MEM else made.bytes)


def _signal(event: Any) -> Any:
    number = SIGNAL.read(event.record).number
    return _Signal(number=number, name=signal_name(number))


def _prctl(event: Any) -> Any:
    made = PRCTL.read(event.record)
    if made.option != PR_SET_MM:
        return _Prctl(option="PR_SET_NAME", name=text(event.record, made.name) or "")
    moved = PRCTL_BOUNDARIES[made.boundary] if made.boundary < len(PRCTL_BOUNDARIES) else str(made.boundary)
    return _Prctl(option=f"PR_SET_MM_{moved}")


def _personality(event: Any) -> Any:
    value = PERSONALITY.read(event.record).value
    return _Personality(value=value, no_randomisation=bool(value & ADDR_NO_RANDOMIZE))


def _renamed(header: tuple[Any, ...], record: bytes, image: Image) -> dict[str, Any]:  # noqa: ARG001 (the form of all changes)
    made = PRCTL.read(record)
    return {} if made.option == PR_SET_MM else {"name": text(record, made.name) or ""}


LAYOUTS = (PTRACE, MEMORY_ACCESS, SIGNAL, PRCTL, PERSONALITY)

PROGRAMS = (
    BpfProgram("process_ptrace", "call", ("process.ptrace",), calls=("ptrace",)),
    BpfProgram("process_memory", "call", ("process.memory_read", "process.memory_write"), calls=("process_vm_readv", "process_vm_writev")),
    BpfProgram(
        "process_memory_file", "call", ("process.memory_read", "process.memory_write"), calls=("open", "openat", "openat2"), ends=POSITIVE | ZERO | LOOK_AT_OPEN
    ),
    BpfProgram("process_signal", "tracepoint", ("process.signal",)),
    BpfProgram("process_prctl", "call", ("process.prctl",), calls=("prctl",)),
    BpfProgram("process_personality", "call", ("process.personality",), calls=("personality",)),
    BpfProgram("process_compat_call", "call", ("process.compat_call",), calls=(EVERY_COMPAT_CALL,)),
)

EVENTS = (
    kind("process.ptrace", {"ptrace": _ptrace, "target_process": _target_of(PTRACE)}),
    kind("process.memory_read", {"memory_access": _memory_access, "target_process": _target_of(MEMORY_ACCESS)}),
    kind("process.memory_write", {"memory_access": _memory_access, "target_process": _target_of(MEMORY_ACCESS)}),
    kind("process.signal", {"signal": _signal, "target_process": _target_of(SIGNAL)}),
    kind("process.prctl", {"prctl": _prctl}),
    kind("process.personality", {"personality": _personality}),
    kind("process.compat_call", {}),
)

CHANGES = {"process.prctl": _renamed}
"""Kind → what its record changes about the image of the process."""
