"""`watchkeeper up`: see and judge what happens on this host."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from watchkeeper_cli.judge import Severity

DEFAULT_STATE = Path("/var/lib/watchkeeper")


class Output(StrEnum):
    table = "table"
    lines = "lines"
    json = "json"


PoliciesOption = Annotated[
    list[Path] | None, typer.Option(help="Folder or file of policies, exceptions and lists beside the library; may be given again.", metavar="DIR")
]
NoLibraryOption = Annotated[bool, typer.Option("--no-library", help="Leave the shipped library out.")]
StateOption = Annotated[Path, typer.Option(help="Folder where detections are kept.", metavar="DIR")]


def up(
    policies: PoliciesOption = None,
    no_library: NoLibraryOption = False,
    severity: Annotated[Severity, typer.Option(help="Least severity that is shown; everything is kept.")] = Severity.P3,
    output: Annotated[
        Output,
        typer.Option("--output", "-o", help="table: a status below the detections on a terminal; lines: as when it is piped; json: one detection a line."),
    ] = Output.table,
    notify: Annotated[
        str | None, typer.Option(help="Post each detection that is shown to this URL, signed with the secret in WATCHKEEPER_WEBHOOK_SECRET.", metavar="URL")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Serve Prometheus metrics and /healthz at unix:PATH or HOST:PORT. Nothing listens when not given.", metavar="ADDRESS")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    demo: Annotated[bool, typer.Option("--demo", help="Perform a few harmless acts, show that each is seen, and end: 0 when all were.")] = False,
) -> None:
    """Watch this host: load the sensor, judge what happens with the shipped policies, show what matters.

    Nothing is installed and nothing is changed on the host; Ctrl-C ends it and removes the programs from the kernel. Needs root and a
    kernel with BTF (any distribution's since 2021); `watchkeeper doctor` says what is missing and what this kernel can't show.

    \b
      sudo watchkeeper up
      sudo watchkeeper up --demo                       prove that it works here
      sudo watchkeeper up --severity P2 --output json | jq .message
      sudo watchkeeper up --policies ./our-policies --notify https://hooks.example.com/security

    \b
    Exit status: 0 ended by Ctrl-C or SIGTERM (with --demo: all acts were seen), 1 an act of --demo was missed, or output was lost,
    2 wrong usage or policies, 3 the sensor can't run here.
    """
    from watchkeeper_cli.live import Live, Request

    request = Request(
        policies=tuple(policies or ()),
        with_library=not no_library,
        severity=severity.value,
        output=output.value,
        notify=notify,
        metrics=metrics,
        state=state,
        demo=demo,
    )
    raise typer.Exit(Live(request).run())
