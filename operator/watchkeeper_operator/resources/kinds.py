"""Our kinds as the API server serves them: names, scope, columns of `kubectl get`, fields to select by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchkeeper_detection.policy import PolicyException, PolicyList, RuntimePolicy
from watchkeeper_operator.resources.conditions import Type
from watchkeeper_operator.resources.incident import Incident
from watchkeeper_operator.resources.log_source import LogSource
from watchkeeper_operator.resources.node_sensor import NodeSensor
from watchkeeper_operator.resources.response_action import ResponseAction
from watchkeeper_operator.resources.response_approval import ResponseApproval
from watchkeeper_operator.resources.sensor import Sensor

if TYPE_CHECKING:
    from watchkeeper_detection.policy import Resource


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; `wide` ones are shown with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object. `selectable`: paths for `--field-selector`, eight at most."""

    model: type[Resource]
    plural: str
    short: str
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()
    namespaced: bool = True

    @property
    def name(self) -> str:
        return self.model.__name__


def condition(type_: Type, *, wide: bool = False) -> Column:
    return Column(type_.value, f'.status.conditions[?(@.type=="{type_}")].status', wide=wide)


def reason(type_: Type) -> Column:
    return Column("Reason", f'.status.conditions[?(@.type=="{type_}")].reason', wide=True)


ACCEPTED = (condition(Type.ACCEPTED), reason(Type.ACCEPTED))
AGE = Column("Age", ".metadata.creationTimestamp", "date")
NODES = (Column("In force", ".status.nodes.inForce", "integer"), Column("Nodes", ".status.nodes.total", "integer"))

KINDS = (
    Kind(
        RuntimePolicy,
        "runtimepolicies",
        "wkpol",
        (
            *(Column("Mode", ".spec.mode"), Column("Enabled", ".spec.enabled", "boolean"), *ACCEPTED, *NODES),
            *(Column("Title", ".spec.title", wide=True), AGE),
        ),
        (".spec.mode", ".spec.enabled"),
    ),
    Kind(
        PolicyException,
        "policyexceptions",
        "wkexc",
        (
            *(Column("Policy", ".spec.policy"), Column("Owner", ".spec.owner"), Column("Until", ".spec.until"), *ACCEPTED),
            *(Column("Held back", ".status.heldBack", "integer"), AGE),
        ),
        (".spec.policy",),
    ),
    Kind(PolicyList, "policylists", "wklist", (*ACCEPTED, Column("Description", ".spec.description", wide=True), AGE)),
    Kind(
        Sensor,
        "sensors",
        "wksensor",
        (
            *(condition(Type.READY), Column("Nodes", ".status.nodes.selected", "integer"), Column("Reporting", ".status.nodes.reporting", "integer")),
            *(Column("Blind", ".status.nodes.blind", "integer"), Column("Version", ".status.version"), *ACCEPTED, AGE),
        ),
        namespaced=False,
    ),
    Kind(
        NodeSensor,
        "nodesensors",
        "wknode",
        (
            *(condition(Type.CONNECTED), condition(Type.IN_FORCE), condition(Type.SEEING), Column("Rules", ".status.policies.rules", "integer")),
            *(Column("Version", ".status.version"), Column("Kernel", ".status.kernel", wide=True), Column("Sensor", ".spec.sensor", wide=True), AGE),
        ),
        (".spec.sensor", ".status.version"),
        namespaced=False,
    ),
    Kind(
        LogSource,
        "logsources",
        "wklog",
        (
            *(Column("Type", ".spec.type"), condition(Type.RECEIVING), condition(Type.COMPLETE), condition(Type.COVERED)),
            *(Column("Last record", ".status.lastRecordAt", "date"), Column("Blind rules", ".status.coverage.blind", "integer"), *ACCEPTED, AGE),
        ),
        (".spec.type",),
        namespaced=False,
    ),
    Kind(
        Incident,
        "incidents",
        "wkinc",
        (
            *(Column("Severity", ".status.severity"), Column("Title", ".status.title"), Column("Detections", ".status.detections", "integer")),
            *(condition(Type.CLOSED), Column("Disposition", ".spec.disposition"), Column("Owner", ".spec.owner")),
            *(condition(Type.ACKNOWLEDGED, wide=True), condition(Type.CONTAINED, wide=True)),
            *(Column("Last", ".status.lastDetectedAt", "date"), AGE),
        ),
        (".spec.disposition", ".spec.owner", ".spec.closed", ".status.severity"),
    ),
    Kind(
        ResponseAction,
        "responseactions",
        "wkact",
        (
            *(Column("Action", ".spec.action"), Column("Target", ".spec.target.name"), condition(Type.APPROVED), condition(Type.EXECUTED)),
            *(condition(Type.VERIFIED), condition(Type.SUCCEEDED), reason(Type.SUCCEEDED), Column("Incident", ".spec.incident", wide=True)),
            *(Column("Requester", ".spec.requester", wide=True), Column("Expires", ".status.expiresAt", wide=True), AGE),
        ),
        (".spec.action", ".spec.target.uid", ".spec.incident", ".spec.requester"),
    ),
    Kind(
        ResponseApproval,
        "responseapprovals",
        "wkapp",
        (
            *(Column("Action", ".spec.action"), Column("Decision", ".spec.decision"), Column("Approver", ".spec.approver")),
            *(condition(Type.COUNTED), reason(Type.COUNTED), AGE),
        ),
        (".spec.action", ".spec.actionUID"),
    ),
)
