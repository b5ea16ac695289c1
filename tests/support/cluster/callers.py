"""Who calls the API server in stories: people with certificates of the cluster's own authority, holders of a token, and nobody."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml
from tests.support.api_client import Answer
from tests.support.certificates import Issued, TestAuthority

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.support.cluster.running import Cluster

PKI = "/etc/kubernetes/pki"


class Caller:
    """One connection that stays open; to be used by one thread. Without certificate and token it is anonymous."""

    def __init__(self, cluster: Cluster, *, certificate: Issued | None = None, token: str = "") -> None:
        context = ssl.create_default_context(cadata=authority_of(cluster))
        if certificate is not None:
            with tempfile.TemporaryDirectory() as folder:
                context.load_cert_chain(*certificate.write(Path(folder), "caller"))
        self._connection = http.client.HTTPSConnection("127.0.0.1", cluster.port, context=context, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        sent = b"" if body is None else json.dumps(body).encode()
        self._connection.request(method, path, sent, {"Content-Type": "application/json", **self._headers})
        answer = self._connection.getresponse()
        return Answer(answer.status, json.loads(answer.read()))


@dataclass(frozen=True)
class People:
    """Issues certificates as the cluster's authority does; a certificate leaves no trace in the audit log until it is used."""

    cluster: Cluster
    issuer: TestAuthority

    @classmethod
    def of(cls, cluster: Cluster) -> People:
        node = next(name for name in cluster.nodes() if name.endswith("control-plane"))
        pair = (cluster.docker("exec", node, "cat", f"{PKI}/{name}").encode() for name in ("ca.crt", "ca.key"))
        return cls(cluster, TestAuthority.of(*pair))

    def certificate(self, user: str, groups: Iterable[str] = ()) -> Issued:
        return self.issuer.client(user, groups)

    def caller(self, user: str, groups: Iterable[str] = ()) -> Caller:
        return Caller(self.cluster, certificate=self.certificate(user, groups))

    def kubeconfig(self, folder: Path, user: str, groups: Iterable[str] = ()) -> Path:
        """For kubectl as that person."""
        issued = self.certificate(user, groups)
        written = yaml.safe_load(self.cluster.kubeconfig.read_text())
        pair = {"client-certificate-data": issued.certificate, "client-key-data": issued.key}
        for one in written["users"]:
            one["user"] = {name: base64.b64encode(value).decode() for name, value in pair.items()}
        path = folder / f"{user.replace(':', '-')}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(written))
        return path


def authority_of(cluster: Cluster) -> str:
    """PEM text of whom clients of the API server trust."""
    named = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    return base64.b64decode(named["certificate-authority-data"]).decode()
