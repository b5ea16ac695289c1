"""The kernel's own interfaces: modules, kexec, BPF, perf, keys, page faults, the clock, terminals."""

from __future__ import annotations

from typing import Any

from watchkeeper_detection.logs.provider import time_text
from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor import interface_words as words
from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.decoding.parts import OTHER_PROCESS, file_part, target_part
from watchkeeper_sensor.interface_words import bit_words, word
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import Layout, text
from watchkeeper_sensor.kernel.tracepoints import has_tracepoint

NOTHING = 2**32 - 1  # BPF_NOTHING
UFFD_USER_MODE_ONLY = 1
TIME_KNOWN, STEP_KNOWN = 1, 2  # enum clock_flag
REALTIME = 0
PERF_SOURCES = {"kprobe": "kprobe", "uprobe": "uprobe", "cpu_clock": "software", "task_clock": "software"}
"""Units whose number is given out at boot, so that their name tells the type."""

_WITH_FILE = ("file", records.FILE_IDENTITY)
MODULE = Layout(
    "module_record",
    ("record", records.RECORD),
    "taints Q, from_memory I, flags I",
    _WITH_FILE,
    "path text, name text, parameters text, name_by_user I",
)
KEXEC = Layout("kexec_record", ("record", records.RECORD), "flags Q, by_file I, padding I", _WITH_FILE, "path text, command_line text")
BPF = Layout(
    "bpf_record",
    ("record", records.RECORD),
    "command I, program_type I, program_id I, attach_type I, map_type I, map_id I, link_id I, overrides I, of_sensor I, tag 8s",
    "program_name text, map_name text, target text, pinned_path text, padding I",
)
PERF = Layout("perf_record", ("record", records.RECORD), ("target", OTHER_PROCESS), "type I, cpu i, whole_cpu I, excludes_kernel I, source text, padding I")
KEYRING = Layout("keyring_record", ("record", records.RECORD), "operation I, key i, type text, description text")
USERFAULTFD = Layout("userfaultfd_record", ("record", records.RECORD), "flags I, by_device I")
CLOCK = Layout("clock_record", ("record", records.RECORD), "seconds q, nanoseconds q, clock I, flags I")
TTY = Layout("tty_record", ("record", records.RECORD), "own I, device text")

_Module: Any = record_type("module")
_Kexec: Any = record_type("kexec")
_Bpf: Any = record_type("bpf")
_Perf: Any = record_type("perf")
_Keyring: Any = record_type("keyring")
_Userfaultfd: Any = record_type("userfaultfd")
_Clock: Any = record_type("clock")
_Tty: Any = record_type("tty")


def _file_of(layout: Layout) -> Any:
    def file(event: Any) -> Any:
        made = layout.read(event.record)
        return file_part(records.FILE_IDENTITY.pick(made, "file"), text(event.record, made.path))

    return file


def _module(event: Any) -> Any:
    made = MODULE.read(event.record)
    unloads = event.header[0] == records.NUMBERS["module.unload"]
    return _Module(
        name=text(event.record, made.name),
        from_memory=None if unloads else bool(made.from_memory),
        parameters=text(event.record, made.parameters),
        taints=[name for bit, name in words.TAINTS.items() if made.taints >> bit & 1],
        ignores_version=None if unloads else bool(made.flags & words.MODULE_IGNORES_VERSION),
    )


def _kexec(event: Any) -> Any:
    made = KEXEC.read(event.record)
    names = words.KEXEC_FILE_FLAGS if made.by_file else words.KEXEC_FLAGS
    return _Kexec(flags=bit_words(names, made.flags & 0xFFFF), command_line=text(event.record, made.command_line))


def _bpf(event: Any) -> Any:
    made = BPF.read(event.record)
    has_program, has_map = made.program_type != NOTHING, made.map_type != NOTHING
    return _Bpf(
        command=words.OTHER_COMMANDS.get(made.command) or word(words.BPF_COMMANDS, made.command),
        program_type=word(words.PROGRAM_TYPES, made.program_type) if has_program else None,
        program_name=text(event.record, made.program_name),
        program_id=made.program_id or None,
        program_tag=made.tag.hex() if made.program_id else None,
        attach_type=word(words.ATTACH_TYPES, made.attach_type) if made.attach_type != NOTHING else None,
        attach_target=text(event.record, made.target),
        map_type=word(words.MAP_TYPES, made.map_type) if has_map else None,
        map_name=text(event.record, made.map_name),
        pinned_path=text(event.record, made.pinned_path),
        helpers=["override_return"] if made.overrides else None,
        of_sensor=bool(made.of_sensor),
    )


