"""A verdict and what the nodes confirmed → the status that is written to a policy, an exception or a list. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.policy import ROOT_NAMESPACE
from watchkeeper_detection.policy.errors import printable
from watchkeeper_detection.policy.policy_status import FAILING_NAMED
from watchkeeper_detection.vocabulary import kernel
from watchkeeper_operator.policy_objects import EXCEPTION, LIST, POLICY, Key
from watchkeeper_operator.resources.conditions import Reason, Said, Type, carried_on
from watchkeeper_operator.sensors.nodes import is_silent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
class Stand:
    """Where a node stands, for all policies at once.

    trouble    why it holds none of them that can be relied on; ""
    confirmed  the latest judgement of which it holds everything
    refused    policy, as `namespace/name` → why it does not hold it, or a rule of it
    """

    name: str
    wanted: frozenset[Key]
    trouble: str
    confirmed: int
    refused: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """All that statuses are made of.

    since     object → number of the judgement that brought what is in force of it
    stands    of the nodes that a Sensor watches, by name
    on_nodes  (namespace, name) of policies of which nodes judge a part
    at        now, RFC 3339
    """

    judged: Judged
    since: Mapping[Key, int]
    stands: Sequence[Stand]
    on_nodes: frozenset[tuple[str, str]]
    held: Mapping[Key, Held]
    at: str


def stands_of(nodes: Iterable[tuple[Node, Heard | None]], shares: Shares, now: int) -> list[Stand]:
    """`now`: ns since the epoch."""
    return [_stand(node, heard, shares, now) for node, heard in nodes]


def _stand(node: Node, heard: Heard | None, shares: Shares, now: int) -> Stand:
    uid = node.metadata.uid
    wanted = shares.wanted.get(uid, frozenset())
    if heard is None:
        return Stand(node.metadata.name, wanted, "no sensor was heard", -1, {})
    trouble = "the sensor is silent" if is_silent(heard, now) else ""
    refused: dict[str, str] = {}
    for one in heard.state.not_in_force:
        refused.setdefault("/".join(one.policy.split("/")[:2]), printable(one.reason)[:REASON_CHARACTERS].strip() or "refused")
    return Stand(node.metadata.name, wanted, trouble, shares.confirmed(uid, heard.state.policies_revision), refused)


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
        said.append(in_force(verdict, nodes, watched=len(known.stands)))
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
    key = written.key
    since, name = known.since.get(key, 0), f"{key.namespace}/{key.name}" if key.kind == POLICY else ""
    total, failing = 0, []
    for stand in known.stands:
        if key in stand.wanted:
            total += 1
            if why := stand.trouble or stand.refused.get(name) or ("" if stand.confirmed >= since else "it has an older revision"):
                failing.append((stand.name, why))
    counts: dict[str, Any] = {"total": total, "inForce": total - len(failing)}
    if failing:
        named = key.namespace == ROOT_NAMESPACE
        counts["failing"] = [({"node": node} if named else {}) | {"reason": why} for node, why in failing[:FAILING_NAMED]]
    return counts


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
