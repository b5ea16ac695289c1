"""Conditions of our objects: types and reasons that people and programs may rely on, and how they are carried on.

`docs/kinds.md` says of each what it means to a user.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


MESSAGE_CHARACTERS = 8192  # as the schema has it


class Type(StrEnum):
    """What is so or not. Adjectives and past tense: a condition is no step of a machine."""

    ACCEPTED = "Accepted"  # RuntimePolicy, PolicyException, PolicyList, Sensor, LogSource: can be used as it stands
    IN_FORCE = "InForce"  # RuntimePolicy, PolicyException, NodeSensor: holds on every node (on this node)
    READY = "Ready"  # Sensor: its pods run and report
    CONNECTED = "Connected"  # NodeSensor: the collector hears it
    SEEING = "Seeing"  # NodeSensor: nothing that policies ask for is blind
    RECEIVING = "Receiving"  # LogSource: records arrive
    COMPLETE = "Complete"  # LogSource: none is known to be missing
    COVERED = "Covered"  # LogSource: every rule that reads it could fire
    ACKNOWLEDGED = "Acknowledged"  # Incident: a person has it
    CONTAINED = "Contained"  # Incident: an action against it is verified
    CLOSED = "Closed"  # Incident
    APPROVED = "Approved"  # ResponseAction, this and those below
    DRY_RUN_PASSED = "DryRunPassed"
    EXECUTED = "Executed"
    VERIFIED = "Verified"
    ROLLED_BACK = "RolledBack"
    EXPIRED = "Expired"
    SUCCEEDED = "Succeeded"  # False or True: the action is finished
    COUNTED = "Counted"  # ResponseApproval: it counts


class Reason(StrEnum):
    """Why. Reasons of actions are their kinds' own and come with them."""

    NOT_YET_SEEN = "NotYetSeen"  # Unknown: the operator has not looked
    # Accepted
    COMPILED = "Compiled"
    VALID = "Valid"
    INVALID = "Invalid"  # the message has every error with its place
    NOT_ALLOWED = "NotAllowed"  # for the root namespace only
    OVER_QUOTA = "OverQuota"  # more than its namespace may have
    NO_SUCH_POLICY = "NoSuchPolicy"
    EXPIRED = "Expired"
    # InForce
    ON_ALL_NODES = "OnAllNodes"
    ON_SOME_NODES = "OnSomeNodes"
    ON_NO_NODE = "OnNoNode"
    IN_OPERATOR = "InOperator"  # judged beside the operator alone: no node has a part in it
    LAST_GOOD = "LastGood"  # not this generation, but the last that was accepted
    DISABLED = "Disabled"
    NOT_ACCEPTED = "NotAccepted"
    CURRENT = "Current"
    BEHIND = "Behind"
    REFUSED = "Refused"
    # Ready, Connected, Seeing
    ALL_REPORTING = "AllReporting"
    SOME_NOT_REPORTING = "SomeNotReporting"
    NO_NODES = "NoNodes"
    ROLLING_OUT = "RollingOut"
    REPORTING = "Reporting"
    SILENT = "Silent"
    UNHINDERED = "Unhindered"
    BLIND = "Blind"
    LOSING = "Losing"
    # Receiving, Complete, Covered
    ARRIVING = "Arriving"
    NEVER_SEEN = "NeverSeen"
    NO_GAPS = "NoGaps"
    GAPS = "Gaps"
    TRUNCATED = "Truncated"
    ALL_RULES = "AllRules"
    BLIND_RULES = "BlindRules"
    NOT_YET_TESTED = "NotYetTested"
    # Acknowledged, Contained, Closed
    OWNER_SET = "OwnerSet"
    NOBODY_YET = "NobodyYet"
    ACTION_VERIFIED = "ActionVerified"
    NO_ACTION = "NoAction"
    DISPOSED = "Disposed"
    GOING_ON = "GoingOn"


TYPES: dict[str, tuple[Type, ...]] = {
    "RuntimePolicy": (Type.ACCEPTED, Type.IN_FORCE),
    "PolicyException": (Type.ACCEPTED, Type.IN_FORCE),
    "PolicyList": (Type.ACCEPTED,),
    "Sensor": (Type.ACCEPTED, Type.READY),
    "NodeSensor": (Type.CONNECTED, Type.IN_FORCE, Type.SEEING),
    "LogSource": (Type.ACCEPTED, Type.RECEIVING, Type.COMPLETE, Type.COVERED),
    "Incident": (Type.ACKNOWLEDGED, Type.CONTAINED, Type.CLOSED),
    "ResponseAction": (
        *(Type.APPROVED, Type.DRY_RUN_PASSED, Type.EXECUTED, Type.VERIFIED),
        *(Type.ROLLED_BACK, Type.EXPIRED, Type.SUCCEEDED),
    ),
    "ResponseApproval": (Type.COUNTED,),
}


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that is so (True), is not (False), or is not known (None)."""

    type: Type
    holds: bool | None
    reason: Reason | str
    message: str = ""


def unseen(kind: str) -> list[Said]:
    """What is said of an object at the first sight of it: nothing is known yet, and that is said."""
    return [Said(type_, None, Reason.NOT_YET_SEEN) for type_ in TYPES[kind]]


def carried_on(before: Iterable[Mapping[str, Any]], said: Iterable[Said], *, generation: int, now: str) -> list[dict[str, Any]]:
    """`status.conditions` as they are to be written: what was not said again is gone, `lastTransitionTime` moves with the status alone.

    before  conditions as the API server has them
    now     RFC 3339, UTC
    """
    known = {one.get("type"): one for one in before}
    return [_written(one, known.get(one.type, {}), generation, now) for one in said]


def _written(said: Said, before: Mapping[str, Any], generation: int, now: str) -> dict[str, Any]:
    status = "Unknown" if said.holds is None else str(said.holds)
    message = said.message if len(said.message) <= MESSAGE_CHARACTERS else said.message[: MESSAGE_CHARACTERS - 1] + "…"
    return {
        "type": str(said.type),
        "status": status,
        "reason": str(said.reason),
        "message": message,
        "lastTransitionTime": before["lastTransitionTime"] if before.get("status") == status else now,
        "observedGeneration": generation,
    }


def is_so(conditions: Iterable[Mapping[str, Any]], type_: Type) -> bool | None:
    """Whether a condition is so; None where it is unknown or absent."""
    status = next((one.get("status") for one in conditions if one.get("type") == type_), None)
    return {"True": True, "False": False}.get(str(status))
