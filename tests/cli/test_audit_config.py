"""audit-config writes what an API server needs, keys for their owner's eyes only, and makes no second authority."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from tests.support.commands import watchkeeper

from watchkeeper_operator.audit.levels import read_policy
from watchkeeper_operator.authority.roles import Role, peer_of
from watchkeeper_operator.authority.secrets import read_held


@pytest.fixture
def written(tmp_path) -> Path:
    folder = tmp_path / "audit"
    done = watchkeeper("audit-config", str(folder), "--address", "192.0.2.1:8443")
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def certificate(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "node/apiserver.crt").read_bytes())


def test_the_kubeconfig_names_files_that_are_there(written):
    kubeconfig = yaml.safe_load((written / "node/webhook.kubeconfig").read_text())
    (cluster,), (user,) = kubeconfig["clusters"], kubeconfig["users"]
    assert cluster["cluster"]["server"] == "https://192.0.2.1:8443/v1/audit"
    paths = [cluster["cluster"]["certificate-authority"], user["user"]["client-certificate"], user["user"]["client-key"]]
    assert {str(Path(path).parent) for path in paths} == {"/etc/kubernetes/watchkeeper"}
    assert all((written / "node" / Path(path).name).is_file() for path in paths)


def test_the_certificate_is_that_of_an_audit_backend_and_of_the_authority(written):
    peer = peer_of(ssl.PEM_cert_to_DER_cert((written / "node/apiserver.crt").read_text()))
    assert peer is not None
    assert (peer.role, peer.name) == (Role.AUDIT, "control-plane")
    certificate(written).verify_directly_issued_by(x509.load_pem_x509_certificate((written / "authority/ca.crt").read_bytes()))


def test_keys_are_readable_by_their_owner_alone(written):
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in written.rglob("*.key")} == {"apiserver.key": "0o600", "ca.key": "0o600"}


def test_the_secret_is_the_authority_as_the_operator_reads_it(written):
    body = yaml.safe_load((written / "authority/secret.yaml").read_text())
    assert (body["kind"], body["metadata"]) == ("Secret", {"name": "watchkeeper-ca", "namespace": "watchkeeper-system"})
    held = read_held({name: base64.b64decode(value).decode() for name, value in body["data"].items()})
    assert held.trusted == (written / "node/ca.crt").read_text() == (written / "authority/ca.crt").read_text()
    assert (written / "authority/secret.yaml").stat().st_mode & 0o777 == 0o600


def test_the_authoritys_key_is_not_among_what_nodes_get(written):
    assert sorted(path.name for path in (written / "node").iterdir()) == ["apiserver.crt", "apiserver.key", "ca.crt", "policy.yaml", "webhook.kubeconfig"]


def test_the_policy_is_one_that_an_api_server_takes(written):
    assert len(read_policy((written / "node/policy.yaml").read_text()).rules) > 5


def test_once_more_renews_the_certificate_under_the_same_authority(written):
    before = certificate(written)
    assert watchkeeper("audit-config", str(written)).returncode == 0
    after = certificate(written)
    assert after.serial_number != before.serial_number
    assert after.issuer == before.issuer
    assert after.not_valid_after_utc > datetime.now(UTC) + timedelta(days=360)


def test_half_an_authority_is_refused_and_nothing_replaced(written):
    (written / "authority/ca.key").unlink()
    before = certificate(written)
    done = watchkeeper("audit-config", str(written))
    assert done.returncode == 2
    assert "not both" in done.stderr
    assert certificate(written) == before


@pytest.mark.parametrize("name", ["kubeadm.yaml", "kind.yaml"])
def test_kubeadm_and_kind_get_the_same_flags_and_the_folder(written, name):
    whole = yaml.safe_load((written / name).read_text())
    server = (yaml.safe_load(whole["kubeadmConfigPatches"][0]) if name == "kind.yaml" else whole)["apiServer"]
    flags = {one["name"]: one["value"] for one in server["extraArgs"]}
    assert flags["audit-webhook-batch-max-wait"] == "1s"
    assert flags["audit-policy-file"] == "/etc/kubernetes/watchkeeper/policy.yaml"
    assert int(flags["audit-webhook-truncate-max-event-size"]) <= int(flags["audit-webhook-truncate-max-batch-size"]) == 10 << 20
    assert server["extraVolumes"][0]["mountPath"] == "/etc/kubernetes/watchkeeper"
    if name == "kind.yaml":
        assert whole["nodes"][0]["extraMounts"] == [{"hostPath": str(written / "node"), "containerPath": "/etc/kubernetes/watchkeeper", "readOnly": True}]
