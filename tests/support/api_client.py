"""A quick client of a test's API server: one connection that stays open, any user by impersonation, answers as they come."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.api_server import ApiServer

PLURALS = {
    "RuntimePolicy": "runtimepolicies",
    "PolicyException": "policyexceptions",
    "PolicyList": "policylists",
    "Sensor": "sensors",
    "NodeSensor": "nodesensors",
    "LogSource": "logsources",
    "Incident": "incidents",
    "ResponseAction": "responseactions",
    "ResponseApproval": "responseapprovals",
    "Lease": "leases",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
}
CLUSTER_SCOPED = {"Sensor", "NodeSensor", "LogSource"}


@dataclass(frozen=True)
class Answer:
    """`object`: what was made, or the API server's Status."""

    code: int
    object: dict[str, Any]

    @property
    def taken(self) -> bool:
        return self.code < http.HTTPStatus.MULTIPLE_CHOICES

    @property
    def refused_by_policy(self) -> bool:
        """Refused by a ValidatingAdmissionPolicy, which is asked when the schema has accepted."""
        return not self.taken and "ValidatingAdmissionPolicy" in self.message

    @property
    def message(self) -> str:
        return "" if self.taken else str(self.object.get("message", ""))


class ApiClient:
    """The administrator's, who may impersonate anybody. To be used by one thread."""

    def __init__(self, server: ApiServer) -> None:
        context = ssl.create_default_context(cadata=server.authority.certificate.decode())
        context.load_cert_chain(*server.authority.client("administrator", ["system:masters"]).write(server.folder, "client"))
        self._connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        user: str = "",
        groups: Sequence[str] = (),
        content_type: str = "application/json",
        **query: str,
    ) -> Answer:
        self._connection.putrequest(method, path + (f"?{urlencode(query)}" if query else ""))
        for name, value in [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]:
            if value:
                self._connection.putheader(name, value)
        sent = b"" if body is None else json.dumps(body).encode()
        self._connection.putheader("Content-Type", content_type)
        self._connection.putheader("Content-Length", str(len(sent)))
        self._connection.endheaders(sent)
        answer = self._connection.getresponse()
        return Answer(answer.status, json.loads(answer.read()))

    def create(self, written: Mapping[str, Any], *, dry_run: bool = True, user: str = "") -> Answer:
        return self.ask("POST", path_of(written, name=False), written, user=user, **_options(dry_run=dry_run))

    def replace(self, written: Mapping[str, Any], *, subresource: str = "", dry_run: bool = True, user: str = "") -> Answer:
        return self.ask("PUT", path_of(written) + (f"/{subresource}" if subresource else ""), written, user=user, **_options(dry_run=dry_run))

    def merge(self, written: Mapping[str, Any], patch: Mapping[str, Any], *, subresource: str = "", dry_run: bool = True, user: str = "") -> Answer:
        path = path_of(written) + (f"/{subresource}" if subresource else "")
        return self.ask("PATCH", path, patch, user=user, content_type="application/merge-patch+json", **_options(dry_run=dry_run))

    def delete(self, written: Mapping[str, Any], *, dry_run: bool = True, user: str = "") -> Answer:
        return self.ask("DELETE", path_of(written), user=user, **({"dryRun": "All"} if dry_run else {}))

    def get(self, written: Mapping[str, Any]) -> Answer:
        return self.ask("GET", path_of(written))


def _options(*, dry_run: bool) -> dict[str, str]:
    return {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})


def path_of(written: Mapping[str, Any], *, name: bool = True) -> str:
    """Of the object, or of all of its kind in its namespace (`watchkeeper` where it says none)."""
    version, kind, metadata = written["apiVersion"], written["kind"], written["metadata"]
    path = f"/apis/{version}" if "/" in version else f"/api/{version}"
    if kind not in CLUSTER_SCOPED:
        path += f"/namespaces/{metadata.get('namespace', 'watchkeeper')}"
    return f"{path}/{PLURALS[kind]}" + (f"/{metadata['name']}" if name else "")
