"""The run of `kubectl watchkeeper doctor`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_cli.clustering.checks import findings
from watchkeeper_cli.clustering.door import during
from watchkeeper_cli.clustering.looking import look
from watchkeeper_cli.ending import FAILED, SUCCEEDED, UNREADABLE
from watchkeeper_cli.finding import finding_lines
from watchkeeper_cli.output.looks import stdout_look
from watchkeeper_cli.output.structured import print_structured
from watchkeeper_cli.output.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from watchkeeper_cli.finding import Finding

WORDS = {SUCCEEDED: "works", FAILED: "partly blind", UNREADABLE: "does not work"}


def examine_cluster(kubeconfig: Path | None, context: str | None, output: str) -> int:
    """Look and tell; returns the exit status."""
    looked = during(kubeconfig, context, None, look)
    found = findings(looked, time.time_ns())
    status = status_of(found)
    if output != "text":
        print_structured({"context": looked.context, "status": WORDS[status], "findings": msgspec.to_builtins(found)}, output)
        return status
    for finding in found:
        for line in finding_lines(finding, stdout_look()):
            print(line)
    print(summary(found))
    return status


def status_of(found: Sequence[Finding]) -> int:
    if any(finding.state == "missing" for finding in found):
        return UNREADABLE
    return FAILED if any(finding.state == "blind" for finding in found) else SUCCEEDED


def summary(found: Sequence[Finding]) -> str:
    missing, blind = (sum(finding.state == state for finding in found) for state in ("missing", "blind"))
    if missing:
        return f"Watchkeeper does not work here as it should: {plural(missing, 'thing')} missing, {plural(blind, 'thing')} blind or not known"
    return f"{plural(blind, 'thing')} blind or not known" if blind else "all that was looked at is well"
