"""What of this machine bears on the sensor: kernel, rights, cgroups, container runtimes, clock. One check a function, none changes anything."""

from __future__ import annotations

import ctypes
import gzip
import os
import platform
import re
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from watchkeeper_cli.finding import Finding
from watchkeeper_cli.output.text import plural
from watchkeeper_sensor.containers.cgroups import UNIFIED, hierarchies
from watchkeeper_sensor.containers.runtimes import BUNDLES, DOCKER, STORAGES
from watchkeeper_sensor.events import EventStream
from watchkeeper_sensor.kernel.libbpf import BpfUnavailableError, library
from watchkeeper_sensor.kernel.privileges import KEPT
from watchkeeper_sensor.kernel.programs import BTF, object_path, unified_cgroup
from watchkeeper_sensor.surroundings import FIRST_PID_NAMESPACE, Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable

OLDEST = (5, 10)
FREE_MEMORY_ACCOUNTING = (5, 11)  # since then memory of programs and maps counts to the cgroup, not to a limit of locked memory
SECURITY = Path("/sys/kernel/security")
JIT = Path("/proc/sys/net/core/bpf_jit_enable")
OPTIONS = {
    "CONFIG_BPF_SYSCALL": "programs in the kernel",
    "CONFIG_DEBUG_INFO_BTF": "the kernel's type information",
    "CONFIG_CGROUP_BPF": "connections and datagrams by cgroup, names asked of DNS",
    "CONFIG_CGROUPS": "containers",
}
"""Option of the kernel → what is seen by it."""
LOADING = ({"CAP_SYS_ADMIN"}, {"CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"})
"""Any of these sets of capabilities is enough to load programs."""
HELPFUL = {
    "CAP_SYS_PTRACE": "what runs already is not looked into",
    "CAP_DAC_READ_SEARCH": "files of container runtimes and of other users are not read",
    "CAP_SYS_RESOURCE": "limits can't be raised",
}
"""Capability → what is lacking without it."""
RUNTIMES = {"containerd": BUNDLES, "Podman or CRI-O": STORAGES, "Docker": (DOCKER,)}
TIME_ERROR = 5  # what adjtimex returns for a clock that nothing keeps right. Source: linux/timex.h
TIMEX_BYTES = 512  # more than struct timex
NAMED = 3


def findings() -> list[Finding]:
    """All checks, in the order in which they are shown."""
    return [check() for check in CHECKS]


def kernel() -> Finding:
    says = f"{platform.release()} ({platform.machine()}), {plural(os.cpu_count() or 1, 'processor')}"
    if version() < OLDEST:
        return Finding(about="kernel", state="note", says=says, remedy="the sensor is tested on 5.10 and later: update the kernel where hooks fail below")
    return Finding(about="kernel", state="ok", says=says)


def version() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])


def rights() -> Finding:
    if os.geteuid() != 0:
        return Finding(about="rights", state="missing", says="not root: no program can be loaded", remedy="run it by sudo")
    held = {name for name, number in KEPT.items() if capabilities() >> number & 1}
    remedy = f"docker run --privileged, or in a unit: CapabilityBoundingSet={' '.join(KEPT)}"
    if not any(held.issuperset(some) for some in LOADING):
        lacking = ", ".join(sorted(KEPT.keys() - held))
        return Finding(about="rights", state="missing", says=f"root without {lacking}: programs can't be loaded", remedy=remedy)
    less = [f"{name} ({what})" for name, what in HELPFUL.items() if name not in held]
    if less:
        return Finding(about="rights", state="note", says=f"root without {', '.join(less)}", remedy=remedy)
    return Finding(about="rights", state="ok", says="root with every capability that the sensor uses")


def capabilities() -> int:
    """Effective ones of this process, a bit each."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1], 16) if found else 0


def type_information() -> Finding:
    if BTF.exists():
        return Finding(about="types", state="ok", says="the kernel has type information (BTF)")
    remedy = "boot a kernel with CONFIG_DEBUG_INFO_BTF=y, such as every distribution's since 2021"
    return Finding(about="types", state="missing", says=f"no type information: {BTF} is not there", remedy=remedy)


def options() -> Finding:
    text = configuration()
    if text is None:
        return Finding(about="options", state="ok", says="the kernel's configuration is not on this host; the hooks below tell what it can do")
    off = [option for option in OPTIONS if f"\n{option}=y" not in f"\n{text}"]
    if off:
        says = "; ".join(f"{option} is off: {OPTIONS[option]}" for option in off)
        return Finding(about="options", state="blind", says=says, remedy=f"boot a kernel with {'=y, '.join(off)}=y")
    return Finding(about="options", state="ok", says="every option that the sensor needs is on")


def configuration() -> str | None:
    """Text of the kernel's configuration, where the host has it."""
    try:
        return gzip.decompress(Path("/proc/config.gz").read_bytes()).decode()
    except OSError:
        beside = Path(f"/boot/config-{platform.release()}")
        return read(beside)


