"""A verdict and what the nodes confirmed → the status that is written to a policy, an exception or a list. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.policy import ROOT_NAMESPACE
from watchkeeper_detection.policy.policy_status import FAILING_NAMED
from watchkeeper_detection.vocabulary import kernel
from watchkeeper_operator.policy_objects import EXCEPTION, LIST, POLICY, Key
from watchkeeper_operator.resources.conditions import Reason, Said, Type, carried_on
from watchkeeper_operator.sensors.nodes import is_silent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchkeeper_detection.program import Program
    from watchkeeper_operator.policy_verdicts import Judged, Verdict
    from watchkeeper_operator.sensors.nodes import Heard, Node
    from watchkeeper_operator.sensors.shares import Shares

KERNEL_KINDS = frozenset(kind.name for kind in kernel.KINDS)
REASON_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Held:
    """What an exception held back so far. `last`: RFC 3339, empty: never."""

    count: int = 0
    last: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """All that statuses are made of.

    nodes     that a Sensor watches, with what was heard of them
    on_nodes  (namespace, name) of policies of which nodes judge a part
    now, at   ns since the epoch, and the same as RFC 3339
    """

    judged: Judged
    shares: Shares
    nodes: Sequence[tuple[Node, Heard | None]]
    on_nodes: frozenset[tuple[str, str]]
    held: Mapping[Key, Held]
    now: int
    at: str


def on_nodes(program: Program) -> frozenset[tuple[str, str]]:
    """(namespace, name) of policies of which nodes judge a part."""
    found = set()
    for rule in program.rules:
        kinds = set(rule.kinds).union(*(step.kinds for step in rule.sequence.steps)) if rule.sequence else set(rule.kinds)
        if not KERNEL_KINDS.isdisjoint(kinds):
            found.add((rule.namespace, rule.policy))
    return frozenset(found)


def status_of(verdict: Verdict, before: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """What is to be written; equal to `before` where nothing is new."""
    key, generation = verdict.written.key, verdict.written.generation
    said = [Said(Type.ACCEPTED, verdict.accepted, verdict.reason, verdict.message)]
    status: dict[str, Any] = {"observedGeneration": generation}
    if key.kind != LIST:
        nodes = nodes_of(verdict, known)
        said.append(in_force(verdict, nodes, watched=len(known.nodes)))
        if nodes is not None:
            status["nodes"] = nodes
    if key.kind == POLICY and (revision := _revision(verdict, before, known)) is not None:
        status["inForce"] = revision
    if key.kind == EXCEPTION:
        held = known.held.get(key, Held())
        status |= {"heldBack": held.count} | ({"lastHeldBack": held.last} if held.last else {})
    status["conditions"] = carried_on(before.get("conditions") or (), said, generation=generation, now=known.at)
    return status


def policy_key(verdict: Verdict) -> Key:
    """The policy that a verdict is about: an exception's own, which may lie in root."""
    key = verdict.written.key
    return key if key.kind == POLICY else Key(POLICY, key.namespace, str(verdict.written.spec.get("policy", "")))


def nodes_of(verdict: Verdict, known: Known) -> dict[str, Any] | None:
    """`PolicyNodes`; None where no node has a part in it."""
    written, place = verdict.in_force, policy_key(verdict)
    if written is None or not {(place.namespace, place.name), (ROOT_NAMESPACE, place.name)} & known.on_nodes:
        return None
    meant = [(node, heard) for node, heard in known.nodes if known.shares.is_meant(written.key, node.metadata.uid)]
    failing = [(node.metadata.name, why) for node, heard in meant if (why := _why_not(verdict, node, heard, known))]
    counts: dict[str, Any] = {"total": len(meant), "inForce": len(meant) - len(failing)}
    if failing:
        named = written.key.namespace == ROOT_NAMESPACE
        counts["failing"] = [({"node": node} if named else {}) | {"reason": why} for node, why in failing[:FAILING_NAMED]]
    return counts


def _why_not(verdict: Verdict, node: Node, heard: Heard | None, known: Known) -> str:
    """Why the node does not hold it; "" when it does."""
    if heard is None:
        return "no sensor was heard"
    if is_silent(heard, known.now):
        return "the sensor is silent"
    key = verdict.written.key
    name = f"{key.namespace}/{key.name}"
    for one in heard.state.not_in_force:
        if key.kind == POLICY and (one.policy == name or one.policy.startswith(f"{name}/")):
            return one.reason[:REASON_CHARACTERS] or "refused"
    return "" if known.shares.holds(key, node.metadata.uid, heard.state.policies_revision) else "it has an older revision"


def in_force(verdict: Verdict, nodes: Mapping[str, Any] | None, *, watched: int) -> Said:
    """Whether this generation holds wherever it is meant to. `watched`: nodes with a sensor."""
    written = verdict.in_force
    if written is None:
        return Said(Type.IN_FORCE, False, Reason.NOT_ACCEPTED)
    if verdict.written.key.kind == POLICY and verdict.accepted and written.spec.get("enabled") is False:
        return Said(Type.IN_FORCE, False, Reason.DISABLED)
    where = "" if nodes is None else f"on {nodes['inForce']} of {nodes['total']} nodes"
    if not verdict.accepted and written.revision != verdict.written.revision:
        return Said(Type.IN_FORCE, False, Reason.LAST_GOOD, f"generation {written.generation} is in force {where}".strip())
    if nodes is None:
        return Said(Type.IN_FORCE, True, Reason.IN_OPERATOR)
    if nodes["total"] == 0 and watched:
        return Said(Type.IN_FORCE, True, Reason.ON_ALL_NODES, "no node runs what it covers")
    if nodes["inForce"] == nodes["total"] > 0:
        return Said(Type.IN_FORCE, True, Reason.ON_ALL_NODES, where)
    return Said(Type.IN_FORCE, False, Reason.ON_SOME_NODES if nodes["inForce"] else Reason.ON_NO_NODE, where)


def _revision(verdict: Verdict, before: Mapping[str, Any], known: Known) -> dict[str, Any] | None:
    """`RevisionInForce`; stays as it was while the same generation is in force."""
    if verdict.in_force is None:
        return None
    was = before.get("inForce") or {}
    if was.get("generation") == verdict.in_force.generation:
        return dict(was)
    return {"generation": verdict.in_force.generation, "revision": known.judged.revision, "since": known.at}
