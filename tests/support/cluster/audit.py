"""What the API server of the cluster logs, and whom it sends it to: a Service at a fixed address, with a client certificate.

The receiver's authority exists before the receiver does: RUN/authority has ca.crt, ca.key and server.crt, server.key for whoever answers at ADDRESS.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from tests.support.cluster.steps import NoKubernetesError

from watchkeeper_operator.audit.configuring import WEBHOOK_FLAGS
from watchkeeper_operator.authority import certificates
from watchkeeper_operator.authority.contexts import Identity
from watchkeeper_operator.authority.roles import Role

ADDRESS = "10.96.0.50"  # clusterIP of the receiving Service
SERVER_NAME = "watchkeeper-collector.watchkeeper-system.svc"
URL = f"https://{ADDRESS}/v1/audit"
SOURCE = "control-plane"  # the LogSource, by the name in the API server's certificate
POLICY = Path(__file__).parents[3] / "operator" / "watchkeeper_operator" / "audit" / "policy.yaml"  # the one that ships
WEBHOOK = ("ca.crt", "apiserver.crt", "apiserver.key", "webhook.kubeconfig")
FLAGS = {"audit-webhook-config-file": "/etc/kubernetes/audit/webhook.kubeconfig", **WEBHOOK_FLAGS}


def prepare(run: Path, *, policy: str, webhook: str) -> dict[str, str]:
    """Fills run/audit, which the API server reads; returns its flags.

    `policy` is a file instead of ours; `webhook` a folder that has the files of WEBHOOK, or `none` where nothing is to be sent.
    """
    folder = run / "audit"
    folder.mkdir(parents=True, exist_ok=True)
    (run / "log").mkdir(exist_ok=True)
    shutil.copy(policy or POLICY, folder / "policy.yaml")
    if webhook == "none":
        return {}
    if webhook:
        if missing := [name for name in WEBHOOK if not (Path(webhook) / name).exists()]:
            raise NoKubernetesError(f"WATCHKEEPER_AUDIT_WEBHOOK: {webhook} has no {', '.join(missing)}")
        for name in WEBHOOK:
            shutil.copy(Path(webhook) / name, folder / name)
    else:
        _issue(folder, run / "authority")
    return FLAGS


def _issue(folder: Path, authority: Path) -> None:
    """What `watchkeeper audit-config` issues, and a server's certificate for receivers of tests."""
    now = datetime.now(UTC)
    root = certificates.make_root(now)
    server = certificates.make_server(root, (SERVER_NAME, ADDRESS), now)
    client = certificates.make_client(root, Role.AUDIT, SOURCE, now, certificates.AUDIT_LIFE)
    authority.mkdir(mode=0o700, exist_ok=True)
    (folder / "ca.crt").write_text(certificates.pem(root.certificate))
    own = Identity(certificates.pem(root.certificate), certificates.key_pem(root.key))
    for where, name, pair in ((authority, "ca", own), (authority, "server", server), (folder, "apiserver", client)):
        (where / f"{name}.crt").write_text(pair.chain)
        (where / f"{name}.key").touch(mode=0o600)
        (where / f"{name}.key").write_text(pair.key)
    configuration = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "audit", "cluster": {"server": URL, "certificate-authority": "ca.crt", "tls-server-name": SERVER_NAME}}],
        "users": [{"name": "audit", "user": {"client-certificate": "apiserver.crt", "client-key": "apiserver.key"}}],
        "contexts": [{"name": "audit", "context": {"cluster": "audit", "user": "audit"}}],
        "current-context": "audit",
    }
    (folder / "webhook.kubeconfig").write_text(json.dumps(configuration))
