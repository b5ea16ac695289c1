"""The run of `kubectl watchkeeper policies`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from watchkeeper_cli.clustering.door import Unread, during
from watchkeeper_cli.clustering.policy_rows import HEADINGS, policy_rows, table_rows
from watchkeeper_cli.clustering.shapes import Policy
from watchkeeper_cli.ending import UNREADABLE, CommandError
from watchkeeper_cli.output.columns import table, terminal_columns
from watchkeeper_cli.output.looks import stdout_look
from watchkeeper_cli.output.structured import print_structured
from watchkeeper_cli.output.text import shown
from watchkeeper_operator import kinds

if TYPE_CHECKING:
    from pathlib import Path

    from watchkeeper_cli.clustering.door import Door


def list_policies(kubeconfig: Path | None, context: str | None, namespace: str | None, output: str, *, only_failing: bool) -> bool:
    """Whether all hold as they are written."""

    async def act(door: Door) -> tuple[list[Policy], str]:
        found, note = await door.allowed_of(kinds.RUNTIME_POLICIES, Policy)
        if isinstance(found, Unread):
            raise CommandError(f"{found.why} (context {door.place.name}); docs/kubectl.md says what this takes", UNREADABLE)
        return found, note

    found, note = during(kubeconfig, context, namespace, act)
    rows = policy_rows(found)
    chosen = [row for row in rows if row.is_failing or not only_failing]
    if note:
        print(f"watchkeeper: {shown(note)}", file=sys.stderr)
    if output != "text":
        print_structured(chosen, output)
    elif chosen:
        for line in table(HEADINGS, table_rows(chosen), stdout_look(), terminal_columns()):
            print(line)
    else:
        print(
            "Every policy holds as it is written." if rows else "There are no policies: kubectl apply -k manifests/components/library brings the shipped ones."
        )
    return not any(row.is_failing for row in rows)
