"""Grants and objects as records of events: what `watchkeeper_detection.logs.rbac` reads, live or recorded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from watchkeeper_detection.logs.provider import time_text
from watchkeeper_detection.subject import service_account
from watchkeeper_operator.rbac import traits
from watchkeeper_operator.rbac.built_in import is_built_in_binding, is_built_in_role
from watchkeeper_operator.rbac.risks import JOINED, PARTS_ONLY, joined, risks_of
from watchkeeper_operator.rbac.shapes import Account, Binding, Other, Role
from watchkeeper_operator.rbac.state import Grant, role_key
from watchkeeper_operator.rbac.trimming import told_of

if TYPE_CHECKING:
    from watchkeeper_operator.rbac.becoming import Powers
    from watchkeeper_operator.rbac.shapes import Key, Watched
    from watchkeeper_operator.rbac.state import State

ChangeWord: TypeAlias = Literal["present", "added", "changed", "removed"]
Cause: TypeAlias = Literal["binding", "role", "aggregation", "service_account"]
Record: TypeAlias = dict[str, Any]


class Teller:
    """Makes the records of one state; `observed_at`: when what is told was seen, nanoseconds since the epoch."""

    def __init__(self, state: State, powers: Powers, observed_at: int) -> None:
        self._state = state
        self._powers = powers
        self._time = time_text(observed_at)

    def grant(
        self, key: Key, binding: Binding, grant: Grant, change: ChangeWord, *, cause: tuple[Cause, Key, Watched] | None, held_before: frozenset[str]
    ) -> Record:
        """`held_before`: all risks that the subject had there before; `cause`: whose change it was, and that object."""
        holder, rule, state = grant.holder, grant.effective.rule, self._state
        held = state.held_by(holder.id, grant.namespace)
        risks = (grant.risks | completed(grant.risks, held_before if change == "removed" else held)) - PARTS_ONLY
        exists = state.exists(holder) if change != "removed" or holder.kind == "ServiceAccount" else None
        role, (object_key, one) = role_key(binding), (cause[1:] if cause else (key, binding))
        told = {
            "change": change,
            "cause": cause[0] if cause else None,
            "subject_kind": holder.kind,
            "subject_name": holder.name,
            "subject_namespace": holder.namespace or None,
            "subject_id": holder.id,
            "subject_exists": exists,
            "subject_pods": sum(state.workloads[holder.id].values()) if holder.id in state.workloads else 0,
            "subject_in_daemon_set": holder.id in state.daemon_sets,
            "subject_risks": sorted(held - PARTS_ONLY),
            "namespace": grant.namespace,
            "cluster_wide": grant.namespace is None,
            "api_groups": _texts(rule.api_groups),
            "resources": _texts(rule.resources),
            "resource_names": _texts(rule.resource_names),
            "verbs": _texts(rule.verbs),
            "non_resource_urls": _texts(rule.non_resource_urls),
            "risks": sorted(risks),
            "gained": sorted(risks - held_before) if change != "removed" else [],
            "role_kind": role[0],
            "role_name": role[2],
            "role_aggregated": grant.effective.aggregated,
            "role_source": grant.effective.source or None,
            "role_built_in": is_built_in_role(role[2], role[1], grant.risks),
            "binding_kind": key[0],
            "binding_name": key[2],
            "binding_built_in": is_built_in_binding(binding, holder.id),
            **_of_object(object_key, one),
        }
        if risks and change != "removed":
            becoming = self._powers.who_can_be(holder.id)
            told |= {"can_become": list(becoming.named), "can_become_count": becoming.total}
        versions = (change, binding.metadata.uid, binding.metadata.resource_version, one.metadata.uid, one.metadata.resource_version, exists)
        return self._record("rbac.grant", told, (*versions, holder.id, msgspec.json.encode(rule).decode()))

    def changed_object(
        self, key: Key, one: Watched, change: ChangeWord, *, before: Watched | None = None, risks_before: frozenset[str] = frozenset()
    ) -> Record:
        """`before`: what it was; `risks_before`: all that the role did then."""
        told: Record = {"change": change, "namespace": key[1] or None, **_of_object(key, one), "object": told_of(one)}
        if before is not None and change == "changed":
            told["object_before"] = told_of(before)
        if isinstance(one, Account | Other):
            told["risks"] = sorted(traits.names(traits.traits_of(key[0], one)))
            told["gained"] = sorted(traits.gained(key[0], one, before)) if change != "removed" else []
        if isinstance(one, Role):
            risks = role_risks(self._state, key) if change != "removed" else risks_before
            told |= {"risks": sorted(risks), "gained": sorted(risks - risks_before) if change != "removed" else []}
            told |= {"role_kind": key[0], "role_name": key[2], "role_built_in": is_built_in_role(key[2], key[1], risks)}
        elif isinstance(one, Binding):
            told |= {"role_kind": one.role_ref.kind, "role_name": one.role_ref.name}
            if untold := self._state.grants_of(key)[1]:
                told["untold"] = untold
        elif isinstance(one, Account):
            told |= {"subject_kind": "ServiceAccount", "subject_name": key[2], "subject_namespace": key[1], "subject_id": service_account(key[1], key[2])}
        elif isinstance(one, Other) and one.spec and isinstance(asker := one.spec.get("username"), str):
            told |= {"subject_kind": "User", "subject_name": asker, "subject_id": asker}
        return self._record("rbac.object", told, (change, one.metadata.uid, one.metadata.resource_version))

    def _record(self, kind: str, told: Record, identity: tuple[object, ...]) -> Record:
        """The same state of the same objects gives the same id, also told by another operator."""
        digest = hashlib.blake2b(repr((kind, *identity)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return {"kind": kind, "observed_at": self._time, "id": f"rbac:{digest}", "rbac": {name: value for name, value in told.items() if value is not None}}


def completed(risks: frozenset[str], held: frozenset[str]) -> frozenset[str]:
    """Joined risks that the subject has, and of which these are a part."""
    return frozenset(risk for risk, parts in JOINED if parts <= held and parts & risks)


def role_risks(state: State, key: Key) -> frozenset[str]:
    """All that a role's rules amount to, were it given for where it can be."""
    found = frozenset[str]().union(*(risks_of(one.rule, key[1] or None) for one in state.rules_of(key)))
    return (found | joined(found)) - PARTS_ONLY


def _of_object(key: Key, one: Watched) -> Record:
    manager = "" if isinstance(one, Account) else one.metadata.last_manager
    return {
        "object_kind": key[0],
        "object_name": key[2],
        "object_uid": one.metadata.uid or None,
        "resource_version": one.metadata.resource_version or None,
        "manager": manager or None,
    }


def _texts(texts: tuple[str, ...] | None) -> list[str] | None:
    return list(texts) if texts else None
