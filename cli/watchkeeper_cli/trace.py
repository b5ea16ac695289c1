"""`watchkeeper trace`: raw events of this host, as they happen."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Output(StrEnum):
    auto = "auto"
    lines = "lines"
    json = "json"


def kernel_kinds_beginning(incomplete: str) -> list[str]:
    """For shell completion."""
    from watchkeeper_detection.vocabulary import kernel

    return [kind.name for kind in kernel.KINDS if kind.name.startswith(incomplete)]


def trace(
    kinds: Annotated[
        list[str],
        typer.Argument(
            metavar="KIND...",
            help="Event kinds, such as process.exec or 'file.*'; watchkeeper fields lists them.",
            show_default=False,
            autocompletion=kernel_kinds_beginning,
        ),
    ],
    where: Annotated[str | None, typer.Option(help="Only events that this condition holds for, in CEL as in a rule.", metavar="CEL")] = None,
    record: Annotated[Path | None, typer.Option(help="Write the events to this file as well; watchkeeper replay judges it.", metavar="FILE")] = None,
    seconds: Annotated[float | None, typer.Option("--for", help="End after so many seconds.", min=0.1, metavar="SECONDS")] = None,
    count: Annotated[int | None, typer.Option(help="End after so many events.", min=1, metavar="N")] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="lines for people; json: one object a line, with every field; auto: lines on a terminal, else json.")
    ] = Output.auto,
) -> None:
    """Print events of this host as they happen. Needs root, as `watchkeeper up` does.

    \b
      sudo watchkeeper trace process.exec                                  every program that is run
      sudo watchkeeper trace 'network.*' dns.question --for 60             a minute of the network
      sudo watchkeeper trace file.open --where 'file.path.startsWith("/etc/") && process.uid != 0'
      sudo watchkeeper trace process.exec -o json | jq .process.ancestors.exes
      sudo watchkeeper trace 'process.*' 'file.*' --record attack.jsonl    then: watchkeeper replay attack.jsonl

    A mistake in CEL is pointed at; `watchkeeper fields KIND` lists what a condition may read. Lost records come as sensor.lost, and are counted
    at the end: what is blind is never shown as quiet.

    \b
    Exit status: 0 ended, 2 wrong usage, 3 the sensor can't run here.
    """
    from watchkeeper_cli.tracing import trace_events

    trace_events(kinds, where, record, seconds, count, output.value)
