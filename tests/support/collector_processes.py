"""The collector as the process that clusters run, beside a real API server: its own command, account and rights."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from tests.support.api_server import free_port
from tests.support.collectors import Authorities

from watchkeeper_operator.authority import certificates
from watchkeeper_operator.authority.contexts import Identity, client_context
from watchkeeper_operator.authority.keeping import SERVER_NAMES
from watchkeeper_operator.authority.secrets import collector_texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.api_server import ApiServer

READY_SECONDS = 60.0
OBSERVE_RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["watchkeeper.dev"], "resources": ["runtimepolicies", "policyexceptions", "policylists", "sensors"], "verbs": ["list", "watch"]},
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
]
SYSTEM_RULES: list[dict[str, Any]] = [{"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": ["get"]}]
"""What the collector's account may: in the cluster, and in watchkeeper-system. Nothing is written."""


@dataclass
class CollectorProcess:
    """`folder` holds its database and certificates, which outlive it."""

    server: ApiServer
    folder: Path
    authorities: Authorities
    port: int
    metrics_port: int
    process: subprocess.Popen[bytes] | None = None

    def write_certificates(self) -> None:
        given = self.folder / "tls"
        given.mkdir(exist_ok=True)
        identity = certificates.make_server(self.authorities.root, SERVER_NAMES, self.authorities.now)
        for name, text in collector_texts(identity, self.authorities.sensors, self.authorities.bundle).items():
            (given / name).write_text(text)

    def start(self) -> None:
        """Returns when it says that it is ready."""
        command = [sys.executable, "-m", "watchkeeper_cli.main", "collector", "--identity", "collector-0", "--certificates", str(self.folder / "tls")]
        command += ["--store", f"sqlite:///{self.folder}/collector.db", "--listen", f"127.0.0.1:{self.port}", "--metrics", f"127.0.0.1:{self.metrics_port}"]
        command += ["--kubeconfig", str(observing(self.server))]
        with (self.folder / "collector.log").open("ab") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], stdout=log, stderr=log, env=dict(os.environ))
        end = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.1)

    def is_ready(self) -> bool:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def log(self) -> str:
        return (self.folder / "collector.log").read_text(errors="replace")[-3000:]

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(20)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def ask(self, method: str, path: str, identity: Identity | None, body: bytes | None = None) -> tuple[int, bytes]:
        tls = client_context(identity, self.authorities.bundle)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
            session.request(method, f"https://127.0.0.1:{self.port}{path}", data=body, server_hostname=SERVER_NAMES[0]) as answer,
        ):
            told = answer.status, await answer.read()
        await asyncio.sleep(0.05)  # transports of TLS end only after their session
        return told


def observing(server: ApiServer) -> Path:
    """Kubeconfig of the collector's account, with its rights and no others."""
    apply(server, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "watchkeeper-system"}})
    user = "system:serviceaccount:watchkeeper-system:watchkeeper-observe"
    group = "rbac.authorization.k8s.io"
    subjects = [{"kind": "User", "name": user, "apiGroup": group}]
    role = {"apiVersion": f"{group}/v1", "metadata": {"name": "watchkeeper-observe"}}
    inside = {"apiVersion": f"{group}/v1", "metadata": {"name": "watchkeeper-observe", "namespace": "watchkeeper-system"}}
    apply(
        server,
        {**role, "kind": "ClusterRole", "rules": OBSERVE_RULES},
        {**role, "kind": "ClusterRoleBinding", "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "watchkeeper-observe"}, "subjects": subjects},
        {**inside, "kind": "Role", "rules": SYSTEM_RULES},
        {**inside, "kind": "RoleBinding", "roleRef": {"apiGroup": group, "kind": "Role", "name": "watchkeeper-observe"}, "subjects": subjects},
    )
    return server.kubeconfig_for(user)


def apply(server: ApiServer, *objects: dict[str, Any]) -> None:
    server.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


@contextmanager
def a_collector_process(server: ApiServer, folder: Path) -> Iterator[CollectorProcess]:
    """Our kinds are served, and the process runs until left."""
    server.kubectl("apply", "--server-side", "-k", "crds")
    server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    made = CollectorProcess(server, folder, Authorities(), free_port(), free_port())
    made.write_certificates()
    try:
        made.start()
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.kill()
