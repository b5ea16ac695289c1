"""Which programs there are, what each one tells, and loading them: each is tried, and what a kernel refuses is a blind spot by name."""

from __future__ import annotations

import os
import struct
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from watchkeeper_sensor.kernel.counts import counts_in, losses_in, skipped_of
from watchkeeper_sensor.kernel.ends import ANY_END, asked_ends
from watchkeeper_sensor.kernel.filters import SETTINGS, WANTED_BY_PORT, flags_of
from watchkeeper_sensor.kernel.libbpf import BpfError, BpfObject, BpfUnavailableError, give_back_memory, library, possible_processors
from watchkeeper_sensor.kernel.records import KINDS
from watchkeeper_sensor.kernel.ring import Ring, Rings
from watchkeeper_sensor.kernel.syscalls import COMPAT_NUMBERS, SYSCALL_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from watchkeeper_sensor.kernel.filters import Filters

BTF = Path("/sys/kernel/btf/vmlinux")
OBJECT = "sensor.bpf.o"
DISPATCH = "dispatch"
SYSCALLS = 512  # handlers of a call stand that far apart
EVERY_COMPAT_CALL = "*32-bit*"
"""In place of a call: the handler runs before those of any call that is made the 32-bit way."""
PLACES = {**SYSCALL_NUMBERS, EVERY_COMPAT_CALL: SYSCALLS - 1}
UNIFIED = ("sys/fs/cgroup/unified", "sys/fs/cgroup")
Hook = Literal["tracepoint", "call", "cgroup", "other"]

_u32 = struct.Struct("<I")
_s32 = struct.Struct("<i")


@dataclass(frozen=True, slots=True)
class BpfProgram:
    """One program of the object.

    hook      `tracepoint` attaches by itself; `call` is a handler that dispatch calls for `calls`; `cgroup` attaches to the root of the v2 hierarchy
    kinds     event kinds that it tells; attached only when one is wanted
    needs     programs without which it tells nothing
    ends      of a `call`: how it must have ended for the handler to have anything to tell, and looks of the dispatcher that may turn it down
    """

    name: str
    hook: Hook
    kinds: tuple[str, ...]
    calls: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    ends: int = ANY_END


ALWAYS = ("process.exec", "process.fork", "process.exit", "container.start", "container.stop")
"""Kinds that the process tree and the containers are made of: told whatever the policies ask for."""


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """What this kernel does not let us see, and why."""

    kinds: tuple[str, ...]
    program: str
    reason: str
    log: str = ""


