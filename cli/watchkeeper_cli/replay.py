"""`watchkeeper replay`: judge recorded events of a host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watchkeeper_cli.judge import Output, Severity
from watchkeeper_cli.up import NoLibraryOption, PoliciesOption


def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recordings that watchkeeper trace --record wrote.", show_default=False)],
    policies: PoliciesOption = None,
    no_library: NoLibraryOption = False,
    severity: Annotated[Severity, typer.Option(help="Least severity that counts.")] = Severity.P3,
    output: Annotated[Output, typer.Option("--output", "-o", help="table for people; json: one object a line; ocsf, sarif.")] = Output.table,
) -> None:
    """Judge recorded events as `watchkeeper up` would have judged them when they happened. Needs neither root nor the sensor.

    \b
      sudo watchkeeper trace process.exec file.open --record attack.jsonl
      watchkeeper replay attack.jsonl --policies ./our-policies

    \b
    Exit status: 0 judged, 2 wrong usage or policies, 3 input that could not be read.
    """
    from watchkeeper_cli.judging import Request, judge_logs

    request = Request(
        paths=tuple(str(file) for file in files),
        source="kernel",
        policies=tuple(policies or ()),
        with_library=not no_library,
        severity=severity.value,
        since_ns=None,
        until_ns=None,
        learn_to=None,
        baseline=None,
        jobs=1,
        fail_on=None,
        output=output.value,
        rejects=None,
        show_secrets=False,
    )
    raise typer.Exit(judge_logs(request))
