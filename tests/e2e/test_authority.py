"""The leader keeps the authority in a real API server's Secrets; a root is replaced while a collector runs, and nobody is locked out."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import aiohttp
import pytest
from tests.support.api_server import free_port
from tests.support.collector_processes import CollectorProcess, apply
from tests.support.collectors import Authorities

from watchkeeper_operator import kinds
from watchkeeper_operator.authority import custody
from watchkeeper_operator.authority.certificates import AUDIT_LIFE, make_client, read_certificates
from watchkeeper_operator.authority.contexts import Identity, client_context
from watchkeeper_operator.authority.keeping import RETIRE_ANNOTATION, ROTATE_ANNOTATION, SERVER_NAMES, Keeping, utc_now
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.authority.secrets import Secret, read_held
from watchkeeper_operator.cluster import Cluster
from watchkeeper_operator.cluster_errors import Conflict
from watchkeeper_operator.names import CA_BUNDLE, CA_SECRET, COLLECTOR_SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api_server import ApiServer

SYSTEM = "watchkeeper-system"


def texts(server: ApiServer, kind: str, name: str) -> dict[str, str]:
    data = json.loads(server.kubectl("get", kind, name, "-n", SYSTEM, "-o", "json"))["data"]
    return {key: base64.b64decode(value).decode() if kind == "secret" else value for key, value in data.items()}


def keep(server: ApiServer, **options: object) -> Keeping:
    async def run() -> Keeping:
        async with Cluster.connect(server.kubeconfig) as cluster:
            keeping = Keeping(cluster, "operator-0", **options)
            await keeping.keep()
            return keeping

    return asyncio.run(run())


@pytest.fixture
def system(api_server: ApiServer) -> ApiServer:
    """watchkeeper-system without an authority."""
    apply(api_server, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
    api_server.kubectl("delete", "secret", CA_SECRET, COLLECTOR_SECRET, "-n", SYSTEM, "--ignore-not-found")
    return api_server


def test_an_authority_is_made_once_and_what_is_right_is_not_written_again(system: ApiServer) -> None:
    keep(system)
    before = [system.kubectl("get", kind, name, "-n", SYSTEM, "-o", "jsonpath={.metadata.resourceVersion} {.data}") for kind, name in OBJECTS]
    keep(system)
    assert [system.kubectl("get", kind, name, "-n", SYSTEM, "-o", "jsonpath={.metadata.resourceVersion} {.data}") for kind, name in OBJECTS] == before
    given = texts(system, "secret", COLLECTOR_SECRET)
    assert texts(system, "secret", CA_SECRET)["ca.key"] not in given.values()
    assert texts(system, "configmap", CA_BUNDLE)["ca.crt"] == given["ca.crt"]


OBJECTS = (("secret", CA_SECRET), ("secret", COLLECTOR_SECRET), ("configmap", CA_BUNDLE))


def test_a_root_that_was_made_before_the_operator_is_used(system: ApiServer, tmp_path: Path) -> None:
    from watchkeeper_operator.authority.certificates import key_pem, make_root, pem

    root = make_root(utc_now())
    (tmp_path / "ca.crt").write_text(pem(root.certificate))
    (tmp_path / "ca.key").write_text(key_pem(root.key))
    system.kubectl("create", "secret", "generic", CA_SECRET, "-n", SYSTEM, f"--from-file={tmp_path}/ca.crt", f"--from-file={tmp_path}/ca.key")
    keep(system)
    assert read_certificates(texts(system, "secret", COLLECTOR_SECRET)["tls.crt"])[0].issuer == root.certificate.subject


def test_two_leaders_do_not_write_over_each_other(system: ApiServer) -> None:
    keep(system)

    async def race() -> None:
        async with Cluster.connect(system.kubeconfig) as cluster:
            found = await cluster.get(kinds.SECRETS, Secret, CA_SECRET, namespace=SYSTEM)
            system.kubectl("annotate", "secret", CA_SECRET, "-n", SYSTEM, f"{ROTATE_ANNOTATION}=race")
            with pytest.raises(Conflict):
                await Keeping(cluster, "late")._write(custody.first(utc_now()), found)

    asyncio.run(race())


class Mounted(CollectorProcess):
    """The collector's Secret as the kubelet mounts it: taken over when it has changed."""

    def mount(self) -> None:
        given = self.folder / "tls"
        given.mkdir(exist_ok=True)
        for name, text in texts(self.server, "secret", COLLECTOR_SECRET).items():
            (given / name).write_text(text)

    async def status(self, identity: Identity, trusted: str) -> int | str:
        """What the audit endpoint says to a client that trusts these roots."""
        tls = client_context(identity, trusted)
        url = f"https://127.0.0.1:{self.port}/v1/audit"
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
                session.post(url, data=b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[]}', server_hostname=SERVER_NAMES[0]) as answer,
            ):
                told: int | str = answer.status
        except aiohttp.ClientError as refused:
            told = type(refused).__name__
        await asyncio.sleep(0.05)
        return told


def test_a_root_is_replaced_while_api_servers_know_the_old_one_alone(system: ApiServer, tmp_path: Path) -> None:
    no_wait = {"spread": timedelta(0)}
    system.kubectl("apply", "--server-side", "-k", "crds")
    keeping = keep(system)
    old = read_held(texts(system, "secret", CA_SECRET))
    audit = make_client(old.current, Role.AUDIT, "control-plane", utc_now(), AUDIT_LIFE)  # of a file that nobody replaces
    collector = Mounted(system, tmp_path, Authorities(), free_port(), free_port())
    collector.mount()
    try:
        collector.start()
        assert asyncio.run(collector.status(audit, old.trusted)) == 204
        system.kubectl("annotate", "--overwrite", "secret", CA_SECRET, "-n", SYSTEM, f"{ROTATE_ANNOTATION}=please")
        for trusted in (2, 2):  # the next root is trusted, then it signs
            keeping = keep(system, **no_wait)
            collector.mount()
            assert len(read_certificates(texts(system, "configmap", CA_BUNDLE)["ca.crt"])) == trusted
            time.sleep(6)
            assert asyncio.run(collector.status(audit, old.trusted)) == 204, "who knows the old root alone is served and let in"
        new = read_held(texts(system, "secret", CA_SECRET))
        assert new.current.certificate != old.current.certificate
        fresh = make_client(new.current, Role.AUDIT, "control-plane", utc_now(), AUDIT_LIFE)
        assert asyncio.run(collector.status(fresh, new.trusted)) == 204
        system.kubectl("annotate", "secret", CA_SECRET, "-n", SYSTEM, f"{RETIRE_ANNOTATION}={custody.fingerprint(old.current.certificate)}")
        keep(system, **no_wait)
        collector.mount()
        time.sleep(6)
        assert asyncio.run(collector.status(audit, new.trusted)) != 204, "a certificate of the retired root is worth nothing"
        assert asyncio.run(collector.status(fresh, read_held(texts(system, "secret", CA_SECRET)).trusted)) == 204
        assert collector.stop() == 0
    finally:
        if collector.process is not None and collector.process.poll() is None:
            collector.kill()
    assert keeping.tls() is not None
