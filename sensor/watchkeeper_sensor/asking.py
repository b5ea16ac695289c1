"""What of a program is the sensor's, and what the kernel is asked to tell for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.program import narrowed_to
from watchkeeper_sensor.decoding import PROGRAMS
from watchkeeper_sensor.kernel.filters import filters_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from watchkeeper_detection.program import Program
    from watchkeeper_sensor.kernel.filters import Filters

GAINED, HOLDINGS = "exec.gained_capabilities", ("credentials.change", "credentials.capabilities")
ALL = frozenset(kind for program in PROGRAMS for kind in program.kinds)
OF_THE_AGENT = frozenset({"container.start", "container.stop", "bpf.discovered"})  # told by no program of the kernel, as those of `sensor.` are


def kernel_part(program: Program) -> Program:
    """The rules that something of the kernel can concern, with the kinds that the sensor tells."""
    told = {*ALL, *(kind for rule in program.rules for kind in rule.kinds if kind.startswith("sensor.")), *OF_THE_AGENT}
    return narrowed_to(program, told)


def asked_of(program: Program, also: Collection[str], *, kills: bool) -> Filters:
    """`also`: kinds that are told whatever the rules ask for; `kills`: some rules are enforced, and each decision is told."""
    filters = filters_of(program)
    filters.ask_all(also)
    if any(GAINED in rule.reads for rule in program.rules):
        filters.ask_all(HOLDINGS)  # an exec's gain is told by what the process held until then
    if kills:
        filters.kinds.update(("sensor.enforced", "sensor.not_enforced"))
    return filters
