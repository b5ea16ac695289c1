"""`watchkeeper trace`: raw events of this host, as they happen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def trace(
    kinds: Annotated[
        list[str], typer.Argument(metavar="KIND...", help="Event kinds, such as process.exec or file.open; watchkeeper fields lists them.", show_default=False)
    ],
    where: Annotated[str | None, typer.Option(help="Only events that this condition holds for, in CEL as in a rule.", metavar="CEL")] = None,
    record: Annotated[Path | None, typer.Option(help="Write the events to this file as well; watchkeeper replay judges it.", metavar="FILE")] = None,
    seconds: Annotated[float | None, typer.Option("--for", help="End after so many seconds.", min=0.1, metavar="SECONDS")] = None,
    count: Annotated[int | None, typer.Option(help="End after so many events.", min=1, metavar="N")] = None,
) -> None:
    """Print events of this host as they happen, one JSON object a line. Needs root, as `watchkeeper up` does.

    \b
      sudo watchkeeper trace process.exec --where 'process.uid == 0'
      sudo watchkeeper trace network.connect dns.question --for 60
      sudo watchkeeper trace process.exec file.open --where 'file.path.startsWith("/etc/")' --record trace.jsonl

    \b
    Exit status: 0 ended, 2 wrong usage, 3 the sensor can't run here.
    """
    from watchkeeper_cli.tracing import trace_events

    trace_events(kinds, where, record, seconds, count)
