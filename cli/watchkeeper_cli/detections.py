"""`watchkeeper detections`: what `watchkeeper up` found so far."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper_cli.ending import UNREADABLE, CommandError
from watchkeeper_cli.judge import Output, Severity
from watchkeeper_cli.up import DEFAULT_STATE, StateOption

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watchkeeper_detection.detection import Detection


class ShowOutput(StrEnum):
    text = "text"
    json = "json"


def detections(
    context: typer.Context,
    since: Annotated[str | None, typer.Option(help="Only from this time on: 2026-03-12, 2026-03-12T02:30:00Z, or 6h, 2d ago.", metavar="T")] = None,
    severity: Annotated[Severity, typer.Option(help="Least severity that counts.")] = Severity.P3,
    policy: Annotated[str | None, typer.Option(help="Only of this policy.", metavar="NAME")] = None,
    rule: Annotated[str | None, typer.Option(help="Only of this rule: NAME, or POLICY/NAME.", metavar="NAME")] = None,
    container: Annotated[str | None, typer.Option(help="Only in this container: its name, the beginning of its id, or NAMESPACE/POD.", metavar="NAME")] = None,
    most: Annotated[int, typer.Option("--last", help="At most so many, the latest.", min=1, max=100_000, metavar="N")] = 100,
    output: Annotated[Output, typer.Option("--output", "-o", help="table for people; json: one object a line; ocsf, sarif.")] = Output.table,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Show the detections that `watchkeeper up` kept on this host, and on standard error when it was blind meanwhile.

    The table has equal ones in one row, the worst first, with the id of the first one; `detections show ID` tells everything about it:
    process tree, runbook, and the event field by field.

    \b
      sudo watchkeeper detections --since 1d --severity P2
      sudo watchkeeper detections --container shop/cart --since 6h
      sudo watchkeeper detections --rule linux-reverse-shell/redirected -o json | jq .act
      sudo watchkeeper detections show 3fa8c1d2

    \b
    Exit status: 0, 2 wrong usage, 3 there is no history that can be read.
    """
    if context.invoked_subcommand is not None:
        return
    from watchkeeper_cli.blindness import blind_lines
    from watchkeeper_cli.output.writers import writer_for
    from watchkeeper_cli.times import moment_ns
    from watchkeeper_operator.store.detections import DetectionStore, StoreError

    path = history(state)
    writer = writer_for(output.value)
    begin = moment_ns(since, "--since") or 0
    try:
        with DetectionStore(path, read_only=True) as store:
            oldest, count = begin, 0
            kept = store.find(since=begin, severity=severity.value, policy=policy, keep=chosen(rule, container), most=most)
            for count, detection in enumerate(kept, 1):
                oldest = detection.observed_at if count == 1 else oldest
                writer.add(detection)
            lines = blind_lines(store.blind(since=oldest if count == most else begin))
    except StoreError as error:
        raise CommandError(str(error), UNREADABLE) from None
    writer.finish()
    for line in lines:
        print(line, file=sys.stderr)


def show(
    detection: Annotated[str, typer.Argument(metavar="ID", help="Id of a detection, or how it begins.", show_default=False)],
    output: Annotated[ShowOutput, typer.Option("--output", "-o", help="text for people; json: one object with the event.")] = ShowOutput.text,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Show one detection with everything: what happened, the whole process tree, container, runbook, and the event field by field.

    \b
      sudo watchkeeper detections show 3fa8c1d2
      sudo watchkeeper detections show 3fa8c1d2 -o json | jq .event.process

    \b
    Exit status: 0, 2 wrong usage or several ids that begin like this, 3 there is none, or no history that can be read.
    """
    from watchkeeper_cli.showing import show as show_detection

    show_detection(history(state), detection, output.value)


def history(state: Path) -> Path:
    """The file of the history. Ends the command when there is none."""
    from watchkeeper_cli.delivering import HISTORY

    path = state / HISTORY
    if not path.exists():
        raise CommandError(f"there is no history in {state}: watchkeeper up makes one (--state names another folder)", UNREADABLE)
    return path


def chosen(rule: str | None, container: str | None) -> Callable[[Detection], bool] | None:
    """Whether a detection is of this rule and container; None where every one is."""
    if rule is None and container is None:
        return None

    def is_chosen(detection: Detection) -> bool:
        if rule is not None and rule not in (detection.rule, f"{detection.policy}/{detection.rule}"):
            return False
        act = detection.act
        return container is None or (
            act is not None and act.container_id is not None and (container in (act.container, act.pod) or act.container_id.startswith(container))
        )

    return is_chosen
