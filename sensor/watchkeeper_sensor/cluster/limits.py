"""What the Sensor object allows this node: kinds of events, records a second, memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.node_wire import NotInForce

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from watchkeeper_detection.program import Program, Rule

ALWAYS = ("process.exec", "process.fork", "process.exit", "container.start", "container.stop")
"""Kinds that are told whatever is allowed: processes and containers are known by them."""


class Limits(msgspec.Struct, frozen=True, rename="camel"):
    """event_kinds   none: all; a name that ends in `.*` stands for its group
    records_per_second, burst   of one kind and cgroup; 0: the sensor's own
    memory_bytes   of the sensor; 0: its cgroup's
    """

    event_kinds: tuple[str, ...] = ()
    records_per_second: int = 0
    burst: int = 0
    memory_bytes: int = 0


def limits_of(written: Mapping[str, Any]) -> Limits:
    """Raises msgspec.ValidationError."""
    return msgspec.convert(written, Limits)


def is_allowed(kind: str, allowed: Collection[str]) -> bool:
    return not allowed or kind in allowed or kind in ALWAYS or kind.startswith("sensor.") or f"{kind.partition('.')[0]}.*" in allowed


def limited(program: Program, allowed: Collection[str]) -> tuple[Program, tuple[NotInForce, ...]]:
    """The program without what is not allowed, and the rules that can't hold any more."""
    rules, out = [], []
    for rule in program.rules:
        left = _of_rule(rule, allowed)
        if left is None:
            missing = [kind for kind in _kinds(rule) if not is_allowed(kind, allowed)]
            out.append(NotInForce(policy=f"{rule.namespace}/{rule.name}", reason=f"the Sensor does not allow events of {', '.join(missing)}"))
        else:
            rules.append(left)
    return msgspec.structs.replace(program, rules=tuple(rules)), tuple(out)


def _kinds(rule: Rule) -> list[str]:
    return list(rule.kinds if rule.sequence is None else dict.fromkeys(kind for step in rule.sequence.steps for kind in step.kinds))


def _of_rule(rule: Rule, allowed: Collection[str]) -> Rule | None:
    """The rule on the kinds that are allowed; None where nothing, or not every step, is left of it."""
    kinds = tuple(kind for kind in rule.kinds if is_allowed(kind, allowed))
    if not kinds:
        return None
    if rule.sequence is None:
        return rule if kinds == rule.kinds else msgspec.structs.replace(rule, kinds=kinds)
    steps = tuple(msgspec.structs.replace(step, kinds=tuple(kind for kind in step.kinds if is_allowed(kind, allowed))) for step in rule.sequence.steps)
    if not all(step.kinds for step in steps):
        return None
    return msgspec.structs.replace(rule, kinds=kinds, sequence=msgspec.structs.replace(rule.sequence, steps=steps))
