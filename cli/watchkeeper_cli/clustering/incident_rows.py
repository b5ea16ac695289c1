"""Incidents as rows: how grave, how old, what, where, who, and what people said. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_cli.clustering.moments import ago
from watchkeeper_cli.clustering.shapes import condition
from watchkeeper_cli.output.columns import Cell, Row
from watchkeeper_cli.output.looks import BOLD, DIM, SEVERITIES
from watchkeeper_cli.output.text import plural
from watchkeeper_operator.names import ROOT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchkeeper_cli.clustering.shapes import Entity, Incident

HEADINGS = ("SEV", "AGE", "NAME", "STATE", "WHERE", "WHO", "WHAT")
SHORT_HEADINGS = ("SEV", "AGE", "NAME", "WHAT")
WORDS = {"TruePositive": "true positive", "FalsePositive": "false positive", "Benign": "benign"}
PLACE_KINDS = ("pod", "workload", "container")
NODE_KINDS = ("node", "host")


class IncidentRow(msgspec.Struct, frozen=True, rename="camel"):
    """`began`, `last`: RFC 3339; `where` and `who` are names as people say them, empty where nothing is known."""

    name: str
    namespace: str
    severity: str
    began: str
    last: str
    title: str
    where: str
    who: str
    detections: int
    attack: tuple[str, ...]
    open: bool
    disposition: str
    owner: str
    blind_spots: int

    @property
    def short(self) -> str:
        """As commands take it: the root namespace goes without saying."""
        return self.name if self.namespace == ROOT_NAMESPACE else f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which incidents. `severity`: this one and graver ones."""

    severity: str = "P4"
    open: bool = True
    closed: bool = False


def is_open(one: Incident) -> bool:
    """By what people said, which the operator's condition follows."""
    return condition(one.status.conditions, "Closed").status != "True" and not one.spec.closed and one.spec.disposition not in ("FalsePositive", "Benign")


def incident_rows(incidents: Iterable[Incident], asked: Asked) -> list[IncidentRow]:
    """Open ones first, the gravest of them first, then the newest."""
    rows = [_row(one) for one in incidents]
    chosen = [row for row in rows if (row.severity or "P1") <= asked.severity and (asked.open if row.open else asked.closed)]
    newest = sorted(chosen, key=lambda row: row.last, reverse=True)
    return sorted(newest, key=lambda row: (not row.open, row.severity or "P1"))


def _row(one: Incident) -> IncidentRow:
    status = one.status
    return IncidentRow(
        name=one.metadata.name,
        namespace=one.metadata.namespace,
        severity=status.severity,
        began=status.times.began or one.metadata.creation_timestamp,
        last=status.last_detected_at,
        title=status.title or "not written yet",
        where=where_of(status.entities),
        who=who_of(status.entities),
        detections=status.detections,
        attack=status.attack,
        open=is_open(one),
        disposition=one.spec.disposition,
        owner=one.spec.owner,
        blind_spots=len(status.blind_spots),
    )


def where_of(entities: Iterable[Entity]) -> str:
    """The pod or workload that most detections name; else the node; else whatever they are about."""
    known = list(entities)
    places = (
        [one for one in known if one.kind in PLACE_KINDS] or [one for one in known if one.kind in NODE_KINDS] or [one for one in known if one.role == "target"]
    )
    return _named(places, lambda one: (-one.detections, PLACE_KINDS.index(one.kind) if one.kind in PLACE_KINDS else 0))


def who_of(entities: Iterable[Entity]) -> str:
    """The identity that most detections name; else where it came from."""
    known = list(entities)
    people = [one for one in known if one.role == "identity"] or [
        one for one in known if one.role in ("actor", "origin") and one.kind not in (*PLACE_KINDS, *NODE_KINDS, "image")
    ]
    return _named(people, lambda one: (-one.detections,))


def _named(entities: list[Entity], order: Callable[[Entity], tuple[int, ...]]) -> str:
    if not entities:
        return ""
    chosen = min(entities, key=order)
    return chosen.name or chosen.id


def state_words(row: IncidentRow) -> str:
    """What people said of it."""
    words = [WORDS.get(row.disposition, row.disposition)] if row.disposition else []
    if not row.open:
        words.append("closed")
    elif row.owner:
        words.append(row.owner)
    return ", ".join(words) or "nobody has it"


def table_rows(rows: Iterable[IncidentRow], now: int) -> list[Row]:
    """One line each, under HEADINGS: for grep and awk, and for wide terminals."""
    return [
        Row(
            (
                Cell(row.severity or "?"),
                Cell(ago(row.began, now)),
                Cell(row.short),
                Cell(state_words(row)),
                Cell(row.where or "-"),
                Cell(row.who or "-"),
                Cell(row.title),
            )
        )
        for row in rows
    ]


def terminal_rows(rows: Iterable[IncidentRow], now: int) -> list[Row]:
    """Under SHORT_HEADINGS: what happened beside its name; where, who and the rest below."""
    return [_terminal_row(row, now) for row in rows]


def _terminal_row(row: IncidentRow, now: int) -> Row:
    severity = row.severity or "?"
    cells = (
        Cell(severity, SEVERITIES.get(severity, "") if row.open else DIM),
        Cell(ago(row.began, now)),
        Cell(row.short),
        Cell(row.title, BOLD if row.open else ""),
    )
    place = [f"in {row.where}" if row.where else "", f"by {row.who}" if row.who else ""]
    facts = [plural(row.detections, "detection"), f"the latest {ago(row.last, now)} ago" if row.last else "", " ".join(row.attack)]
    if row.blind_spots:
        facts.append(plural(row.blind_spots, "blind spot"))
    return Row(cells, (Cell(" ".join(filter(None, place)), DIM), Cell("; ".join(filter(None, (state_words(row), *facts))), DIM)))
