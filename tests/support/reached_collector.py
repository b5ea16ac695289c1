"""The collector of the cluster, reached as anybody on its network reaches it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import msgspec
from tests.support.cluster.installation import SYSTEM
from tests.support.cluster.kubebox import components
from tests.support.collectors import a_request

from watchkeeper_detection.node_wire import Certificate, CertificateRequest
from watchkeeper_operator.authority.certificates import key_pem
from watchkeeper_operator.authority.contexts import Identity, client_context
from watchkeeper_operator.authority.keeping import SERVER_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cluster.installation import Installation


@dataclass(frozen=True)
class ReachedCollector:
    port: int
    bundle: str

    def ask(self, method: str, path: str, identity: Identity | None, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body; the collector's certificate is checked."""

        async def asked() -> tuple[int, bytes]:
            connector = aiohttp.TCPConnector(ssl=client_context(identity, self.bundle))
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.request(method, f"https://127.0.0.1:{self.port}{path}", data=body, server_hostname=SERVER_NAMES[0]) as answer,
            ):
                told = answer.status, await answer.read()
            await asyncio.sleep(0.05)  # transports of TLS end only after their session
            return told

        return asyncio.run(asked())

    def trade(self, token: str) -> tuple[int, bytes, Identity | None]:
        """Status, body, and the identity where one was given."""
        request, key = a_request()
        status, answer = self.ask("POST", "/v1/certificates", None, msgspec.msgpack.encode(CertificateRequest(token=token, request=request)))
        given = Identity(msgspec.msgpack.decode(answer, type=Certificate).certificate, key_pem(key)) if status == 200 else None
        return status, answer, given


@contextlib.contextmanager
def reached(installation: Installation) -> Iterator[ReachedCollector]:
    """By a port of this machine while it lasts."""
    bundle = json.loads(installation.kubectl("get", "configmap", "watchkeeper-ca", "--namespace", SYSTEM, "--output", "json"))["data"]["ca.crt"]
    kubectl = [components() / "kubectl", "--kubeconfig", installation.cluster.kubeconfig, "--namespace", SYSTEM]
    with subprocess.Popen([*kubectl, "port-forward", "deployment/watchkeeper-collector", ":8443"], stdout=subprocess.PIPE, text=True) as process:
        try:
            found = re.search(r":(\d+) ->", process.stdout.readline())
            assert found is not None, "kubectl forwards no port"
            yield ReachedCollector(int(found[1]), bundle)
        finally:
            process.terminate()
