"""Acts against the sensor itself, as the kernel saw them."""

from __future__ import annotations

from typing import Any

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.ends import LOOK_AT_MEMORY, POSITIVE
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import Layout, text
from watchkeeper_sensor.kernel.tracepoints import has_tracepoint

ACTS = ("", "signal", "detach", "map_update", "ptrace", "freeze")  # enum tamper_act
ENDING = (1, 2, 15)  # HUP, INT, TERM: the sensor is asked to end, or to read its policies again, and does so in order
TAMPERED = ("sensor.tampered",)

TAMPER = Layout("tamper_record", ("record", records.RECORD), "act I, number I, program I, object text")

_Sensor: Any = record_type("sensor")


def _sensor(event: Any) -> Any:
    made = TAMPER.read(event.record)
    act = ACTS[made.act]
    return _Sensor(act="end" if act == "signal" and made.number in ENDING else act, hook=text(event.record, made.object))


LAYOUTS = (TAMPER,)

PROGRAMS = (
    BpfProgram("tamper_signal", "tracepoint", TAMPERED),
    *((BpfProgram("tamper_freeze", "tracepoint", TAMPERED),) if has_tracepoint("cgroup_freeze") else ()),
    BpfProgram("tamper_ptrace", "call", TAMPERED, calls=("ptrace",)),
    BpfProgram("tamper_bpf", "call", TAMPERED, calls=("bpf",)),
    BpfProgram("tamper_mmap", "call", TAMPERED, calls=("mmap",), ends=POSITIVE | LOOK_AT_MEMORY),
)

EVENTS = (kind("sensor.tampered", {"sensor": _sensor}),)
