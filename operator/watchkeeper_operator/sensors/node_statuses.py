"""What a node's sensor says of itself → status of its NodeSensor. A node may be taken over: all it says is cut to the schema's bounds. No I/O."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.node_wire import NodeState, NotInForce
from watchkeeper_detection.policy.errors import printable
from watchkeeper_operator.resources.conditions import Reason, Said, Type, carried_on
from watchkeeper_operator.resources.node_sensor import NOT_IN_FORCE_NAMED
from watchkeeper_operator.sensors.nodes import Heard, is_silent

if TYPE_CHECKING:
    from collections.abc import Mapping

SENTENCE, TAG, VERSION_CHARACTERS, LISTED = 256, 63, 63, 32
MOST = 2**53 - 1  # numbers that every reader of JSON takes
QUALIFIED = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def rfc3339(ns: int) -> str:
    """Seconds are enough, and change less."""
    return datetime.fromtimestamp(max(0, min(ns // 10**9, 253_402_300_799)), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status_of(heard: Heard | None, before: Mapping[str, Any], *, is_current: bool, allowed: str, generation: int, now: int) -> dict[str, Any]:
    """`is_current`: it confirmed all that it is to hold; `allowed`: why the Sensor makes it blind, or ""; `before`: the status as it is."""
    if heard is None:
        return {"observedGeneration": generation, "conditions": carried_on(before.get("conditions") or (), _unheard(), generation=generation, now=rfc3339(now))}
    state = heard.state
    said = [_connected(heard, now), _in_force(state, is_current=is_current), _seeing(state, allowed)]
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "kernel": _text(state.kernel, TAG) or "unknown",
        "startedAt": rfc3339(state.started_at),
        "heardAt": rfc3339(heard.at),
        "hooks": {"attached": _number(state.hooks), "missing": _distinct(state.missing_hooks, TAG, 64)},
        "blindSpots": _distinct((*state.blind, *([allowed] if allowed else [])), SENTENCE, LISTED),
        "lost": [{"cause": cause, "records": count} for cause, count in sorted(_losses(state.lost).items())[:LISTED]],
        "delivery": {"delivered": _number(state.delivered), "waiting": _number(state.waiting)},
        "memoryBytes": _number(state.memory_bytes),
        "conditions": carried_on(before.get("conditions") or (), said, generation=generation, now=rfc3339(now)),
    }
    if version := re.sub(r"[^0-9A-Za-z.+-]", "", state.sensor_version)[:VERSION_CHARACTERS].lstrip(".+-"):
        status["version"] = version
    if state.policies_revision:
        status["policies"] = _policies(state)
    return status


def _policies(state: NodeState) -> dict[str, Any]:
    refused: dict[str, str] = {}
    for one in state.not_in_force:
        name = "/".join(one.policy.split("/")[:2])
        if QUALIFIED.fullmatch(name) and len(name) <= 127:
            refused.setdefault(name, _text(one.reason, SENTENCE) or "refused")
    return {
        "revision": _text(state.policies_revision, TAG) or "unreadable",
        "policies": _number(state.policies),
        "rules": _number(state.rules),
        "refused": len(refused),
        "notInForce": [{"policy": name, "reason": reason} for name, reason in sorted(refused.items())[:NOT_IN_FORCE_NAMED]],
    }


def _unheard() -> list[Said]:
    return [Said(type_, None, Reason.NOT_YET_SEEN) for type_ in (Type.CONNECTED, Type.IN_FORCE, Type.SEEING)]


def _connected(heard: Heard, now: int) -> Said:
    if is_silent(heard, now):
        return Said(Type.CONNECTED, False, Reason.SILENT, f"last heard at {rfc3339(heard.at)}")
    return Said(Type.CONNECTED, True, Reason.REPORTING)


def _in_force(state: NodeState, *, is_current: bool) -> Said:
    if state.not_in_force:
        return Said(Type.IN_FORCE, False, Reason.REFUSED, f"{len(state.not_in_force)} policies or rules are not held")
    if not is_current:
        return Said(Type.IN_FORCE, False, Reason.BEHIND, "the latest policies are not confirmed yet")
    return Said(Type.IN_FORCE, True, Reason.CURRENT)


def _seeing(state: NodeState, allowed: str) -> Said:
    if state.missing_hooks or state.blind or allowed:
        count = len(state.missing_hooks) + len(state.blind) + bool(allowed)
        return Said(Type.SEEING, False, Reason.BLIND, f"{count} blind spots")
    if any(state.lost.values()):
        return Said(Type.SEEING, False, Reason.LOSING, "records were lost since the sensor started")
    return Said(Type.SEEING, True, Reason.UNHINDERED)


def heard_from(status: Mapping[str, Any]) -> Heard | None:
    """What a new leader knows of a node until it hears it again: what was written of it."""
    if "heardAt" not in status:
        return None
    policies, hooks = status.get("policies") or {}, status.get("hooks") or {}
    state = NodeState(
        sensor_version=status.get("version", ""),
        kernel=status.get("kernel", ""),
        started_at=_ns(status.get("startedAt", "1970-01-01T00:00:00Z")),
        policies_revision=policies.get("revision", ""),
        policies=policies.get("policies", 0),
        rules=policies.get("rules", 0),
        not_in_force=tuple(NotInForce(policy=one["policy"], reason=one["reason"]) for one in policies.get("notInForce") or ()),
        hooks=hooks.get("attached", 0),
        missing_hooks=tuple(hooks.get("missing") or ()),
        blind=tuple(status.get("blindSpots") or ()),
        lost={one["cause"]: one["records"] for one in status.get("lost") or ()},
        delivered=(status.get("delivery") or {}).get("delivered", 0),
        waiting=(status.get("delivery") or {}).get("waiting", 0),
        memory_bytes=status.get("memoryBytes", 0),
    )
    return Heard(state, _ns(status["heardAt"]))


def _ns(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp()) * 10**9


def is_worth_writing(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """News are written at once; counts and times that always move wait for the minute."""
    return _news(before) != _news(now)


def _news(status: Mapping[str, Any]) -> dict[str, Any]:
    moving = ("heardAt", "memoryBytes", "delivery", "lost", "epoch")
    return {name: value for name, value in status.items() if name not in moving} | {"losing": sorted(one["cause"] for one in status.get("lost") or ())}


def _text(text: str, characters: int) -> str:
    """Fit for the schema: something to read, on one line."""
    return printable(text[:characters])[:characters].strip()


def _distinct(texts: tuple[str, ...], characters: int, count: int) -> list[str]:
    return list(dict.fromkeys(cut for text in texts if (cut := _text(text, characters))))[:count]


def _losses(lost: Mapping[str, int]) -> dict[str, int]:
    """By cause; what the sensor names otherwise than in one word is summed up as `other`."""
    found: dict[str, int] = {}
    for cause, count in lost.items():
        word = cause if re.fullmatch(r"[a-z][a-z0-9._]{0,62}", cause) else "other"
        found[word] = min(MOST, found.get(word, 0) + _number(count))
    return found


def _number(count: int) -> int:
    return max(0, min(count, MOST))
