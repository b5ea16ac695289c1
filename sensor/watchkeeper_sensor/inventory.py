"""Which BPF programs are in the kernel: those that nobody was seen to load are told as `bpf.discovered`.

A call can be missed (loss, a time without the sensor, a program attached by netlink); the kernel's own list of programs can't be, unless a
rootkit hides from it.
"""

from __future__ import annotations

import os
import struct
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from watchkeeper_detection.event import Event
from watchkeeper_detection.logs import kernel_event
from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.interface_words import PROGRAM_TYPES, word
from watchkeeper_sensor.kernel.libbpf import BpfError, describe, instructions_of, program_by_id, program_ids

if TYPE_CHECKING:
    from collections.abc import Collection

    from watchkeeper_sensor.surroundings import Surroundings

KALLSYMS = Path("/proc/kallsyms")
BASE = "__bpf_call_base"
HELPERS = {
    "bpf_probe_write_user": "probe_write_user",
    "bpf_override_return": "override_return",
    "bpf_send_signal": "send_signal",
    "bpf_send_signal_thread": "send_signal",
}
"""Function of the kernel → helper of note."""
MOST_PROGRAMS = 10_000
MOST_INSTRUCTIONS = 1 << 20  # the verifier lets no longer program through
CALL = 0x85

_info = struct.Struct("<II8sIIQQQIIQ16s")  # struct bpf_prog_info up to the name
_instruction = struct.Struct("<BBhi")
_Bpf: Any = record_type("bpf")


class BpfProgramFound(NamedTuple):
    """A program in the kernel. `helpers`: of note; None where the kernel does not say which it calls."""

    id: int
    type: str
    name: str | None
    tag: str
    helpers: tuple[str, ...] | None


class DiscoveredEvent(Event):
    """The inventory found a program. Nobody is known to have loaded it."""

    def __init__(self, number: int, moment: int, around: Surroundings, found: BpfProgramFound) -> None:
        """`moment`: nanoseconds since the epoch, when the inventory looked."""
        super().__init__("bpf.discovered", kernel_event.SOURCE, "sensor", number, -1, FILLS)
        self.moment = moment
        self.around = around
        self.bpf = _Bpf(
            program_id=found.id,
            program_type=found.type,
            program_name=found.name,
            program_tag=found.tag,
            helpers=list(found.helpers) if found.helpers is not None else None,
            of_sensor=False,
        )


FILLS = kernel_event.fills(
    lambda event: event.moment,
    derived={"id": lambda event: f"{event.around.host.boot_id[:8]}:bpf:{event.moment}:{event.number}", "node": lambda event: event.around.node},
)


class Inventory:
    """What was there when we looked last."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    def saw(self, program_id: int) -> None:
        """A `bpf.load` event told of this program."""
        self._known.add(program_id)

    def look(self, own: Collection[int]) -> list[BpfProgramFound]:
        """Programs that are new since the last look, the sensor's `own` and those that were seen to be loaded left out."""
        present, found = set(), []
        for number, program_id in enumerate(program_ids()):
            if number == MOST_PROGRAMS:
                break
            present.add(program_id)
            if program_id not in self._known and program_id not in own and (one := program_found(program_id)) is not None:
                found.append(one)
        self._known = present
        return found


def program_found(program_id: int) -> BpfProgramFound | None:
    """What the kernel says of a program; None when it is gone."""
    fd = program_by_id(program_id)
    if fd is None:
        return None
    try:
        type_, _, tag, _, length, _, _, _, _, _, _, name = _info.unpack(describe(fd, b"", _info.size))
        return BpfProgramFound(program_id, word(PROGRAM_TYPES, type_), name.rstrip(b"\0").decode(errors="replace") or None, tag.hex(), _helpers(fd, length))
    except BpfError:
        return None
    finally:
        os.close(fd)


def _helpers(fd: int, length: int) -> tuple[str, ...] | None:
    """Helpers of note that the instructions call: their number is the distance of the function from a fixed one."""
    calls = _call_numbers()
    if not calls or not 0 < length <= MOST_INSTRUCTIONS * 8:
        return None
    called = {number for code, registers, _, number in _instruction.iter_unpack(instructions_of(fd, length)) if code == CALL and not registers >> 4}
    return tuple(sorted({name for number, name in calls.items() if number in called}))


@cache
def _call_numbers() -> dict[int, str]:
    """Distance of a helper's function from the fixed one → its name; empty where the kernel hides its addresses."""
    places = {}
    with KALLSYMS.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            address, _, name = line.split()[:3]
            if name == BASE or name in HELPERS:
                places[name] = int(address, 16)
    base = places.get(BASE, 0)
    return {_signed(places[function] - base): helper for function, helper in HELPERS.items() if base and function in places}


def _signed(distance: int) -> int:
    return (distance + (1 << 31)) % (1 << 32) - (1 << 31)
