"""What the commands that need the sensor share: starting it, and saying why it can't."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from watchkeeper_cli.ending import UNREADABLE, CommandError
from watchkeeper_sensor.agent import Agent
from watchkeeper_sensor.kernel.libbpf import BpfError, BpfUnavailableError
from watchkeeper_sensor.kernel.programs import object_path

if TYPE_CHECKING:
    from collections.abc import Collection

    from watchkeeper_detection.program import Program


def is_stale(path: Path) -> bool:
    """Whether the object is older than the sources of the tree; an installed sensor has none."""
    sources = Path(__file__).parents[2] / "sensor" / "bpf"
    built = path.stat().st_mtime if path.exists() else 0.0
    return any(source.stat().st_mtime > built for source in (*sources.glob("*.c"), *sources.glob("*.h")))


def started(program: Program, *, also: Collection[str] = (), state: Path | None = None) -> Agent:
    """The agent, running. Ends the command where this machine can't run it."""
    try:
        return Agent(object_path(), program, also=also, state=state)
    except (BpfUnavailableError, BpfError) as error:
        stale = "; its programs were built before their sources changed: run make bpf" if is_stale(object_path()) else ""
        raise CommandError(f"the sensor can't run here: {error}{stale}", UNREADABLE) from None