def programs() -> Finding:
    try:
        loaded = library()
    except BpfUnavailableError as error:
        return Finding(about="libbpf", state="missing", says=str(error), remedy="apt install libbpf1, or dnf install libbpf")
    says = f"libbpf {loaded.libbpf_major_version()}.{loaded.libbpf_minor_version()}"
    if not object_path().exists():
        return Finding(about="libbpf", state="missing", says=f"{says}, but no programs: {object_path()}", remedy="make bpf")
    return Finding(about="libbpf", state="ok", says=f"{says}; the sensor's programs are built")


def compiler() -> Finding:
    if read(JIT) == "0":
        says = "the kernel interprets programs: everything costs several times as much"
        return Finding(about="compiler", state="note", says=says, remedy="sysctl net.core.bpf_jit_enable=1")
    return Finding(about="compiler", state="ok", says="the kernel compiles programs")


def lockdown() -> Finding:
    text = read(SECURITY / "lockdown")
    if text is None:
        return Finding(about="lockdown", state="ok", says=f"not in force, or not to be read from {SECURITY}; the hooks below tell")
    if "[confidentiality]" in text:
        remedy = "boot with lockdown=integrity"
        return Finding(about="lockdown", state="missing", says="confidentiality: programs may not read the kernel's memory", remedy=remedy)
    return Finding(about="lockdown", state="ok", says=re.sub(r".*\[(\w+)\].*", r"\1", text))


def security_modules() -> Finding:
    text = read(SECURITY / "lsm")
    active = "not known" if text is None else text
    return Finding(about="security", state="ok", says=f"active modules: {active}; the sensor needs no hook of theirs")


def tracefs() -> Finding:
    is_mounted = any(line.split()[2] == "tracefs" for line in Path("/proc/mounts").read_text(errors="replace").splitlines())
    says = f"{'mounted' if is_mounted else 'not mounted'}; not needed: tracepoints are found by the kernel's types"
    return Finding(about="tracefs", state="ok", says=says)


def locked_memory() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if version() >= FREE_MEMORY_ACCOUNTING or soft == resource.RLIM_INFINITY:
        return Finding(about="memory", state="ok", says="no limit of locked memory counts")
    says = f"{soft // 1024} KiB may be locked, which this kernel counts programs and maps to"
    return Finding(about="memory", state="note", says=says, remedy="ulimit -l unlimited, or in a unit: LimitMEMLOCK=infinity")


def cgroups() -> Finding:
    found = hierarchies()
    old = sorted(name for name in found if name != UNIFIED)
    try:
        unified = unified_cgroup()
    except BpfUnavailableError as error:
        says = f"version 1 alone ({', '.join(old) or 'none'}): {str(error).partition(':')[0]}"
        return Finding(about="cgroups", state="blind", says=says, remedy="mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified")
    layout = f"version 2 at {unified}" + (f", and version 1 for {', '.join(old)}" if old else " alone")
    return Finding(about="cgroups", state="ok", says=layout)


def namespace() -> Finding:
    try:
        inode = Path("/proc/self/ns/pid").stat().st_ino
    except OSError as error:
        return Finding(about="processes", state="blind", says=f"/proc can't be read: {error.strerror}", remedy="mount -t proc none /proc")
    if inode != FIRST_PID_NAMESPACE:
        says = "this is a container's own view: processes of the host have other numbers"
        return Finding(about="processes", state="blind", says=says, remedy="docker run --pid=host, or hostPID: true in a pod")
    return Finding(about="processes", state="ok", says="all of the host")


def containers() -> Finding:
    runtimes = [name for name, places in RUNTIMES.items() if any(Path("/", place).exists() for place in places)]
    around = Surroundings()
    stream = EventStream(around)
    stream.tree.seed()
    ids = {found for found in map(around.containers.id_of, stream.tree.cgroups()) if found}
    unnamed = sorted(one[:12] for one in ids if around.containers.of(one).container.resolved is False)  # type: ignore[attr-defined]
    says = f"{plural(len(ids), 'container')} now; runtimes with files on this host: {', '.join(runtimes) or 'none'}"
    if unnamed:
        says += f"; no file describes {', '.join(unnamed[:NAMED])}{f' and {len(unnamed) - NAMED} more' if len(unnamed) > NAMED else ''}"
        remedy = "their name, image and pod stay unknown; mount the runtime's folders where watchkeeper runs in a container itself"
        return Finding(about="containers", state="blind", says=says, remedy=remedy)
    return Finding(about="containers", state="ok", says=says)


def clock() -> Finding:
    room = ctypes.create_string_buffer(TIMEX_BYTES)
    if ctypes.CDLL(None, use_errno=True).adjtimex(room) == TIME_ERROR:
        says = "nothing keeps the clock right: times of detections may not fit those of other hosts"
        return Finding(about="clock", state="note", says=says, remedy="run chrony or systemd-timesyncd")
    return Finding(about="clock", state="ok", says="kept right")


def read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


CHECKS: tuple[Callable[[], Finding], ...] = (
    kernel,
    rights,
    type_information,
    options,
    programs,
    compiler,
    lockdown,
    security_modules,
    tracefs,
    locked_memory,
    cgroups,
    namespace,
    containers,
    clock,
)
