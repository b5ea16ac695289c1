"""What Kubernetes runtimes write about a container and its pod into the annotations of its OCI configuration.

Sources: containerd pkg/cri/annotations, CRI-O pkg/annotations (older and newer names), kubelet's labels of containers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT = 1024
NAMES = {
    "name": ("io.kubernetes.cri.container-name", "io.kubernetes.container.name", "io.kubernetes.cri-o.ContainerName"),
    "type": ("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"),
    "image": ("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"),
}
PODS = {
    "name": ("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name", "io.kubernetes.cri-o.KubeName"),
    "namespace": ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace", "io.kubernetes.cri-o.Namespace"),
    "uid": ("io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"),
}
DIGESTS = ("io.kubernetes.cri-o.ImageRef", "io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName")
SOURCE = "kubernetes.io/config.source"
TYPES = frozenset({"container", "sandbox"})
DIGEST = re.compile(r"(?:^|@)(sha256:[0-9a-f]{64})\Z")
BARE_DIGEST = re.compile(r"[0-9a-f]{64}")
STATIC_UID = re.compile(r"[0-9a-f]{32}")
"""The kubelet hashes a static pod's manifest; the API server's ids have dashes."""


def container_fields(annotations: Mapping[str, str]) -> dict[str, Any]:
    """Fields of `container`; those that the runtime did not write are absent."""
    found: dict[str, Any] = {field: value for field, keys in NAMES.items() if (value := _first(annotations, keys)) is not None}
    if found.get("type") not in TYPES:
        found.pop("type", None)
    digest = next((made for key in DIGESTS if (made := digest_of(annotations.get(key)))), None)
    if digest:
        found["image_digest"] = digest
    return found


def pod_fields(annotations: Mapping[str, str], uid: str | None = None) -> dict[str, Any]:
    """Fields of `pod`, empty outside Kubernetes. `uid`: what the cgroup's path says, where no annotation does."""
    found: dict[str, Any] = {field: value for field, keys in PODS.items() if (value := _first(annotations, keys)) is not None}
    if uid:
        found["uid"] = uid  # the kubelet chose the cgroup's name; annotations could be the pod's own
    source = annotations.get(SOURCE)
    if source is not None:
        found["static"] = source != "api"
    elif found.get("uid"):
        found["static"] = bool(STATIC_UID.fullmatch(found["uid"]))
    return found


def digest_of(reference: str | None) -> str | None:
    """Digest that an image's reference ends in."""
    if not reference:
        return None
    if BARE_DIGEST.fullmatch(reference):
        return f"sha256:{reference}"
    found = DIGEST.search(reference)
    return found[1] if found else None


def _first(annotations: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    return next((annotations[key][:TEXT] for key in keys if annotations.get(key)), None)
