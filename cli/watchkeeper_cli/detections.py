"""`watchkeeper detections`: what `watchkeeper up` found so far."""

from __future__ import annotations

from typing import Annotated

import typer

from watchkeeper_cli.judge import Output, Severity
from watchkeeper_cli.up import DEFAULT_STATE, StateOption


def detections(
    since: Annotated[str | None, typer.Option(help="Only from this time on: 2026-03-12, 2026-03-12T02:30:00Z, or 6h, 2d ago.", metavar="T")] = None,
    severity: Annotated[Severity, typer.Option(help="Least severity that counts.")] = Severity.P3,
    policy: Annotated[str | None, typer.Option(help="Only of this policy.", metavar="NAME")] = None,
    most: Annotated[int, typer.Option("--last", help="At most so many, the latest.", min=1, max=100_000, metavar="N")] = 100,
    output: Annotated[Output, typer.Option("--output", "-o", help="table for people; json: one object a line; ocsf, sarif.")] = Output.table,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Show the detections that `watchkeeper up` kept on this host, and on standard error when it was blind meanwhile.

    \b
      sudo watchkeeper detections --since 1d --severity P2
      sudo watchkeeper detections --policy container-drift --output json | jq .act

    \b
    Exit status: 0, 2 wrong usage, 3 there is no history that can be read.
    """
    import sys

    from watchkeeper_cli.blindness import blind_lines
    from watchkeeper_cli.delivering import HISTORY
    from watchkeeper_cli.ending import UNREADABLE, CommandError
    from watchkeeper_cli.output.writers import writer_for
    from watchkeeper_cli.times import moment_ns
    from watchkeeper_operator.store.detections import DetectionStore, StoreError

    path = state / HISTORY
    if not path.exists():
        raise CommandError(f"there is no history in {state}: watchkeeper up makes one (--state names another folder)", UNREADABLE)
    writer = writer_for(output.value)
    begin = moment_ns(since, "--since") or 0
    try:
        with DetectionStore(path, read_only=True) as store:
            oldest, count = begin, 0
            for count, detection in enumerate(store.find(since=begin, severity=severity.value, policy=policy, most=most), 1):
                oldest = detection.observed_at if count == 1 else oldest
                writer.add(detection)
            lines = blind_lines(store.blind(since=oldest if count == most else begin))
    except StoreError as error:
        raise CommandError(str(error), UNREADABLE) from None
    writer.finish()
    for line in lines:
        print(line, file=sys.stderr)
