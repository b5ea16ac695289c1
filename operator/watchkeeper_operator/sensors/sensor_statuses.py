"""Nodes, and what their sensors said → status of a Sensor. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.policy.policy_status import FAILING_NAMED
from watchkeeper_operator.resources.conditions import Reason, Said, Type, carried_on
from watchkeeper_operator.sensors.node_statuses import rfc3339
from watchkeeper_operator.sensors.nodes import Heard, is_silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchkeeper_operator.sensors.nodes import Node
    from watchkeeper_operator.shapes import Object

REASON_CHARACTERS = 256


def status_of(sensor: Object, nodes: Sequence[tuple[Node, Heard | None]], *, version: str, too_many_terms: bool, now: int) -> dict[str, Any]:
    """`nodes`: those that this Sensor watches, by name."""
    reporting = [heard for _, heard in nodes if heard is not None and not is_silent(heard, now)]
    blind = [heard for heard in reporting if heard.state.blind or heard.state.missing_hooks]
    failing = [{"node": node.metadata.name, "reason": why} for node, heard in nodes if (why := _why(heard, now))]
    counts: dict[str, Any] = {
        "selected": len(nodes),
        "reporting": len(reporting),
        "current": sum(heard.state.sensor_version == version for heard in reporting),
        "blind": len(blind),
    }
    if failing:
        counts["failing"] = failing[:FAILING_NAMED]
    generation = sensor.metadata.generation
    said = [_accepted(too_many_terms=too_many_terms), _ready(len(nodes), len(reporting), counts["current"])]
    conditions = carried_on(sensor.status.get("conditions") or (), said, generation=generation, now=rfc3339(now))
    return {"observedGeneration": generation, "version": version, "nodes": counts, "conditions": conditions}


def _why(heard: Heard | None, now: int) -> str:
    if heard is None:
        return "no sensor was heard"
    if is_silent(heard, now):
        return f"silent since {rfc3339(heard.at)}"
    spots = [*heard.state.blind, *(f"hook {name} is missing" for name in heard.state.missing_hooks)]
    return f"blind: {spots[0]}"[:REASON_CHARACTERS] if spots else ""


def _accepted(*, too_many_terms: bool) -> Said:
    if too_many_terms:
        return Said(Type.ACCEPTED, False, Reason.INVALID, "spec.nodeSelector: with what older Sensors select it can't be said in one node affinity")
    return Said(Type.ACCEPTED, True, Reason.VALID)


def _ready(selected: int, reporting: int, current: int) -> Said:
    where = f"{reporting} of {selected} nodes report"
    if not selected:
        return Said(Type.READY, False, Reason.NO_NODES, "no node is selected")
    if reporting < selected:
        return Said(Type.READY, False, Reason.SOME_NOT_REPORTING, where)
    if current < selected:
        return Said(Type.READY, False, Reason.ROLLING_OUT, f"{current} of {selected} nodes run the current version")
    return Said(Type.READY, True, Reason.ALL_REPORTING, where)
