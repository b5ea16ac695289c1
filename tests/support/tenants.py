"""A namespace with an owner who may write Watchkeeper's objects there and nowhere else, and a pod in it."""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.cluster.installation import eventually
from tests.support.cluster.steps import NoKubernetesError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cluster.installation import Installation

SECONDS = 120.0  # a busy machine
VERSION = "watchkeeper.dev/v1alpha1"
RULES = [
    {"apiGroups": ["watchkeeper.dev"], "resources": ["runtimepolicies", "policyexceptions", "policylists"], "verbs": ["*"]},
    {"apiGroups": ["watchkeeper.dev"], "resources": ["incidents"], "verbs": ["get", "list", "watch", "update", "patch"]},
    {"apiGroups": [""], "resources": ["pods", "pods/exec"], "verbs": ["*"]},
]
"""What docs/kinds.md advises for the owner of a namespace."""
ALL = [{"apiGroups": ["watchkeeper.dev"], "resources": ["*"], "verbs": ["*"]}]
"""More than anybody should be given."""


@dataclass(frozen=True)
class Tenant:
    """Commands run as the owner."""

    installation: Installation
    namespace: str

    @property
    def owner(self) -> str:
        return f"owner-of-{self.namespace}"

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self.installation.kubectl("--as", self.owner, "--namespace", self.namespace, *words, stdin=stdin)

    def apply(self, manifest: dict[str, Any]) -> None:
        self.kubectl("apply", "--server-side", "--filename", "-", stdin=json.dumps(manifest))

    def refused(self, *words: str, stdin: str | None = None) -> str:
        """Why the API server did not do it."""
        with pytest.raises(NoKubernetesError) as refusal:
            self.kubectl(*words, stdin=stdin)
        return str(refusal.value)

    def apply_refused(self, manifest: dict[str, Any]) -> str:
        return self.refused("apply", "--server-side", "--filename", "-", stdin=json.dumps(manifest))

    def run_pod(self, name: str, image: str) -> None:
        container = {"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["/bin/busybox", "sleep", "100000"]}
        spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self.installation.kubectl("--namespace", self.namespace, "apply", "--filename", "-", stdin=json.dumps(pod))
        self.installation.kubectl("--namespace", self.namespace, "wait", "--for=condition=Ready", f"--timeout={SECONDS:.0f}s", f"pod/{name}")

    def act(self, pod: str, *command: str) -> str:
        """What a command in the pod prints."""
        return self.installation.kubectl("--namespace", self.namespace, "exec", pod, "--", "/bin/busybox", *command)

    def condition(self, kind: str, name: str, type_: str) -> dict[str, Any]:
        """Of the object's present generation; empty while there is none."""
        return condition(self.installation, self.namespace, kind, name, type_)

    def await_in_force(self, name: str) -> None:
        await_in_force(self.installation, self.namespace, name)


def condition(installation: Installation, namespace: str, kind: str, name: str, type_: str) -> dict[str, Any]:
    one = json.loads(installation.kubectl("get", kind, name, "--namespace", namespace, "--output", "json"))
    found = [each for each in one.get("status", {}).get("conditions", []) if each["type"] == type_]
    return found[0] if found and found[0].get("observedGeneration") == one["metadata"]["generation"] else {}


def await_in_force(installation: Installation, namespace: str, name: str, kind: str = "runtimepolicy") -> None:
    eventually(
        f"{namespace}/{name} in force on all nodes", lambda: condition(installation, namespace, kind, name, "InForce").get("reason") == "OnAllNodes", SECONDS
    )


@contextlib.contextmanager
def tenant(installation: Installation, rules: list[dict[str, Any]]) -> Iterator[Tenant]:
    made = Tenant(installation, f"tenant-{uuid.uuid4().hex[:8]}")
    metadata = {"name": "owner", "namespace": made.namespace}
    group = "rbac.authorization.k8s.io"
    subject = {"apiGroup": group, "kind": "User", "name": made.owner}
    reference = {"apiGroup": group, "kind": "Role", "name": "owner"}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": made.namespace}},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": metadata, "subjects": [subject], "roleRef": reference},
    ]
    installation.apply({"apiVersion": "v1", "kind": "List", "items": objects})
    try:
        yield made
    finally:
        installation.kubectl("delete", "namespace", made.namespace, "--wait=false")


@contextlib.contextmanager
def in_root(installation: Installation, *manifests: dict[str, Any]) -> Iterator[None]:
    """Objects of namespace watchkeeper while it lasts."""
    try:
        for one in manifests:
            installation.apply(one)
        yield
    finally:
        for one in manifests:
            installation.kubectl("delete", one["kind"], one["metadata"]["name"], "--namespace", "watchkeeper", "--ignore-not-found")


def a_policy(name: str, marker: str, *, namespace: str | None = None, **rule: Any) -> dict[str, Any]:
    """Finds commands that have the marker among their arguments."""
    finds = {
        "name": "marked",
        "on": ["process.exec"],
        "when": f'"{marker}" in process.args',
        "severity": "P3",
        "message": "{process.command_line} in {pod.name}",
    }
    return {
        "apiVersion": VERSION,
        "kind": "RuntimePolicy",
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
        "spec": {"title": "A marked command", "rules": [finds | rule]},
    }


def an_exception(name: str, policy: str, *, until: str | None, when: str = "true") -> dict[str, Any]:
    spec = {"policy": policy, "when": when, "reason": "a test of exceptions", "owner": "tests"} | ({"until": until} if until else {})
    return {"apiVersion": VERSION, "kind": "PolicyException", "metadata": {"name": name}, "spec": spec}
