"""What the operator says about policies and exceptions: accepted, in force where, and what exceptions held back."""

from typing import Annotated

from pydantic import Field

from watchkeeper_detection.policy.model import Model, Number, Status
from watchkeeper_detection.policy.shapes import Instant, NodeName, Sentence, Tag

FAILING_NAMED = 10


class FailingNode(Model):
    """A node where something does not hold, and why."""

    node: NodeName | None = Field(default=None, description="The node's name. Left out of objects outside the root namespace: tenants see counts only.")
    reason: Sentence = Field(description="Why, as the node says it.")


class PolicyNodes(Model):
    """On how many nodes a policy is in force."""

    total: Number = Field(description="Nodes with a sensor that the policy is meant for.")
    in_force: Number = Field(description="Those of them that confirmed this revision.")
    failing: Annotated[tuple[FailingNode, ...], Field(max_length=FAILING_NAMED)] = Field(default=(), description="The first ten others, each with its reason.")


class RevisionInForce(Model):
    """What is in force, which is not this generation while that is not accepted."""

    generation: Number = Field(description="The generation of the object that is in force: the last that was accepted.")
    revision: Tag = Field(description="The revision of all policies together that carries it: what nodes confirm.")
    since: Instant = Field(description="Since when.")


class RuntimePolicyStatus(Status):
    """What Watchkeeper made of a policy. Written by the operator only."""

    nodes: PolicyNodes | None = Field(default=None, description="On how many nodes it is in force, and why not on the others.")
    in_force: RevisionInForce | None = Field(default=None, description="What is in force. Left out while nothing is.")


class PolicyExceptionStatus(Status):
    """What Watchkeeper made of an exception. Written by the operator only."""

    nodes: PolicyNodes | None = Field(default=None, description="On how many nodes it is in force, and why not on the others.")
    held_back: Number | None = Field(default=None, description="How many detections it held back so far. They are kept.")
    last_held_back: Instant | None = Field(default=None, description="When it last held one back. Left out: it was never used.")