class KernelSensor:
    """The programs, loaded and attached for the kinds that are wanted. Closing it detaches everything."""

    def __init__(self, object_path: Path, kinds: Collection[str], programs: Iterable[BpfProgram], *, root: Path = Path("/"), pid_namespace: int = 0) -> None:
        """`root`: where the host's files are. `pid_namespace`: inode; processes outside of it are not told, others by their numbers there; 0: all are.

        Raises BpfUnavailableError where nothing can be had on this machine.
        """
        require_machine(object_path)
        self.kinds: frozenset[str] = frozenset()
        self.blind_spots: list[BlindSpot] = []
        self._path, self.host_root, self._pid_namespace = object_path, root, pid_namespace
        self._programs = tuple(programs)
        self._refused: set[str] = set()  # programs that this kernel does not load or attach
        self._handled: set[int] = set()  # places of handlers that are in force
        self._rate = (0, 0)  # records a second, at once; 0: the programs' own
        self._ends: dict[int, int] = {}  # number of a call → ends that they ask for
        self._objects = self._load(self._needed(kinds))
        self.object = self._objects[0]
        give_back_memory()
        self._fill_compat()
        self._begin_numbers()
        self.rings = Rings([Ring(self.object.map(name), self.object.entries(name)) for name in ("lifecycle", "activity")])
        self.hook(kinds)

    def _needed(self, kinds: Collection[str]) -> list[BpfProgram]:
        """Programs that tell any of these kinds, but for those that this kernel refuses."""
        wanted = {*kinds, *ALWAYS}
        return [program for program in self._programs if program.name not in self._refused and wanted.intersection(program.kinds)]

    def _load(self, programs: Sequence[BpfProgram], maps: BpfObject | None = None) -> list[BpfObject]:
        """What the kernel takes of the programs; those that it refuses are blind spots, and handlers are without dispatch."""
        handlers = [program for program in programs if program.hook == "call"]
        if handlers and not (maps and self._is_loaded(DISPATCH)):
            kinds = tuple(dict.fromkeys(kind for program in handlers for kind in program.kinds))
            programs = [BpfProgram(DISPATCH, "call", kinds), *programs]
        made = self._load_halves(programs, maps)
        if DISPATCH in self._refused:
            self._refused.update(program.name for program in handlers)
        if not made and maps is None:
            reason = self.blind_spots[0].reason if self.blind_spots else "none chosen"
            raise BpfUnavailableError(f"the kernel refuses every program; the first: {reason}")
        return made

    def _load_halves(self, programs: Sequence[BpfProgram], maps: BpfObject | None) -> list[BpfObject]:
        """All at once; where the kernel refuses that, half of them and the other half, until the ones that it refuses stand alone."""
        try:
            return [self._load_all(programs, maps)]
        except BpfError as error:
            if len(programs) == 1:
                self._refused.add(programs[0].name)
                self.blind_spots.append(BlindSpot(programs[0].kinds, programs[0].name, f"the kernel refuses the program: {error}", error.log))
                return []
        middle = len(programs) // 2
        first = self._load_halves(programs[:middle], maps)
        return first + self._load_halves(programs[middle:], maps or next(iter(first), None))

    def _load_all(self, programs: Sequence[BpfProgram], maps: BpfObject | None) -> BpfObject:
        made = BpfObject(self._path)
        made.choose({program.name for program in programs} | {need for program in programs for need in program.needs})
        try:
            if maps is not None:
                made.share(maps)
            if self._pid_namespace:
                made.set_constant("node_pid_namespace", _u32.pack(self._pid_namespace))
            made.load()
        except BpfError:
            made.close()
            raise
        return made

    def _holding(self, program: str) -> BpfObject:
        return next(one for one in self._objects if one.holds(program))

    def _is_loaded(self, program: str) -> bool:
        return any(one.holds(program) for one in self._objects)

    def _begin_numbers(self) -> None:
        """Records are numbered from the microseconds since boot on, so that no later start of the sensor gives a number again."""
        start = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
        self.object.map("sequence").put(_u32.pack(0), struct.pack("<Q", start) * possible_processors())

    def _fill_compat(self) -> None:
        compat = self.object.map("compat_numbers")
        for number in range(self.object.entries("compat_numbers")):
            compat.put(_u32.pack(number), _s32.pack(COMPAT_NUMBERS.get(number, -1)))

    def hook(self, kinds: Collection[str], filters: Filters | None = None) -> None:
        """Attach what tells these kinds and detach what tells no others; what stays attached misses nothing meanwhile."""
        missing = [program for program in self._needed(kinds) if not self._is_loaded(program.name)]
        if missing:
            self._objects += self._load(missing, self.object)
            give_back_memory()
        for program in self._needed(kinds):
            for part in self._parts(program):
                if part.hook != "call" and not self._holding(part.name).is_attached(part.name):
                    self._attach(program, part)
        needed = self._needed(kinds)
        self._handle([program for program in needed if program.hook == "call"])
        self._want({*kinds, *ALWAYS}, filters)
        names = {name for program in needed for name in (program.name, *program.needs)}
        for program in self._programs:
            for name in (program.name, *program.needs):
                if name not in names and self._is_loaded(name):
                    self._holding(name).detach(name)
        self.kinds = frozenset({*kinds, *ALWAYS})

    def attach_again(self, name: str) -> bool:
        """Somebody detached a program; whether it is in force again."""
        program = next((one for one in self._programs if one.name == name), None)
        if program is None:
            return False
        self._holding(name).detach(name)
        self._attach(program, program)
        return self._holding(name).is_attached(name)

    def _parts(self, program: BpfProgram) -> list[BpfProgram]:
        """The program, and those without which it tells nothing."""
        return [one for one in self._programs if one.name == program.name or one.name in program.needs]

    def _attach(self, program: BpfProgram, part: BpfProgram) -> None:
        """Attach a part of a program, without which that one is blind."""
        cgroup, name = -1, part.name
        try:
            if part.hook == "cgroup":
                cgroup = os.open(unified_cgroup(self.host_root), os.O_RDONLY | os.O_DIRECTORY)
                self._holding(name).attach(name, cgroup_fd=cgroup)
            else:
                self._holding(name).attach(name)
        except (BpfError, BpfUnavailableError) as error:
            self._refused.add(program.name)
            self.blind_spots.append(BlindSpot(program.kinds, name, str(error)))
        finally:
            if cgroup >= 0:
                os.close(cgroup)

    def _handle(self, programs: list[BpfProgram]) -> None:
        """Put the handlers under the numbers of their calls, several of one call one after the other."""
        handlers = self.object.map("handlers")
        table: dict[int, int] = {}
        places: Counter[str] = Counter()
        for program in programs:
            for call in program.calls:
                if call in PLACES:
                    table[PLACES[call] + places[call] * SYSCALLS] = self._holding(program.name).program_fd(program.name)
                    places[call] += 1
        for place, fd in table.items():
            handlers.put(_u32.pack(place), _u32.pack(fd))
        self._tell_ends(asked_ends((PLACES[call], program.ends) for program in programs for call in program.calls if call in PLACES))
        for place in self._handled - table.keys():
            handlers.remove(_u32.pack(place))
        self._handled = set(table)
        dispatching = next((one for one in self._objects if one.is_attached(DISPATCH)), None)
        if programs and dispatching is None:
            self._holding(DISPATCH).attach(DISPATCH)
        elif not programs and dispatching is not None:
            dispatching.detach(DISPATCH)

    def _tell_ends(self, asked: dict[int, int]) -> None:
        told = self.object.map("told_ends")
        for number in {*asked, *self._ends}:
            told.put(_u32.pack(number), _u32.pack(asked.get(number, 0)))
        self._ends = asked

    def _want(self, kinds: Collection[str], filters: Filters | None) -> None:
        wanted = self.object.map("wanted")
        for number, kind in KINDS.items():
            wanted.put(_u32.pack(number), _u32.pack(flags_of(kind, filters) if kind in kinds else 0))

    def set_filters(self, filters: Filters) -> None:
        """Take up what the policies ask for now; there is no moment without a filter, nor one in which what both policies ask for is not told."""
        self._want_any_port()
        filters.install(self.object, self._rate)
        self.hook(filters.kinds, filters)

    def _want_any_port(self) -> None:
        """Until the new ports are in force, and what else that takes: the new table does not hold kinds that are asked for at any port."""
        wanted = self.object.map("wanted")
        for number in KINDS:
            flags = _u32.unpack(wanted.get(_u32.pack(number)) or _u32.pack(0))[0]
            if flags & WANTED_BY_PORT:
                wanted.put(_u32.pack(number), _u32.pack(flags & ~WANTED_BY_PORT))

    def set_rate(self, records_per_second: int, burst: int = 0) -> None:
        """How many records of one kind and cgroup are told whatever others do; 0: as many as the programs were built for."""
        self._rate = (records_per_second, burst or 2 * records_per_second)
        settings = self.object.map("settings")
        generation, asks_where, _, _ = SETTINGS.unpack(settings.get(_u32.pack(0)) or bytes(SETTINGS.size))
        settings.put(_u32.pack(0), SETTINGS.pack(generation, asks_where, *self._rate))

    def keep_quiet(self, process_id: int) -> None:
        """Acts of this process (the sensor's own) are not told."""
        self.object.map("quiet_processes").put(_u32.pack(process_id), _u32.pack(1))

    def losses(self) -> Mapping[tuple[str, str, int], int]:
        """(kind, cause, cgroup) → records that were not told, since the start."""
        return losses_in(self.object.map("losses"))

    def skipped(self) -> dict[str, int]:
        """Program → times that the kernel did not run it, since it was loaded: it was running for a preempted task (see processor.bpf.h)."""
        return skipped_of(self._objects)

    def sent(self) -> dict[str, int]:
        """Kind → records that went into a ring, since the start."""
        return counts_in(self.object.map("sent"))

    def repeated(self) -> dict[str, int]:
        """Kind → acts that were counted as repeats of one that was told, since the start."""
        return counts_in(self.object.map("repeated"))

    def close(self) -> None:
        self.rings.close()
        for one in reversed(self._objects):
            one.close()

    @property
    def attached(self) -> int:
        """Programs in force: attached ones, and handlers of system calls."""
        return sum(one.attached for one in self._objects) + len(self._handled)

    @property
    def objects(self) -> tuple[BpfObject, ...]:
        """What is loaded: the first one has the maps, which the others share."""
        return tuple(self._objects)

    def is_attached(self, program: str) -> bool:
        """Whether a tracepoint's or cgroup's program is in force."""
        return any(one.is_attached(program) for one in self._objects)