def _perf(event: Any) -> Any:
    made = PERF.read(event.record)
    source = text(event.record, made.source)
    type_ = PERF_SOURCES.get(source or "") or (words.PERF_TYPES[made.type] if made.type < len(words.PERF_TYPES) else source or str(made.type))
    return _Perf(type=type_, whole_cpu=bool(made.whole_cpu), includes_kernel=not made.excludes_kernel)


def _perf_target(event: Any) -> Any:
    return target_part(event, OTHER_PROCESS.pick(PERF.read(event.record), "target"))


def _keyring(event: Any) -> Any:
    made = KEYRING.read(event.record)
    return _Keyring(
        operation=words.OTHER_KEY_CALLS.get(made.operation) or word(words.KEYCTL, made.operation),
        key_type=text(event.record, made.type),
        description=text(event.record, made.description),
        key_id=made.key or None,
    )


def _userfaultfd(event: Any) -> Any:
    return _Userfaultfd(user_mode_only=bool(USERFAULTFD.read(event.record).flags & UFFD_USER_MODE_ONLY))


def _clock(event: Any) -> Any:
    """How far the clock moved: against where it stood when it was set before, or when the agent looked last, at most half a second ago."""
    made = CLOCK.read(event.record)
    moment = made.seconds * 1_000_000_000 + made.nanoseconds
    before = event.header[4] + event.around.clock.before(event.header[4])
    step = moment if made.flags & STEP_KNOWN else moment - before if made.flags & TIME_KNOWN else None
    return _Clock(
        id=word(words.CLOCKS, made.clock),
        step=f"{step / 1e9:.9f}s" if step is not None else None,
        new_time=time_text(moment if made.flags & TIME_KNOWN else before + moment) if made.flags else None,
    )


def follow(event: Any) -> None:
    """Take up that the clock was set, as the event tells: what comes after is told by the new time."""
    made = CLOCK.read(event.record)
    _ = event.observed_at, event.clock  # made by the old time
    if event.header[10] >= 0 and made.clock == REALTIME and made.flags & TIME_KNOWN:
        event.around.clock.was_set(event.header[4], made.seconds * 1_000_000_000 + made.nanoseconds)
    event.around.clock.tick()


def _tty(event: Any) -> Any:
    made = TTY.read(event.record)
    return _Tty(device=text(event.record, made.device), is_own=bool(made.own), bytes=1 if event.header[10] == 0 else 0)


LAYOUTS = (MODULE, KEXEC, BPF, PERF, KEYRING, USERFAULTFD, CLOCK, TTY)

_MODULE_TRACEPOINTS = (
    BpfProgram("module_loaded", "tracepoint", ("module.load",)),
    BpfProgram("module_freed", "tracepoint", ("module.unload",)),
)

PROGRAMS = (
    BpfProgram("module_load", "call", ("module.load",), calls=("init_module", "finit_module")),
    BpfProgram("module_unload", "call", ("module.unload",), calls=("delete_module",)),
    *(_MODULE_TRACEPOINTS if has_tracepoint("module_load") else ()),
    BpfProgram("kexec_load", "call", ("kexec.load",), calls=("kexec_load", "kexec_file_load")),
    BpfProgram("bpf_load", "call", ("bpf.load",), calls=("bpf",)),
    BpfProgram("bpf_attach", "call", ("bpf.attach",), calls=("bpf",)),
    BpfProgram("bpf_attach_otherwise", "call", ("bpf.attach",), calls=("ioctl", "setsockopt")),
    BpfProgram("perf_open", "call", ("perf.open",), calls=("perf_event_open",)),
    BpfProgram("keyring_call", "call", ("keyring.call",), calls=("add_key", "request_key", "keyctl")),
    BpfProgram("userfaultfd_create", "call", ("userfaultfd.create",), calls=("userfaultfd",)),
    BpfProgram("clock_set", "call", ("clock.set",), calls=("clock_settime", "settimeofday", "adjtimex", "clock_adjtime")),
    BpfProgram("system_ioctl", "call", ("tty.inject", "userfaultfd.create"), calls=("ioctl",)),
)

EVENTS = (
    kind("module.load", {"module": _module, "file": _file_of(MODULE)}),
    kind("module.unload", {"module": _module}),
    kind("kexec.load", {"kexec": _kexec, "file": _file_of(KEXEC)}),
    kind("bpf.load", {"bpf": _bpf}),
    kind("bpf.attach", {"bpf": _bpf}),
    kind("perf.open", {"perf": _perf, "target_process": _perf_target}),
    kind("keyring.call", {"keyring": _keyring}),
    kind("userfaultfd.create", {"userfaultfd": _userfaultfd}),
    kind("clock.set", {"clock": _clock}),
    kind("tty.inject", {"tty": _tty}),
)
