"""The run of `watchkeeper trace`."""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import typer

from watchkeeper_cli.ending import USAGE, CommandError
from watchkeeper_cli.output.event_line import event_line
from watchkeeper_cli.output.looks import stdout_look
from watchkeeper_cli.output.text import plural, shown
from watchkeeper_cli.sensing import started
from watchkeeper_detection.cel.check import Scope, check
from watchkeeper_detection.cel.compile import compile_condition
from watchkeeper_detection.cel.errors import CelErrors
from watchkeeper_detection.fields import nearest
from watchkeeper_detection.logs.recorded import as_record
from watchkeeper_detection.program import Program
from watchkeeper_detection.vocabulary import kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from watchkeeper_detection.event import Event
    from watchkeeper_sensor.agent import Agent

WAIT_SECONDS = 0.1
TOLD = tuple(kind.name for kind in kernel.KINDS)
LOST = "sensor.lost"


def trace_events(kinds: list[str], where: str | None, record: Path | None, seconds: float | None, count: int | None, output: str) -> None:
    """Print until the time is over, so many events came, or Ctrl-C."""
    wanted = frozenset(kind for given in kinds for kind in matching(given))
    holds = condition(where, tuple(sorted(wanted)))
    over: list[int] = []
    with ExitStack() as stack:
        file = stack.enter_context(opened(record)) if record else None
        write = writer(output, file)
        agent = started(Program(), also=wanted)
        stack.callback(agent.close)
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, lambda number, _frame: over.append(number)))
        for spot in agent.health.blind_spots:
            print(f"BLIND: {', '.join(spot.kinds)}: {shown(spot.reason)}", file=sys.stderr)
        print(f"tracing {', '.join(sorted(wanted))}; Ctrl-C ends it", file=sys.stderr, flush=True)
        shown_events = 0
        for event in until_over(agent, over, seconds):
            if (event.kind in wanted and holds(event)) or event.kind == LOST:
                write(event)
                shown_events += event.kind in wanted
                if count is not None and shown_events >= count:
                    break
        lost = sum(agent.health.lost.values())
    print(f"{plural(shown_events, 'event')}; " + (f"BLIND: {plural(lost, 'record')} lost" if lost else "none lost"), file=sys.stderr)


def until_over(agent: Agent, over: list[int], seconds: float | None) -> Iterator[Event]:
    """Events until a signal came or the time is over, with those that waited in the rings then."""
    end = None if seconds is None else time.monotonic() + seconds
    is_last = False
    while not is_last:
        is_last = bool(over) or (end is not None and time.monotonic() >= end)
        yield from agent.events(0 if is_last else WAIT_SECONDS)
        sys.stdout.flush()


def matching(given: str) -> list[str]:
    """Kinds of this name, or that fit this pattern. Ends the command when there are none."""
    found = [kind for kind in TOLD if fnmatchcase(kind, given)]
    if not found:
        like = nearest(given, TOLD)
        families = ", ".join(dict.fromkeys(kind.partition(".")[0] + ".*" for kind in TOLD))
        hint = f"did you mean {like}?" if like else f"there are {families}; watchkeeper fields lists them"
        raise typer.BadParameter(f"{given} is nothing that the sensor tells; {hint}", param_hint="KIND")
    return found


def condition(where: str | None, kinds: tuple[str, ...]) -> Callable[[Event], bool]:
    """The compiled condition. Ends the command where it is wrong, and points at the place."""
    if where is None:
        return lambda _event: True
    try:
        return compile_condition(check(where, Scope(kinds), want="bool").tree, {})
    except CelErrors as errors:
        lines = where.splitlines() or [""]
        for error in errors.errors:
            print(f"  {shown(lines[min(error.line, len(lines)) - 1])}\n  {' ' * (error.column - 1)}^ {shown(error.message)}", file=sys.stderr)
            if error.hint:
                print(f"  {' ' * (error.column + 1)}{shown(error.hint)}", file=sys.stderr)
        raise CommandError(f"{plural(len(errors.errors), 'error')} in --where; watchkeeper fields {kinds[0]} lists what it may read", USAGE) from None


def opened(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise CommandError(f"can't write to {path}: {error.strerror}", USAGE) from None


def writer(output: str, file: BinaryIO | None) -> Callable[[Event], None]:
    """What takes each event: lines for people on a terminal, JSON for everything else, and JSON into the file."""
    as_lines = output == "lines" or (output == "auto" and sys.stdout.isatty())
    look = stdout_look()

    def write(event: Event) -> None:
        if as_lines:
            print(event_line(event, look))
        if file or not as_lines:
            line = json_line(event)
            if not as_lines:
                sys.stdout.buffer.write(line)
            if file:
                file.write(line)

    return write


def json_line(event: Event) -> bytes:
    """As replay reads it. ASCII: what an attacker named stays escaped."""
    return json.dumps(msgspec.to_builtins(as_record(event)), separators=(",", ":")).encode() + b"\n"
