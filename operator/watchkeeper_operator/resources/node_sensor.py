"""NodeSensor: the state of the sensor on one node."""

from typing import Annotated, Literal

from pydantic import Field

from watchkeeper_detection.policy import Model, Resource, Status
from watchkeeper_detection.policy.model import STATUS, Keyed, Number
from watchkeeper_detection.policy.shapes import Instant, Name, Sentence, Tag
from watchkeeper_operator.resources.texts import ApiVersion, NodeMetadata, Qualified, Version, Word

NOT_IN_FORCE_NAMED = 10


class PolicyNotInForce(Model):
    """A policy that this node does not hold."""

    policy: Qualified = Field(description="The policy: `namespace/name`.")
    reason: Sentence = Field(description="Why not.")


class NodePolicies(Model):
    """What is in force on the node."""

    revision: Tag = Field(description="Revision of all policies together that the node confirmed.")
    policies: Number = Field(default=0, description="Policies in force.")
    rules: Number = Field(default=0, description="Rules in force.")
    refused: Number = Field(default=0, description="Policies that the node does not hold.")
    not_in_force: Annotated[tuple[PolicyNotInForce, ...], Field(max_length=NOT_IN_FORCE_NAMED)] = Field(
        default=(), description="The first ten of those, each with its reason."
    )


class NodeHooks(Model):
    """What of the kernel is watched."""

    attached: Number = Field(description="Hooks that are attached.")
    missing: Annotated[tuple[Tag, ...], Field(max_length=64), Keyed()] = Field(default=(), description="Hooks that policies ask for and this kernel has not.")


class Loss(Model):
    """Records that were not told, by cause."""

    cause: Word = Field(description="Why: `rate`, `ring_full`, `preempted`.")
    records: Number = Field(description="How many, since the sensor started.")


class NodeDelivery(Model):
    """Detections on their way from the node to the collector."""

    delivered: Number = Field(default=0, description="Taken by the collector, since the sensor started.")
    waiting: Number = Field(default=0, description="Waiting on the node's disk.")


class NodeSensorSpec(Model):
    sensor: Name = Field(description="The Sensor that this node is watched by. Written by the operator.")


class NodeSensorStatus(Status):
    """State of the sensor on this node, as it was last heard. Written by the operator only, on change and once a minute at most."""

    version: Version | None = Field(default=None, description="Version of the sensor.")
    kernel: Tag | None = Field(default=None, description="The node's kernel: `6.18.0`.")
    started_at: Instant | None = Field(default=None, description="When the sensor started.")
    heard_at: Instant | None = Field(default=None, description="When the collector last heard it, as of the last write.")
    policies: NodePolicies | None = Field(default=None, description="What is in force on the node.")
    hooks: NodeHooks | None = Field(default=None, description="What of the kernel is watched.")
    blind_spots: Annotated[tuple[Sentence, ...], Field(max_length=32), Keyed()] = Field(default=(), description="What the node can't see, in words.")
    lost: Annotated[tuple[Loss, ...], Field(max_length=32), Keyed("cause")] = Field(
        default=(), description="Records that were not told, keyed by cause. Where there are some, the node was blind for them."
    )
    delivery: NodeDelivery | None = Field(default=None, description="Detections on their way.")
    memory_bytes: Number | None = Field(default=None, description="Memory that the sensor takes.")


class NodeSensor(Resource):
    """State of the sensor on one node, by the node's name: kernel, hooks, blind spots, lost records, version, policies in force.

    Made, written and deleted by the operator; the Node owns it.
    """

    api_version: ApiVersion
    kind: Literal["NodeSensor"]
    metadata: NodeMetadata
    spec: NodeSensorSpec = Field(description="Which Sensor it belongs to.")
    status: NodeSensorStatus | None = STATUS
