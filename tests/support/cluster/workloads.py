"""Pods of stories: they wait, and do what they are told by an exec."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.cluster.kubebox import components

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cluster.running import Cluster

READY_SECONDS = 120
WAIT = ["/bin/busybox", "sleep", "100000"]


@dataclass(frozen=True)
class Workloads:
    """Of one namespace."""

    cluster: Cluster
    namespace: str
    image: str

    def kubectl(self, *words: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *words, stdin=stdin, kubeconfig=kubeconfig)

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "--server-side", "--filename", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def pod(self, name: str, *, annotations: dict[str, str] | None = None, container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
        metadata = {"name": name, "labels": {"app": name}, "annotations": annotations or {}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": self._spec(container or {}, spec)}

    def deployment(self, name: str, **spec: Any) -> dict[str, Any]:
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": self._spec({}, spec)}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}}

    def _spec(self, container: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        made = {"name": "main", "image": self.image, "imagePullPolicy": "IfNotPresent", "command": WAIT, **container}
        return {"terminationGracePeriodSeconds": 0, "containers": [made], **spec}

    def run(self, *names: str) -> None:
        """Pods of these names, ready."""
        self.apply(*(self.pod(name) for name in names))
        self.await_ready(*names)

    def deploy(self, name: str) -> str:
        """A Deployment; name of its pod, ready."""
        self.apply(self.deployment(name))
        self.kubectl("rollout", "status", f"deployment/{name}", f"--timeout={READY_SECONDS}s")
        return self.kubectl("get", "pods", "--selector", f"app={name}", "--output", "jsonpath={.items[0].metadata.name}")

    def await_ready(self, *names: str) -> None:
        self.kubectl("wait", "--for=condition=Ready", f"--timeout={READY_SECONDS}s", *(f"pod/{name}" for name in names))

    def shell(self, pod: str, script: str, *words: str, kubeconfig: Path | None = None) -> str:
        """What a shell in the pod prints, begun by exec through the API server. `words`: further options of `kubectl exec`."""
        return self.kubectl("exec", *words, pod, "--", "/bin/busybox", "sh", "-c", script, kubeconfig=kubeconfig)

    def terminal(self, pod: str, typed: str, *, kubeconfig: Path | None = None) -> None:
        """What a person types into an interactive shell in the pod; its last line has to end the shell."""
        ours, theirs = pty.openpty()
        command = [components() / "kubectl", "--kubeconfig", kubeconfig or self.cluster.kubeconfig, "--namespace", self.namespace]
        command += ["exec", "--stdin", "--tty", pod, "--", "/bin/busybox", "sh"]
        with os.fdopen(ours, "r+b", buffering=0) as keyboard:
            with os.fdopen(theirs, "r+b", buffering=0) as terminal:
                process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal)
            with process:
                shown = b""
                while b"#" not in shown:  # its prompt: what is typed before the shell reads would be lost
                    shown += keyboard.read(4096)
                keyboard.write(typed.encode())
                assert process.wait(READY_SECONDS) == 0, shown
