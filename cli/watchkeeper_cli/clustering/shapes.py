"""Parts of objects that people are shown. Statuses that are not there yet are empty ones."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from watchkeeper_operator.shapes import Metadata

Texts: TypeAlias = tuple[str, ...]


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""


Conditions: TypeAlias = tuple[Condition, ...]


def condition(conditions: Conditions, type_: str) -> Condition:
    """The one of this type; Unknown where nothing is said."""
    return next((one for one in conditions if one.type == type_), Condition(type_, "Unknown", "NotYetSeen"))


class Failing(msgspec.Struct, frozen=True):
    reason: str
    node: str = ""


class Nodes(msgspec.Struct, frozen=True, rename="camel"):
    """Of a Sensor (`selected` and below) or a policy (`total`, `in_force`)."""

    selected: int = 0
    reporting: int = 0
    current: int = 0
    blind: int = 0
    total: int = 0
    in_force: int = 0
    failing: tuple[Failing, ...] = ()


class SensorStatus(msgspec.Struct, frozen=True, rename="camel"):
    version: str = ""
    nodes: Nodes = Nodes()
    conditions: Conditions = ()


class Sensor(msgspec.Struct, frozen=True):
    metadata: Metadata
    status: SensorStatus = SensorStatus()


class Loss(msgspec.Struct, frozen=True):
    cause: str
    records: int


class NodeStatus(msgspec.Struct, frozen=True, rename="camel"):
    version: str = ""
    heard_at: str = ""
    blind_spots: Texts = ()
    lost: tuple[Loss, ...] = ()
    conditions: Conditions = ()


class NodeSpec(msgspec.Struct, frozen=True):
    sensor: str = ""


class NodeSensor(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Gap(msgspec.Struct, frozen=True):
    since: str
    reason: str
    until: str = ""
    records: int | None = None


class BlindRule(msgspec.Struct, frozen=True):
    policy: str
    rule: str
    reason: str


class Coverage(msgspec.Struct, frozen=True, rename="camel"):
    tested_at: str = ""
    sent: int = 0
    arrived: int = 0
    rules: int = 0
    blind: int = 0
    blind_rules: tuple[BlindRule, ...] = ()


class LogStatus(msgspec.Struct, frozen=True, rename="camel"):
    last_record_at: str = ""
    records_per_second: int = 0
    lag_milliseconds: int | None = None
    truncated: int = 0
    missing: int = 0
    gaps: tuple[Gap, ...] = ()
    coverage: Coverage | None = None
    conditions: Conditions = ()


class LogSpec(msgspec.Struct, frozen=True):
    type: str = ""


class LogSource(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: LogSpec = LogSpec()
    status: LogStatus = LogStatus()


class InForce(msgspec.Struct, frozen=True):
    generation: int = 0
    since: str = ""


class PolicyStatus(msgspec.Struct, frozen=True, rename="camel"):
    nodes: Nodes | None = None
    in_force: InForce | None = None
    conditions: Conditions = ()


class AnyRule(msgspec.Struct, frozen=True):
    """Counted only."""


class PolicySpec(msgspec.Struct, frozen=True):
    title: str = ""
    mode: str = "Detect"
    enabled: bool = True
    rules: tuple[AnyRule, ...] = ()


class Policy(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: PolicySpec = PolicySpec()
    status: PolicyStatus = PolicyStatus()


class Entity(msgspec.Struct, frozen=True):
    role: str
    kind: str
    id: str
    name: str = ""
    detections: int = 1


class Entry(msgspec.Struct, frozen=True):
    at: str
    what: str
    message: str
    policy: str = ""
    rule: str = ""
    severity: str = ""
    count: int = 1
    detection: str = ""


class Times(msgspec.Struct, frozen=True):
    began: str = ""
    recorded: str = ""
    received: str = ""
    detected: str = ""
    acknowledged: str = ""
    declared: str = ""
    contained: str = ""
    eradicated: str = ""
    closed: str = ""


class IncidentStatus(msgspec.Struct, frozen=True, rename="camel"):
    title: str = ""
    summary: str = ""
    severity: str = ""
    confidence: str = ""
    detections: int = 0
    last_detected_at: str = ""
    times: Times = Times()
    policies: Texts = ()
    attack: Texts = ()
    entities: tuple[Entity, ...] = ()
    timeline: tuple[Entry, ...] = ()
    entities_left_out: int = 0
    entries_left_out: int = 0
    next_steps: Texts = ()
    blind_spots: Texts = ()
    related: Texts = ()
    conditions: Conditions = ()


class IncidentSpec(msgspec.Struct, frozen=True):
    """What people say."""

    disposition: str = ""
    owner: str = ""
    note: str = ""
    closed: bool = False


class Incident(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: IncidentSpec = IncidentSpec()
    status: IncidentStatus = IncidentStatus()
