"""How Watchkeeper does in a cluster, from what was read of it: what is blind, open incidents, and each part. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from watchkeeper_cli.clustering.blind import Blind, blind_in, is_led
from watchkeeper_cli.clustering.door import Unread
from watchkeeper_cli.clustering.facts import COLLECTOR, OPERATOR
from watchkeeper_cli.clustering.incident_rows import is_open
from watchkeeper_cli.clustering.moments import ago
from watchkeeper_cli.clustering.policy_rows import PolicyRow, policy_rows
from watchkeeper_cli.clustering.processes import Lease
from watchkeeper_cli.clustering.shapes import condition
from watchkeeper_cli.output.text import plural

if TYPE_CHECKING:
    from watchkeeper_cli.clustering.facts import Facts
    from watchkeeper_cli.clustering.processes import ConfigMap, Deployment
    from watchkeeper_cli.clustering.shapes import LogSource, Sensor

T = TypeVar("T")
SEVERITIES = ("P1", "P2", "P3", "P4")


class Line(msgspec.Struct, frozen=True):
    """One object and how it does, in words."""

    name: str
    says: str
    well: bool


class Process(msgspec.Struct, frozen=True):
    """A Deployment of ours. `says`: why it is not ready, or who leads."""

    wanted: int
    ready: int
    says: str = ""


class Incidents(msgspec.Struct, frozen=True):
    """Open ones, by severity; `unowned`: those that nobody has; `newest`: how long ago the latest detection was."""

    open: dict[str, int]
    unowned: int = 0
    newest: str = ""


class Policies(msgspec.Struct, frozen=True, rename="camel"):
    total: int
    accepted: int
    in_force: int
    disabled: int
    failing: tuple[PolicyRow, ...] = ()


class Paused(msgspec.Struct, frozen=True):
    by: str
    at: str
    reason: str


class Overview(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """None: it could not be read, `unread` says why."""

    context: str
    blind: tuple[Blind, ...]
    incidents: Incidents | None
    paused: Paused | None
    operator: Process | None
    collector: Process | None
    sensors: tuple[Line, ...] | None
    log_sources: tuple[Line, ...] | None
    policies: Policies | None
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def knows_nothing(self) -> bool:
        """Of none of our objects anything could be read."""
        return self.incidents is None and self.policies is None and self.sensors is None and self.log_sources is None

    @property
    def is_well(self) -> bool:
        """Nothing is blind, nothing was left unread, and responses are not paused."""
        return not (self.blind or self.unread or self.paused)


def overview(facts: Facts, context: str, now: int) -> Overview:
    """`now`: ns since the epoch."""
    unread = [*(part for part in vars_of(facts) if isinstance(part, Unread))]
    sensors, logs, policies = read(facts.sensors), read(facts.log_sources), read(facts.policies)
    return Overview(
        context=context,
        blind=tuple(blind_in(facts, now)),
        incidents=_incidents(facts, now),
        paused=paused_by(facts.paused),
        operator=_process(facts.deployments[OPERATOR], _leader(facts.lease, now)),
        collector=_process(facts.deployments[COLLECTOR], ""),
        sensors=None if sensors is None else tuple(map(_sensor, sensors)),
        log_sources=None if logs is None else tuple(_log(one, now) for one in logs),
        policies=None if policies is None else _policies(policy_rows(policies)),
        unread=tuple(dict.fromkeys(part.why for part in unread)),
        notes=facts.notes,
    )


def vars_of(facts: Facts) -> list[object]:
    """Every part. Of nodes none has to be read: without them it is not known whether some have no sensor."""
    parts: list[object] = [facts.sensors, facts.node_sensors, facts.log_sources, facts.policies, facts.incidents, facts.lease, facts.paused]
    return [*parts, *facts.deployments.values()]


def read(part: list[T] | Unread) -> list[T] | None:
    return None if isinstance(part, Unread) else part


def paused_by(found: ConfigMap | Unread | None) -> Paused | None:
    if found is None or isinstance(found, Unread):
        return None
    return Paused(found.data.get("by", "?"), found.data.get("at", "") or found.metadata.creation_timestamp, found.data.get("reason", ""))


def _incidents(facts: Facts, now: int) -> Incidents | None:
    if isinstance(facts.incidents, Unread):
        return None
    found = [one for one in facts.incidents if is_open(one)]
    counts = {severity: sum(one.status.severity == severity for one in found) for severity in SEVERITIES}
    newest = max((one.status.last_detected_at for one in found), default="")
    return Incidents(
        {severity: count for severity, count in counts.items() if count},
        sum(not one.spec.owner and not one.spec.disposition for one in found),
        ago(newest, now) if newest else "",
    )


def _process(found: Deployment | Unread | None, leader: str) -> Process | None:
    if isinstance(found, Unread):
        return None
    if found is None:
        return Process(0, 0, "not installed")
    said = condition(found.status.conditions, "Available")
    why = said.message if said.status == "False" and not leader else ""
    return Process(found.spec.replicas, found.status.ready_replicas, leader or why)


def _leader(lease: Lease | Unread | None, now: int) -> str:
    if lease is None or isinstance(lease, Unread):
        return ""
    spec = lease.spec
    if not is_led(lease, now):
        return f"nobody leads; {spec.holder_identity or 'the last one'} was last heard {ago(spec.renew_time, now)} ago"
    return f"{spec.holder_identity} leads, for {ago(spec.acquire_time, now)} (epoch {spec.lease_transitions})"


def _sensor(one: Sensor) -> Line:
    nodes, accepted, ready = one.status.nodes, condition(one.status.conditions, "Accepted"), condition(one.status.conditions, "Ready")
    if accepted.status == "False":
        return Line(one.metadata.name, f"not accepted: {accepted.message or accepted.reason}", well=False)
    if ready.status == "Unknown":
        return Line(one.metadata.name, "the operator has not looked at it yet", well=False)
    blind = f", {nodes.blind} blind" if nodes.blind else ""
    words = (
        f"{nodes.reporting} of {plural(nodes.selected, 'node')} {'report' if nodes.selected != 1 else 'reports'}{blind}; version {one.status.version or '?'}"
    )
    if ready.reason == "RollingOut":
        words += f" on {nodes.current}, the others follow"
    return Line(one.metadata.name, words, well=ready.status == "True" and not nodes.blind)


def _log(one: LogSource, now: int) -> Line:
    status = one.status
    receiving, complete, covered = (condition(status.conditions, word) for word in ("Receiving", "Complete", "Covered"))
    parts = [{"True": "connected", "False": "silent"}.get(receiving.status, "nothing received yet")]
    if receiving.reason == "NeverSeen":
        parts = ["never connected"]
    if status.lag_milliseconds is not None:
        parts.append(f"{status.lag_milliseconds / 1000:.1f} s late")
    if status.last_record_at:
        parts.append(f"last record {ago(status.last_record_at, now)} ago")
    if status.missing:
        parts.append(plural(status.missing, "gap"))
    if status.truncated:
        parts.append(f"{plural(status.truncated, 'event')} truncated")
    coverage = status.coverage
    parts.append(f"{coverage.blind} of {plural(coverage.rules, 'rule')} blind" if coverage else "coverage not tested yet")
    well = receiving.status == "True" and covered.status == "True" and complete.status != "False"
    return Line(one.metadata.name, ", ".join(parts), well=well)


def _policies(rows: list[PolicyRow]) -> Policies:
    return Policies(
        total=len(rows),
        accepted=sum(row.accepted == "True" for row in rows),
        in_force=sum(row.in_force == "True" for row in rows),
        disabled=sum(row.reason == "Disabled" for row in rows),
        failing=tuple(row for row in rows if row.is_failing),
    )
