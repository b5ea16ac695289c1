"""Builders of the objects that decide about rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_operator.rbac import changes
from watchkeeper_operator.rbac.becoming import Powers
from watchkeeper_operator.rbac.shapes import Account, Binding, Other, Pod, Role
from watchkeeper_operator.rbac.state import State
from watchkeeper_operator.rbac.trimming import kept_of

if TYPE_CHECKING:
    from watchkeeper_operator.rbac.shapes import Key, Watched

AT = 1_773_282_600 * 1_000_000_000
RBAC = "rbac.authorization.k8s.io"
SHAPES: dict[str, Any] = {"Role": Role, "ClusterRole": Role, "RoleBinding": Binding, "ClusterRoleBinding": Binding, "ServiceAccount": Account}


def made(kind: str, name: str, namespace: str = "", metadata: dict[str, Any] | None = None, **parts: Any) -> tuple[Key, Watched]:
    whole = {"metadata": {"name": name, "namespace": namespace, "uid": f"{kind}/{namespace}/{name}", "resourceVersion": "1"} | (metadata or {}), **parts}
    one = msgspec.convert(whole, SHAPES.get(kind, Other))
    kept = kept_of(kind, one) if isinstance(one, Other) else one
    if kept is None:
        raise ValueError(f"a {kind} that decides nothing")
    return (kind, namespace, name), kept


def rule(verbs: str, resources: str, group: str = "", names: str = "") -> dict[str, Any]:
    limited = {"resourceNames": names.split()} if names else {}
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split(), **limited}


def cluster_role(name: str, *rules: dict[str, Any], labels: dict[str, str] | None = None, **parts: Any) -> tuple[Key, Watched]:
    return made("ClusterRole", name, metadata={"labels": labels} if labels else None, rules=list(rules), **parts)


def role(namespace: str, name: str, *rules: dict[str, Any]) -> tuple[Key, Watched]:
    return made("Role", name, namespace, rules=list(rules))


def cluster_binding(name: str, role_name: str, *subjects: dict[str, Any]) -> tuple[Key, Watched]:
    return made("ClusterRoleBinding", name, roleRef={"kind": "ClusterRole", "name": role_name}, subjects=list(subjects))


def binding(namespace: str, name: str, kind: str, role_name: str, *subjects: dict[str, Any]) -> tuple[Key, Watched]:
    return made("RoleBinding", name, namespace, roleRef={"kind": kind, "name": role_name}, subjects=list(subjects))


def user(name: str) -> dict[str, Any]:
    return {"kind": "User", "name": name}


def group(name: str) -> dict[str, Any]:
    return {"kind": "Group", "name": name}


def account(namespace: str, name: str) -> dict[str, Any]:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def made_account(namespace: str, name: str) -> tuple[Key, Watched]:
    return made("ServiceAccount", name, namespace)


def pod(namespace: str, name: str, service_account: str, *owner: str, template: str = "") -> Pod:
    owners = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    labels = {"pod-template-hash": template} if template else {}
    metadata = {"name": name, "namespace": namespace, "ownerReferences": owners, "labels": labels}
    return msgspec.convert({"metadata": metadata, "spec": {"serviceAccountName": service_account}}, Pod)


class World:
    """A state, and what is told of changes to it."""

    def __init__(self, *objects: tuple[Key, Watched], pods: tuple[Pod, ...] = ()) -> None:
        self.state = State()
        self.powers = Powers(self.state)
        for key, one in objects:
            self.state.put(key, one)
        for one in pods:
            self.state.put_pod(one)

    def changes(self, *objects: tuple[Key, Watched | None]) -> list[dict[str, Any]]:
        return changes.apply(self.state, self.powers, dict(objects), AT)

    def grants(self, *objects: tuple[Key, Watched | None]) -> list[dict[str, Any]]:
        return [record["rbac"] for record in self.changes(*objects) if record["kind"] == "rbac.grant"]

    def told_objects(self, *objects: tuple[Key, Watched | None]) -> list[dict[str, Any]]:
        return [record["rbac"] for record in self.changes(*objects) if record["kind"] == "rbac.object"]

    def present(self) -> list[dict[str, Any]]:
        return list(changes.present(self.state, self.powers, AT))

    def who_can_be(self, subject_id: str) -> tuple[str, ...]:
        return self.powers.who_can_be(subject_id).named


def gone(one: tuple[Key, Watched]) -> tuple[Key, None]:
    return one[0], None
