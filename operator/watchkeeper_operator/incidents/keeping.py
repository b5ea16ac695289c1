"""Incidents between the store's rows and what is decided over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_operator.incidents.deciding import Standing, opens
from watchkeeper_operator.incidents.explaining import judged
from watchkeeper_operator.incidents.joining import MINUTE_NS, WINDOW_NS, Span
from watchkeeper_operator.incidents.notices import notices_of
from watchkeeper_operator.incidents.shares import scope_of
from watchkeeper_operator.incidents.summary import decode, encode
from watchkeeper_operator.store.incident_objects import touch_sharing
from watchkeeper_operator.store.incidents import add_detections, incident_rows, incidents_near, merge_into, put_incidents
from watchkeeper_operator.store.notices import add_notices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from watchkeeper_operator.incidents.deciding import Arrived, Outcome

POLICY_CHARACTERS = 130
BESIDE_NS = 2 * MINUTE_NS
"""Of an incident's times: what makes none and comes then is written into its object, such as the exec in the audit log by which a shell came into a pod."""

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Kept:
    """What was written: how many detections were new, and which incidents changed."""

    detections: int
    changed: frozenset[str]


def standing_near(connection: Connection, spans: Mapping[str, tuple[int, int]]) -> list[Standing]:
    """The incidents that what has these keys could join."""
    keys = incidents_near(connection, spans, WINDOW_NS)
    return [standing_of(row, keys[name]) for name, row in incident_rows(connection, keys).items()]


def standing_of(row: Row[Any], keys: Mapping[str, tuple[int, int]]) -> Standing:
    return Standing(
        id=row.id,
        scope=row.scope,
        opened_by=row.opened_by,
        opened_at=row.opened_at,
        summary=decode(row.content),
        spans={key: Span(first, last) for key, (first, last) in keys.items()},
        judged=bool(row.disposition or row.owner),
    )


def keep(connection: Connection, outcome: Outcome, new: Sequence[Arrived], *, receivers: Iterable[str], now: int) -> Kept:
    """Write an outcome: detections, incidents and what became of them, and what receivers are to be told."""
    before = incident_rows(connection, outcome.incidents)
    rows = [_row(one, before.get(name), now) for name, one in outcome.incidents.items()]
    keys = [
        {"key": key, "incident": name, "first": span.first, "last": span.last} for name, one in outcome.incidents.items() for key, span in one.spans.items()
    ]
    moments = [
        {"incident": name, "moment": moment, "at": at}
        for name, one in outcome.opened.items()
        for moment, at in (("t1", one.detection.observed_at), ("t2", one.received_at), ("t3", now))
    ]
    for gone, kept in outcome.merged.items():
        merge_into(connection, gone, kept, now=now)
    put_incidents(connection, rows, keys, moments)
    context = _context(new)
    add_detections(connection, [_detection_row(one, outcome.members.get(one.detection.id, ""), now) for one in new], context)
    touch_sharing(connection, _times(context), BESIDE_NS, now=now)
    severities = {name: judged(decode(row.content)).severity for name, row in before.items()}
    add_notices(connection, notices_of(outcome.incidents.values(), severities, receivers=receivers, now=now))
    return Kept(len(new), frozenset(outcome.incidents) | frozenset(outcome.merged))


def _row(one: Standing, before: Row[Any] | None, now: int) -> dict[str, Any]:
    said = {name: getattr(before, name) if before is not None else empty for name, empty in SAID.items()}
    said["archived_at"] = 0  # something has happened: it is an object again
    return {
        "id": one.id,
        "scope": one.scope,
        "severity": judged(one.summary).severity,
        "opened_by": one.opened_by,
        "opened_at": one.opened_at,
        "first_seen": one.summary.first,
        "last_seen": one.summary.last,
        "changed_at": now if before is None else max(now, before.changed_at + 1),
        "content": encode(one.summary),
        **said,
    }


SAID: dict[str, Any] = {"written_at": 0, "closed_at": 0, "archived_at": 0, "merged_into": "", "disposition": "", "owner": ""}
"""What others than the intake write of an incident, as it begins."""


def _detection_row(one: Arrived, incident: str, now: int) -> dict[str, Any]:
    detection = one.detection
    return {
        "id": detection.id,
        "observed_at": detection.observed_at,
        "stored_at": now,
        "scope": _text(scope_of(detection)),
        "policy": _text(detection.policy),
        "severity": detection.severity,
        "incident": incident,
        "content": _encode(detection),
    }


def _context(new: Iterable[Arrived]) -> list[dict[str, Any]]:
    return [
        {"key": share.key(scope_of(one.detection)), "observed_at": one.detection.observed_at, "detection": one.detection.id}
        for one in new
        if not opens(one)
        for share in one.shares
    ]


def _times(context: Iterable[Mapping[str, Any]]) -> dict[str, set[int]]:
    """Key → when what makes no incident had it."""
    found: dict[str, set[int]] = {}
    for row in context:
        found.setdefault(row["key"], set()).add(row["observed_at"])
    return found


def _text(text: str) -> str:
    """PostgreSQL keeps no NUL in a text."""
    return text.replace("\0", "")[:POLICY_CHARACTERS]
