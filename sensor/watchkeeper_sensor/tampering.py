"""Whether the sensor's programs are still in force: what belongs to it is made known to the kernel's side, and looked after from here.

The kernel's side (sensor/bpf/tamper.bpf.c) tells who acted; this one finds what it missed, by comparing what is with what ought to be.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from watchkeeper_sensor.kernel.libbpf import BpfError, BpfUnavailableError, describe
from watchkeeper_sensor.kernel.programs import unified_cgroup

if TYPE_CHECKING:
    from watchkeeper_sensor.kernel.programs import KernelSensor

PROGRAM, MAP, CGROUP = 1, 2, 3  # enum sensor_object_kind
LINK_BYTES = 24
LINK_CGROUP = 3  # enum bpf_link_type
WATCHED_MAPS = ("wanted", "handlers", "quiet_processes", "compat_numbers")
"""Maps that only the agent writes: somebody else who does blinds the sensor."""

_two_words = struct.Struct("<II")
_link = struct.Struct("<III4xQ")  # type, id, program's id, cgroup's id
_object = struct.Struct("<QQ")
_yes = struct.pack("<I", 1)


class Tampering(NamedTuple):
    """Fields of a `sensor.tampered` event."""

    act: str
    hook: str


class Belongings:
    """What of the kernel is the sensor's. Call `claim` after every change of the hooks; `missing` now and then."""

    def __init__(self, kernel: KernelSensor) -> None:
        self._kernel = kernel
        self._links: dict[str, tuple[int, ...]] = {}
        self._maps: dict[str, dict[bytes, bytes | None]] = {}
        self._gone: set[Tampering] = set()
        self.program_ids: frozenset[int] = frozenset()

    def claim(self) -> None:
        """Make known to the kernel's side which programs, maps and cgroups are the sensor's, and note how things are now."""
        names = self._kernel.object.map("sensor_objects")
        wanted = {(PROGRAM, number) for one in self._kernel.objects for number in (_id(fd) for fd in one.program_fds().values())}
        wanted |= {(MAP, _id(fd)) for fd in self._kernel.object.map_fds().values() if fd >= 0}
        wanted |= {(CGROUP, number) for number in own_cgroups(self._kernel.host_root)}
        for kind, number in wanted:
            names.put(_object.pack(number, kind), _yes)
        self.program_ids = frozenset(number for kind, number in wanted if kind == PROGRAM)
        self._links = {name: _in_force(fd) for one in self._kernel.objects for name, fd in one.link_fds().items()}
        self._maps = self._contents()
        self._gone.clear()

    def missing(self) -> list[Tampering]:
        """What is no longer as it was when it was claimed; each thing is told once."""
        found = [
            Tampering("detach", name)
            for one in self._kernel.objects
            for name, fd in one.link_fds().items()
            if name in self._links and _in_force(fd) != self._links[name]
        ]
        found += [Tampering("map_update", name) for name, content in self._contents().items() if content != self._maps.get(name)]
        fresh = [one for one in found if one not in self._gone]
        self._gone.update(fresh)
        return fresh

    def _contents(self) -> dict[str, dict[bytes, bytes | None]]:
        maps = {name: self._kernel.object.map(name) for name in WATCHED_MAPS}
        return {name: {key: held.get(key) for key in held.keys()} for name, held in maps.items()}  # noqa: SIM118 (a map of the kernel, no dict)


def _id(fd: int) -> int:
    """The kernel's id of a program or map."""
    return int(_two_words.unpack(describe(fd, b"", _two_words.size))[1])


def _in_force(fd: int) -> tuple[int, ...]:
    """Which program a link holds where; a cgroup's link that was detached by force has no cgroup any more."""
    try:
        kind, number, program, place = _link.unpack(describe(fd, b"", LINK_BYTES))
    except BpfError:
        return ()
    return (number, program, place if kind == LINK_CGROUP else 0)


def own_cgroups(host_root: Path = Path("/")) -> list[int]:
    """Ids of the cgroup that we run in and of all above it, but for the root, which can't be frozen."""
    try:
        root = Path(unified_cgroup(host_root))
    except BpfUnavailableError:
        return []
    line = next((line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), "0::/")
    folder = root / line.removeprefix("0::/").rstrip("/")
    found = []
    while folder != root and root in folder.parents:
        if folder.exists():
            found.append(os.stat(folder).st_ino)  # noqa: PTH116 (os is used beside)
        folder = folder.parent
    return found
