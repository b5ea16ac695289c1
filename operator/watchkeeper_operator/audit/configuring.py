"""What an API server has to be told to send us its audit log: flags, kubeconfig, and the same for kubeadm and kind. Pure: texts of files.

The kubeconfig names certificates by path: the API server takes up a new one without a restart (seen after 93 s).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from watchkeeper_operator.audit.levels import shipped_text
from watchkeeper_operator.names import COLLECTOR_SERVICE, SYSTEM_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchkeeper_operator.authority.contexts import Identity

PATH = "/v1/audit"
"""Of the collector's endpoint."""
POLICY, KUBECONFIG, TRUSTED, CERTIFICATE, KEY = "policy.yaml", "webhook.kubeconfig", "ca.crt", "apiserver.crt", "apiserver.key"
KUBEADM, KIND = "kubeadm.yaml", "kind.yaml"
FOLDER = "/etc/kubernetes/watchkeeper"
ADDRESS = "10.96.0.210:8443"
"""In the part of the default service range that Kubernetes keeps for addresses that are given by hand."""
SERVER_NAME = f"{COLLECTOR_SERVICE}.{SYSTEM_NAMESPACE}.svc"

BATCH_BYTES = 10 * 1024 * 1024
EVENT_BYTES = 8 * 1024 * 1024  # an object as sent and as it stands after: both within the API server's own limit of a request, 3 MiB, and their escapes
WEBHOOK_FLAGS: Mapping[str, str] = {
    "audit-webhook-batch-max-wait": "1s",  # 30 s otherwise: so late would each detection be
    "audit-webhook-batch-buffer-size": "20000",  # 10,000 otherwise; what finds no room is dropped
    "audit-webhook-batch-throttle-qps": "60",  # 10 otherwise: at 400 events a batch, what is beyond 4,000 events/s would be dropped
    "audit-webhook-batch-throttle-burst": "120",
    "audit-webhook-truncate-enabled": "true",
    "audit-webhook-truncate-max-batch-size": str(BATCH_BYTES),
    "audit-webhook-truncate-max-event-size": str(EVENT_BYTES),  # 100 KiB otherwise: a long annotation would take the body of a privileged pod away
}


@dataclass(frozen=True, slots=True)
class File:
    """Name, content, and whether only its owner may read it."""

    name: str
    text: str
    secret: bool = False


def flags(folder: str = FOLDER) -> dict[str, str]:
    """The API server's flags, without dashes; `folder`: where it finds the files."""
    return {"audit-policy-file": f"{folder}/{POLICY}", "audit-webhook-config-file": f"{folder}/{KUBECONFIG}", **WEBHOOK_FLAGS}


def kubeconfig(address: str, folder: str = FOLDER, server_name: str = SERVER_NAME) -> dict[str, Any]:
    """`address`: host and port at which API servers reach the collector; its certificate is for `server_name`."""
    server = {"server": f"https://{address}{PATH}", "certificate-authority": f"{folder}/{TRUSTED}", "tls-server-name": server_name}
    user = {"client-certificate": f"{folder}/{CERTIFICATE}", "client-key": f"{folder}/{KEY}"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "watchkeeper", "cluster": server}],
        "users": [{"name": "apiserver", "user": user}],
        "contexts": [{"name": "watchkeeper", "context": {"cluster": "watchkeeper", "user": "apiserver"}}],
        "current-context": "watchkeeper",
    }


def files(address: str, trusted: str, identity: Identity, folder: str = FOLDER) -> tuple[File, ...]:
    """What belongs into the folder on each control-plane node, and beside it what makes kubeadm and kind use it."""
    return (
        File(POLICY, shipped_text()),
        File(KUBECONFIG, _yaml(kubeconfig(address, folder))),
        File(TRUSTED, trusted),
        File(CERTIFICATE, identity.chain),
        File(KEY, identity.key, secret=True),
    )


def kubeadm(folder: str = FOLDER) -> str:
    """Part of a ClusterConfiguration, to be merged into the cluster's own."""
    return _yaml({"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", "apiServer": _api_server(folder)})


def kind(host_folder: str, folder: str = FOLDER) -> str:
    """A kind configuration; `host_folder`: where this host has the files, absolute."""
    patch = _yaml({"kind": "ClusterConfiguration", "apiServer": _api_server(folder)})
    mount = {"hostPath": host_folder, "containerPath": folder, "readOnly": True}
    whole = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "kubeadmConfigPatches": [patch],
        "nodes": [{"role": "control-plane", "extraMounts": [mount]}],
    }
    return _yaml(whole)


def _api_server(folder: str) -> dict[str, Any]:
    volume = {"name": "watchkeeper-audit", "hostPath": folder, "mountPath": folder, "readOnly": True, "pathType": "DirectoryOrCreate"}
    return {"extraArgs": [{"name": name, "value": value} for name, value in flags(folder).items()], "extraVolumes": [volume]}


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=1000)
