"""Sensor: which nodes are watched, and how much that may take."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictInt

from watchkeeper_detection.policy import LabelSelector, Model, Resource, Status
from watchkeeper_detection.policy.model import STATUS, Across, Keyed, Number
from watchkeeper_detection.policy.policy_status import FAILING_NAMED, FailingNode
from watchkeeper_operator.resources.texts import ApiVersion, ClusterMetadata, KindPattern, Quantity, TaintKey, TaintValue, Version


def _value_fits(written: Mapping[str, Any]) -> bool:
    return written.get("operator") != "Exists" or "value" not in written


def _key_fits(written: Mapping[str, Any]) -> bool:
    return "key" in written or written.get("operator") == "Exists"


class Toleration(Model):
    """A taint that does not keep the sensor away."""

    ACROSS: ClassVar[tuple[Across, ...]] = (
        Across("!has(self.operator) || self.operator != 'Exists' || !has(self.value)", "with operator Exists a toleration has no value", _value_fits),
        Across("has(self.key) || (has(self.operator) && self.operator == 'Exists')", "a toleration without key needs operator Exists", _key_fits),
    )

    key: TaintKey | None = Field(default=None, description="The taint's key. Left out, with operator `Exists`: every taint.")
    operator: Literal["Equal", "Exists"] | None = Field(default=None, description="How the taint's value relates to `value`. Default: `Equal`.")
    value: TaintValue | None = Field(default=None, description="The taint's value, for `Equal`. Default: the empty one.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(default=None, description="The taint's effect. Default: all of them.")


class Amounts(Model):
    """Processor time and memory."""

    cpu: Quantity | None = Field(default=None, description="Processors: `250m` is a quarter of one.")
    memory: Quantity | None = Field(default=None, description="Memory: `512Mi`.")


class Resources(Model):
    """What the sensor's container asks for, and what it can't exceed."""

    requests: Amounts | None = Field(default=None, description="What a node must have free. Default: 50m and 96Mi.")
    limits: Amounts | None = Field(
        default=None,
        description="What it never exceeds. Default: memory 512Mi, no limit of processor time: a sensor that is held back loses records, and says so.",
    )


class Limits(Model):
    """What the kernel tells at most."""

    records_per_second: Annotated[StrictInt, Field(ge=100, le=1_000_000)] | None = Field(
        default=None,
        description="Records that one container (or the host) may tell in a second of one kind; what is more is counted as lost. "
        "A twentieth of it while the sensor is behind. Default: 20000.",
    )


class SensorSpec(Model):
    node_selector: LabelSelector | None = Field(
        default=None, description="Nodes that are watched, by their labels. Default: all. A node that two Sensors select is the older one's."
    )
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] | None = Field(
        default=None, description="Taints that don't keep the sensor away. Default: every taint is tolerated, so that no node stays unwatched; `[]` is none."
    )
    resources: Resources | None = Field(default=None, description="Processor time and memory of the sensor's container.")
    event_kinds: Annotated[tuple[KindPattern, ...], Field(max_length=64), Keyed()] = Field(
        default=(),
        description="Kinds of events that may be watched on these nodes: `[process.*, network.connect]`. What policies ask for beyond that is shown as blind. "
        "Empty: whatever policies ask for.",
    )
    limits: Limits | None = Field(default=None, description="What the kernel tells at most.")


class SensorNodes(Model):
    """How many nodes are watched."""

    selected: Number = Field(description="Nodes that the Sensor selects.")
    reporting: Number = Field(description="Those of them whose sensor runs and was heard within two minutes.")
    current: Number = Field(default=0, description="Those of them that run this generation and this version.")
    blind: Number = Field(default=0, description="Those that report and don't see all that policies ask for.")
    failing: Annotated[tuple[FailingNode, ...], Field(max_length=FAILING_NAMED)] = Field(
        default=(), description="The first ten that don't report or are blind, each with its reason."
    )


class SensorStatus(Status):
    """State of the sensors of these nodes. Written by the operator only; a node's own is its NodeSensor."""

    version: Version | None = Field(default=None, description="Version that is being run.")
    nodes: SensorNodes | None = Field(default=None, description="How many nodes are watched, and why not the others.")


class Sensor(Resource):
    """Which nodes are watched, what kinds of events, and how much that may take. The operator owns the DaemonSet.

    Cluster-scoped, since its pods are privileged: writing one is for whoever runs the cluster.
    """

    api_version: ApiVersion
    kind: Literal["Sensor"]
    metadata: ClusterMetadata
    spec: SensorSpec = Field(description="Which nodes are watched, and how much that may take; `{}` is all nodes.")
    status: SensorStatus | None = STATUS
