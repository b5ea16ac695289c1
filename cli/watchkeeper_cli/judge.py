"""`watchkeeper judge`: what matters in these logs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_BASELINE = Path("watchkeeper-baseline.bin")


class Output(StrEnum):
    table = "table"
    json = "json"
    ocsf = "ocsf"
    sarif = "sarif"


class Severity(StrEnum):
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"


DEFAULT_SEVERITY = Severity.P3


def judge(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATHS...", help="Logs: files, folders, .gz and .zst of them; - is standard input.", show_default=False)
    ],
    source: Annotated[
        str | None, typer.Option(help="Log type, such as k8s-audit or cloudtrail. Recognised from the content when not given.", metavar="S")
    ] = None,
    policies: Annotated[
        list[Path] | None, typer.Option(help="Folder or file of policies, exceptions and lists beside the library; may be given again.", metavar="DIR")
    ] = None,
    no_library: Annotated[bool, typer.Option("--no-library", help="Leave the shipped library out.")] = False,
    severity: Annotated[
        Severity | None,
        typer.Option(help="Least severity that counts: P1 page someone now, P2 today, P3 in working hours, P4 record. P3 when not given.", show_default=False),
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only events from this time on: 2026-03-12, 2026-03-12T02:30:00Z, or 6h, 2d ago.", metavar="T")] = None,
    until: Annotated[str | None, typer.Option(help="Only events before this time.", metavar="T")] = None,
    learn: Annotated[bool, typer.Option("--learn", help="Judge nothing: learn from PATHS what is usual, and write it to the baseline.")] = False,
    baseline: Annotated[
        Path | None, typer.Option(help=f"What is usual here, for rules on what is new; --learn writes it ({DEFAULT_BASELINE} unless named).", metavar="FILE")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes that judge at once.", min=1, max=256, metavar="N")] = 1,
    fail_on: Annotated[Severity | None, typer.Option(help="Exit with 1 when there is a detection of this severity or worse.")] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="table for people; json: one object a line; ocsf: Detection Findings, one a line; sarif for code hosts.")
    ] = Output.table,
    rejects: Annotated[
        Path | None, typer.Option(help="Write the records that no reader could take to this file, with place and reason.", metavar="FILE")
    ] = None,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Don't redact passwords and tokens; on a terminal only.")] = False,
) -> None:
    """Judge logs and print what matters, with the reason in words.

    Kubernetes audit logs, CloudTrail, VPC flow logs and more, in any of the shapes that they are delivered in, told apart by
    their content; a folder may mix them. A summary follows on standard error: rate, records that could not be read, what
    exceptions held back, and what could not be seen.

    \b
      watchkeeper judge /var/log/kubernetes/audit.log
      watchkeeper judge AWSLogs/ --jobs 2 --severity P2
      kubectl logs -n kube-system kube-apiserver-0 | watchkeeper judge -
      watchkeeper judge audit.log --policies ./our-policies --output json | jq .message
      watchkeeper judge last-month/ --learn --baseline usual.bin
      watchkeeper judge today/ --baseline usual.bin --fail-on P2

    \b
    Exit status: 0 judged, 1 a detection that --fail-on names, 2 wrong usage or policies, 3 input that could not be read.
    """
    from watchkeeper_cli.judging import Request, judge_logs
    from watchkeeper_cli.times import moment_ns

    if learn and output is not Output.table:
        raise typer.BadParameter("--learn prints no detections", param_hint="--output")
    since_ns, until_ns = moment_ns(since, "--since"), moment_ns(until, "--until")
    if since_ns is not None and until_ns is not None and since_ns >= until_ns:
        raise typer.BadParameter("ends before --since: no event can lie between", param_hint="--until")
    if severity and fail_on and fail_on > severity:
        raise typer.BadParameter(f"{fail_on} detections would be left out by --severity {severity}", param_hint="--fail-on")
    request = Request(
        paths=tuple(paths),
        source=source,
        policies=tuple(policies or ()),
        with_library=not no_library,
        severity=(severity or max(DEFAULT_SEVERITY, fail_on or DEFAULT_SEVERITY)).value,  # what fails is shown
        since_ns=since_ns,
        until_ns=until_ns,
        learn_to=(baseline or DEFAULT_BASELINE) if learn else None,
        baseline=None if learn else baseline,
        jobs=jobs,
        fail_on=fail_on.value if fail_on else None,
        output=output.value,
        rejects=rejects,
        show_secrets=show_secrets,
    )
    raise typer.Exit(judge_logs(request))
