"""What the commands that need the sensor share: starting it, and saying why it can't."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_cli.ending import UNREADABLE, CommandError
from watchkeeper_sensor.agent import Agent
from watchkeeper_sensor.kernel.libbpf import BpfError, BpfUnavailableError
from watchkeeper_sensor.kernel.programs import object_path

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from watchkeeper_detection.program import Program


def started(program: Program, *, also: Collection[str] = (), state: Path | None = None) -> Agent:
    """The agent, running. Ends the command where this machine can't run it."""
    try:
        return Agent(object_path(), program, also=also, state=state)
    except (BpfUnavailableError, BpfError) as error:
        raise CommandError(f"the sensor can't run here: {error}", UNREADABLE) from None