def object_path() -> Path:
    """The programs: inside the package when installed from a wheel, else where `make bpf` puts them."""
    packaged = Path(__file__).parents[1] / OBJECT
    return packaged if packaged.exists() else Path(__file__).parents[3] / "build" / "bpf" / OBJECT


def require_machine(object_path: Path) -> None:
    """Raises BpfUnavailableError with what is missing and how to get it."""
    if os.geteuid() != 0:
        raise BpfUnavailableError("loading programs into the kernel needs root: run it as root, or by sudo")
    if not BTF.exists():
        raise BpfUnavailableError(
            f"this kernel has no type information ({BTF}): a kernel with CONFIG_DEBUG_INFO_BTF is needed, such as every distribution's since 2021"
        )
    if not object_path.exists():
        raise BpfUnavailableError(f"the sensor's programs are not built ({object_path}): run make bpf")
    library()


def unified_cgroup(root: Path = Path("/")) -> str:
    """Root of the v2 cgroup hierarchy. Raises BpfUnavailableError where none is mounted."""
    for path in UNIFIED:
        if _is_cgroup2(f"{root}/{path}"):
            return f"{root}/{path}"
    raise BpfUnavailableError("no cgroup v2 hierarchy is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified")


def _is_cgroup2(path: str) -> bool:
    try:
        return Path(path, "cgroup.controllers").exists()
    except OSError:
        return False
