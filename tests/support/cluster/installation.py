"""Watchkeeper as a user installs it: kinds, then the overlay quickstart, with the images of this tree and the API server's audit log connected."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.cluster import audit, product
from tests.support.cluster.steps import NoKubernetesError, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.cluster.running import Cluster

REPOSITORY = Path(__file__).parents[3]
SYSTEM = "watchkeeper-system"
OVERLAY = REPOSITORY / "build" / "e2e"


@dataclass(frozen=True)
class Installation:
    """What a story asks of a cluster that has Watchkeeper."""

    cluster: Cluster
    images: dict[str, str]

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl(*words, stdin=stdin)

    def objects(self, kind: str, *words: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, *words, "--output", "json"))["items"]
        return items

    def apply(self, manifest: dict[str, Any] | str) -> None:
        self.kubectl("apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=manifest if isinstance(manifest, str) else json.dumps(manifest))

    def incidents(self, policy: str, namespace: str = "watchkeeper") -> list[dict[str, Any]]:
        """Incidents that have a detection of the policy (its name, or a part of it)."""
        return [one for one in self.objects("incidents", "--namespace", namespace) if policy in json.dumps(one)]

    def logs(self, workload: str, *words: str) -> str:
        return self.kubectl("logs", "--namespace", SYSTEM, workload, "--tail", "200", *words)


def eventually(what: str, found: Callable[[], Any], seconds: float = 30.0, every: float = 0.3) -> Any:
    """What `found()` gives once it is true, and prints how long that took. Raises AssertionError with `what`."""
    began = time.monotonic()
    while True:
        value = found()
        if value:
            print(f"{what}: {time.monotonic() - began:.1f} s")
            return value
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(every)


def install(cluster: Cluster) -> Installation:
    """Brings the cluster to what the tree says now, unless it is there already, or WATCHKEEPER_AS_INSTALLED asks for what is there. Raises NoKubernetesError."""
    names = product.names()
    if os.environ.get("WATCHKEEPER_AS_INSTALLED") or _runs(cluster, names):
        return Installation(cluster, names)
    images = product.build(cluster)
    put_on(cluster, images)
    return Installation(cluster, images)


def put_on(cluster: Cluster, images: dict[str, str]) -> None:
    """Installs images that the nodes have, in the order that users do, and waits until all is ready. Raises NoKubernetesError."""
    with step("watchkeeper installed"):
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--kustomize", str(REPOSITORY / "crds"))
        cluster.kubectl(
            "wait", "--for", "condition=Established", "customresourcedefinitions", "--selector", "app.kubernetes.io/part-of=watchkeeper", "--timeout", "60s"
        )
        _authority(cluster)
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--kustomize", str(_overlay(images)))
        for workload in ("deployment/watchkeeper-operator", "deployment/watchkeeper-collector"):
            cluster.kubectl("rollout", "status", "--namespace", SYSTEM, workload, "--timeout", "180s")
    with step("sensors ready"):
        _sensors_ready(cluster)
    cluster.kubectl("annotate", "namespace", SYSTEM, "--overwrite", f"watchkeeper.test/installed={_mark(images)}")


def _runs(cluster: Cluster, images: dict[str, str]) -> bool:
    """Whether the digest of all that is installed is the tree's: images and manifests."""
    found = cluster.kubectl("get", "namespaces", SYSTEM, "--ignore-not-found", "--output", "jsonpath={.metadata.annotations.watchkeeper\\.test/installed}")
    return found == _mark(images)


def _mark(images: dict[str, str]) -> str:
    told = hashlib.sha256(repr(sorted(images.items())).encode())
    for folder in ("crds", "manifests", "policies"):
        for path in sorted((REPOSITORY / folder).rglob("*.yaml")):
            told.update(path.read_bytes())
    return told.hexdigest()[:16]


def _sensors_ready(cluster: Cluster) -> None:
    end = time.monotonic() + 180
    while not cluster.kubectl("get", "daemonsets", "--namespace", SYSTEM, "--output", "name").strip():
        if time.monotonic() > end:
            raise NoKubernetesError(f"the operator made no DaemonSet: kubectl logs -n {SYSTEM} deployment/watchkeeper-operator")
        time.sleep(0.5)
    cluster.kubectl("rollout", "status", "--namespace", SYSTEM, "daemonset/sensor-all-nodes", "--timeout", "180s")


def _authority(cluster: Cluster) -> None:
    """The authority that the API server's audit backend trusts already, as `audit-config` would have made it."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(REPOSITORY / "manifests" / "base" / "namespaces.yaml"))
    found = cluster.kubectl("get", "secrets", "--namespace", SYSTEM, "--ignore-not-found", "watchkeeper-ca", "--output", "name")
    if not found.strip():
        files = [f"--from-file={name}={cluster.authority / name}" for name in ("ca.crt", "ca.key")]
        cluster.kubectl("create", "secret", "generic", "watchkeeper-ca", "--namespace", SYSTEM, *files)


def _overlay(images: dict[str, str]) -> Path:
    OVERLAY.mkdir(parents=True, exist_ok=True)
    relative = "../../manifests"
    written = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{relative}/overlays/quickstart"],
        "components": [f"{relative}/components/audit-webhook"],
        "images": [{"name": "watchkeeper", "newName": images["operator"].split(":")[0], "newTag": images["operator"].split(":")[1]}],
        "patches": [
            {
                "target": {"kind": "Deployment", "name": "watchkeeper-operator"},
                "patch": json.dumps([{"op": "replace", "path": "/spec/template/spec/containers/0/env/1/value", "value": images["sensor"]}]),
            },
            {
                "target": {"kind": "Service", "name": "watchkeeper-audit"},
                "patch": json.dumps(
                    [{"op": "replace", "path": "/spec/clusterIP", "value": audit.ADDRESS}, {"op": "replace", "path": "/spec/ports/0/port", "value": 443}]
                ),
            },
        ],
    }
    (OVERLAY / "kustomization.yaml").write_text(json.dumps(written))
    return OVERLAY
