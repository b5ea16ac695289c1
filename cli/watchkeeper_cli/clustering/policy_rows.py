"""Policies of a cluster as rows: accepted, in force on how many nodes, and why not elsewhere. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from watchkeeper_cli.clustering.shapes import condition
from watchkeeper_cli.output.columns import Cell, Row
from watchkeeper_cli.output.looks import BLIND, DIM
from watchkeeper_operator.names import ROOT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_cli.clustering.shapes import Policy

HEADINGS = ("POLICY", "RULES", "ACCEPTED", "IN FORCE", "NODES", "TITLE, OR WHY NOT")
WHY_CHARACTERS = 400
NODES_NAMED = 3


class PolicyRow(msgspec.Struct, frozen=True, rename="camel"):
    """`name`: namespace/name; `accepted`, `in_force`: `True`, `False`, `Unknown`; `reason`: of what is not so; `why`: in words."""

    name: str
    title: str
    mode: str
    rules: int
    accepted: str
    in_force: str
    reason: str
    nodes: str
    why: str
    since: str

    @property
    def short(self) -> str:
        """As commands take it: the root namespace goes without saying."""
        return self.name.removeprefix(f"{ROOT_NAMESPACE}/")

    @property
    def is_failing(self) -> bool:
        """It does not hold as it is written."""
        return self.reason != "Disabled" and (self.accepted != "True" or self.in_force != "True")

    @property
    def is_blind(self) -> bool:
        """Somewhere nothing of it holds; an older generation that is in force everywhere is no blindness, though it is failing."""
        return self.is_failing and self.reason != "LastGood" and not (self.accepted == "Unknown" and self.in_force == "True")


def policy_rows(policies: Iterable[Policy]) -> list[PolicyRow]:
    """Failing ones first, then by name."""
    rows = [_row(one) for one in policies]
    return sorted(rows, key=lambda row: (not row.is_failing, row.name))


def table_rows(rows: Iterable[PolicyRow]) -> list[Row]:
    """Under HEADINGS."""
    return [_table_row(row) for row in rows]


def _table_row(row: PolicyRow) -> Row:
    accepted = {"True": "yes", "False": "no"}.get(row.accepted, "not yet")
    in_force = {"LastGood": "older", "Disabled": "disabled"}.get(row.reason) or {"True": "yes", "False": "no"}.get(row.in_force, "not yet")
    code = BLIND if row.is_failing else DIM if row.reason == "Disabled" else ""
    cells = (row.short, str(row.rules), accepted, in_force, row.nodes or "-", row.why or row.title)
    return Row(tuple(Cell(text, code if number in (0, 5) else "") for number, text in enumerate(cells)))


def _row(one: Policy) -> PolicyRow:
    status = one.status
    accepted, in_force = condition(status.conditions, "Accepted"), condition(status.conditions, "InForce")
    said = accepted if accepted.status == "False" else in_force
    nodes = "" if status.nodes is None else f"{status.nodes.in_force}/{status.nodes.total}"
    if in_force.reason == "InOperator":
        nodes = "operator"
    return PolicyRow(
        name=f"{one.metadata.namespace}/{one.metadata.name}",
        title=one.spec.title,
        mode=one.spec.mode,
        rules=len(one.spec.rules),
        accepted=accepted.status,
        in_force=in_force.status,
        reason=in_force.reason if in_force.reason == "LastGood" else said.reason,
        nodes=nodes,
        why=_why(one),
        since=status.in_force.since if status.in_force else "",
    )


def _why(one: Policy) -> str:
    """Why it does not hold as it is written; empty where it does."""
    status = one.status
    accepted, in_force = condition(status.conditions, "Accepted"), condition(status.conditions, "InForce")
    if accepted.status == "Unknown":
        return "the operator has not judged it yet"
    words = []
    if accepted.status == "False":
        words.append(f"{accepted.reason}: {_cut(accepted.message)}" if accepted.message else accepted.reason)
    if in_force.reason == "LastGood":
        words.append(in_force.message or "an older generation is in force")
    elif accepted.status == "True" and in_force.status != "True" and in_force.reason != "Disabled":
        failing = status.nodes.failing if status.nodes else ()
        named = "; ".join(f"{node.node}: {node.reason}" if node.node else node.reason for node in failing[:NODES_NAMED])
        more = f" … {len(failing) - NODES_NAMED} more" if len(failing) > NODES_NAMED else ""
        words.append(f"{in_force.message or in_force.reason}{f' ({named}{more})' if named else ''}")
    if status.nodes is not None and in_force.reason == "LastGood" and status.nodes.failing:
        words.append(f"on {status.nodes.in_force} of {status.nodes.total} nodes")
    return "; ".join(words)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WHY_CHARACTERS else line[: WHY_CHARACTERS - 1] + "…"
