"""The run of `watchkeeper trace`."""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import typer

from watchkeeper_cli.ending import USAGE, CommandError
from watchkeeper_cli.output.text import plural, shown
from watchkeeper_cli.sensing import started
from watchkeeper_detection.cel.check import Scope, check
from watchkeeper_detection.cel.compile import compile_condition
from watchkeeper_detection.cel.errors import CelErrors
from watchkeeper_detection.fields import nearest
from watchkeeper_detection.logs.recorded import as_record
from watchkeeper_detection.program import Program
from watchkeeper_sensor.agent import ALL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watchkeeper_detection.event import Event

WAIT_SECONDS = 0.1


def trace_events(kinds: list[str], where: str | None, record: Path | None, seconds: float | None, count: int | None) -> None:
    """Print until the time is over, so many events came, or Ctrl-C."""
    for kind in kinds:
        if kind not in ALL:
            raise typer.BadParameter(f"{kind} is nothing that the sensor tells; did you mean {nearest(kind, ALL)}?", param_hint="KIND")
    holds = condition(where, tuple(kinds))
    wanted = frozenset(kinds)
    over: list[int] = []
    with ExitStack() as stack:
        file = stack.enter_context(opened(record)) if record else None
        agent = started(Program(), also=wanted)
        stack.callback(agent.close)
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, lambda number, _frame: over.append(number)))
        for spot in agent.health.blind_spots:
            print(f"blind: {', '.join(spot.kinds)}: {shown(spot.reason)}", file=sys.stderr)
        end = None if seconds is None else time.monotonic() + seconds
        shown_events = 0
        while not over and (end is None or time.monotonic() < end) and (count is None or shown_events < count):
            for event in agent.events(WAIT_SECONDS):
                if (event.kind in wanted and holds(event)) or event.kind == "sensor.lost":
                    write(event, file)
                    shown_events += event.kind in wanted
                    if count is not None and shown_events >= count:
                        break
            sys.stdout.flush()
        lost = sum(agent.health.lost.values())
    print(f"{plural(shown_events, 'event')}; " + (f"BLIND: {plural(lost, 'record')} lost" if lost else "none lost"), file=sys.stderr)


def condition(where: str | None, kinds: tuple[str, ...]) -> Callable[[Event], bool]:
    """The compiled condition. Ends the command where it is wrong."""
    if where is None:
        return lambda _event: True
    try:
        return compile_condition(check(where, Scope(kinds), want="bool").tree, {})
    except CelErrors as errors:
        raise CommandError("\n".join(f"--where: {error}" for error in errors.errors), USAGE) from None


def opened(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise CommandError(f"can't write to {path}: {error.strerror}", USAGE) from None


def write(event: Event, file: BinaryIO | None) -> None:

    record = as_record(event)
    line = json.dumps(msgspec.to_builtins(record), separators=(",", ":")).encode() + b"\n"  # ASCII: what an attacker named stays escaped
    sys.stdout.buffer.write(line)
    if file:
        file.write(line)
