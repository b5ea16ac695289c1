"""Records → events, one module per family of hooks. A family module says, in one place:

LAYOUTS    what its records hold: the mirror of the family's header in sensor/bpf
PROGRAMS   its programs in the kernel: hook, event kinds, system calls
EVENTS     classes of its events, made by `kernel_event.kind`
CHANGES    what records change about the image of their process, where they do
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_sensor.decoding import (
    acts,
    container,
    credentials,
    descriptor,
    dns,
    enforcement,
    file,
    io_uring,
    isolation,
    memory,
    mount,
    network,
    process,
    system,
    tamper,
)
from watchkeeper_sensor.kernel import records, tracepoints
from watchkeeper_sensor.kernel.records import NUMBERS

if TYPE_CHECKING:
    from watchkeeper_sensor.decoding.kernel_event import Change, KernelEvent
    from watchkeeper_sensor.kernel.programs import BpfProgram
    from watchkeeper_sensor.kernel.records import Layout

FAMILIES = (process, acts, credentials, isolation, mount, container, enforcement, memory, descriptor, file, system, tamper, io_uring, network, dns)

EVENTS: dict[int, type[KernelEvent]] = {NUMBERS[event.kind]: event for family in FAMILIES for event in family.EVENTS}
"""Number of a record's kind → class of its event."""

PROGRAMS: tuple[BpfProgram, ...] = tuple(program for family in FAMILIES for program in family.PROGRAMS)

CHANGES: dict[int, Change] = {NUMBERS[kind]: change for family in (acts, credentials, isolation) for kind, change in family.CHANGES.items()}
"""Number of a record's kind → what it changes about the process's image."""

LAYOUTS: tuple[Layout, ...] = (*records.LAYOUTS, *(layout for family in FAMILIES for layout in family.LAYOUTS))

tracepoints.forget()  # all programs are chosen
