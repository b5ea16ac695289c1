"""Which of the sensor's programs this kernel takes, each by name: all are loaded and attached for a moment."""

from __future__ import annotations

from typing import Literal

import msgspec

from watchkeeper_detection.vocabulary import kernel
from watchkeeper_sensor.decoding import PROGRAMS
from watchkeeper_sensor.kernel.libbpf import BpfObject
from watchkeeper_sensor.kernel.programs import DISPATCH, BlindSpot, BpfProgram, KernelSensor, object_path

AGENT_KINDS = frozenset(
    {
        "container.start",
        "container.stop",
        "bpf.discovered",
        "sensor.lost",
        "sensor.tampered",
        "sensor.started",
        "sensor.stopped",
        "sensor.enforced",
        "sensor.not_enforced",
    }
)
"""Kinds that the agent makes without a program of their own."""
OLDER = "_before"  # ends the name of a program for a tracepoint's older form
TRACEPOINT = "tp_btf/"
ABSENT = {
    "module_load": "CONFIG_MODULES is off: no module can be loaded",
    "module_free": "CONFIG_MODULES is off: no module can be unloaded",
    "io_uring_submit_req": "CONFIG_IO_URING is off: there is none",
    "io_uring_complete": "CONFIG_IO_URING is off: there is none",
}
"""Tracepoint that a kernel lacks → why nothing is missed by that."""
REMEDIES = (
    ("cgroup", "boot a kernel with CONFIG_CGROUP_BPF=y, and mount cgroup v2: mount -t cgroup2 none /sys/fs/cgroup/unified"),
    ("tp_btf/sys_exit", "boot a kernel with CONFIG_HAVE_SYSCALL_TRACEPOINTS=y and CONFIG_FTRACE=y, such as your distribution's"),
    ("tp_btf/", "boot a kernel that has this tracepoint, such as your distribution's newest; -v shows what the kernel said"),
)
"""Beginning of a hook's name → what to do where it fails."""


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """One program of the sensor on this kernel.

    state   `attached`; `falls back`: other programs tell the same; `absent`: this kernel does nothing of the kind; `blind`
    hook    where it sits: `tp_btf/sched_process_exec`; all handlers of system calls share tp_btf/sys_exit
    log     what the kernel's verifier said
    """

    name: str
    hook: str
    state: Literal["attached", "falls back", "absent", "blind"]
    kinds: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""
    log: str = ""


class Hooks(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, and kinds of events that can and can't be seen here."""

    hooks: tuple[Hook, ...]
    seen: tuple[str, ...]
    blind: tuple[str, ...]


def try_hooks() -> Hooks:
    """Raises BpfUnavailableError or BpfError where nothing can be had on this machine."""
    sensor = KernelSensor(object_path(), {kind for program in PROGRAMS for kind in program.kinds}, PROGRAMS)
    try:
        spots = {spot.program: spot for spot in sensor.blind_spots}
    finally:
        sensor.close()
    sections = _sections()
    refused = {program.name: spot for program in PROGRAMS for name in (program.name, *program.needs) if (spot := spots.get(name))}
    seen = AGENT_KINDS.union(*(program.kinds for program in PROGRAMS if program.name not in refused))
    hooks = [_hook(program, sections[program.name], refused.get(program.name), seen) for program in PROGRAMS]
    known = tuple(kind.name for kind in kernel.KINDS)
    return Hooks(
        hooks=(*hooks, *_absent(sections)),
        seen=tuple(kind for kind in known if kind in seen),
        blind=tuple(kind for kind in known if kind not in seen),
    )


def _sections() -> dict[str, str]:
    """Program → its hook, of all programs that there are."""
    opened = BpfObject(object_path())
    try:
        return {name: opened.section(name) for name in opened.programs}
    finally:
        opened.close()


def _hook(program: BpfProgram, section: str, spot: BlindSpot | None, seen: frozenset[str]) -> Hook:
    if spot is None:
        return Hook(name=program.name, hook=section, state="attached", kinds=program.kinds, calls=program.calls)
    lost = [kind for kind in program.kinds if kind not in seen]
    reason = spot.reason if lost else f"{spot.reason}; others tell the same kinds of events, but perhaps less of them"
    return Hook(
        name=program.name,
        hook=section,
        state="blind" if lost else "falls back",
        kinds=program.kinds,
        calls=program.calls,
        reason=reason,
        remedy=remedy_of(section),
        log=spot.log,
    )


def _absent(sections: dict[str, str]) -> list[Hook]:
    """Programs whose tracepoint this kernel does not have, or has in another form."""
    used = {name for program in PROGRAMS for name in (program.name, *program.needs)} | {DISPATCH}
    found = []
    for name in sections.keys() - used:
        newer = name.removesuffix(OLDER)
        if newer != name and newer in used:
            continue  # the kernel has the newer form
        tracepoint = sections[name].removeprefix(TRACEPOINT)
        if f"{name}{OLDER}" in used:
            state: Literal["falls back", "absent"] = "falls back"
            reason = f"this kernel is older than the tracepoint {tracepoint}: {name}{OLDER} tells the same"
        elif newer == name:
            state = "absent"
            reason = f"this kernel has no tracepoint {tracepoint}: {ABSENT.get(tracepoint, 'nothing of the kind happens here')}"
        else:
            continue
        found.append(Hook(name=name, hook=sections[name], state=state, reason=reason))
    return sorted(found, key=lambda hook: hook.name)


def remedy_of(section: str) -> str:
    return next((remedy for beginning, remedy in REMEDIES if section.startswith(beginning)), "")
