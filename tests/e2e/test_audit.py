"""What people do to a real API server arrives by its audit webhook and is judged: promptly, and whatever else is sent beside it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import secrets
import ssl
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.support.audit_collectors import CANARY_KEY, audited
from tests.support.cluster.steps import UnableError

from watchkeeper_cli.policy_set import library_program
from watchkeeper_detection import wire
from watchkeeper_operator.audit import canaries, nonces
from watchkeeper_operator.audit.coverage import coverage, probes
from watchkeeper_operator.audit.demands import demands
from watchkeeper_operator.audit.levels import Asked, logged, read_policy, shipped_text
from watchkeeper_operator.audit.sources import LogSources
from watchkeeper_operator.audit.state import encode_state
from watchkeeper_operator.audit.watching import Watching
from watchkeeper_operator.bus.messages import Message
from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.cluster import Cluster
from watchkeeper_operator.collector.audit_judging import AuditJudge
from watchkeeper_operator.collector.audit_receiving import AuditReceiver
from watchkeeper_operator.collector.audit_sources import follow_sources
from watchkeeper_operator.collector.audit_states import AuditStates
from watchkeeper_operator.names import CANARY_ACCOUNT, SYSTEM_NAMESPACE
from watchkeeper_operator.store.engine import open_engine

ROOT = Path(__file__).parents[2]
BINDING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: eve}]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(audited(tmp_path_factory.mktemp("audit")))
        except UnableError as reason:
            pytest.skip(str(reason))


def of(rule: str, target: str):
    policy = rule.split("/", maxsplit=1)[0]
    return lambda one: one.policy == policy and rule in (policy, f"{one.policy}/{one.rule}") and target in (one.target or "")


def request(server, method: str, path: str, body: bytes = b"", **headers: str) -> int:
    """As nobody: without a certificate or token."""
    context = ssl.create_default_context(cadata=server.authority.certificate.decode())
    with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)) as connection:
        connection.request(method, path, body, headers)
        return connection.getresponse().status


def test_a_binding_of_cluster_admin_is_a_detection_within_three_seconds(running):
    server, collector = running
    server.kubectl("create", "-f", "-", stdin=BINDING % "e2e-admins")
    late, found = collector.wait_for(of("k8s-cluster-admin-binding/granted", "e2e-admins"))
    print(f"binding → detection on the queue: {late:.2f} s")
    assert found.identity == "administrator"
    assert late < 3


def test_anonymous_access_is_a_detection(running):
    server, collector = running
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: e2e-open}\nrules: [{apiGroups: [''], resources: [configmaps], verbs: [list]}]"
    server.kubectl("create", "-f", "-", stdin=role)
    server.kubectl("create", "clusterrolebinding", "e2e-open", "--clusterrole=e2e-open", "--user=system:anonymous")
    end = time.monotonic() + 5
    while request(server, "GET", "/api/v1/namespaces/default/configmaps") != 200:
        assert time.monotonic() < end
    late, _ = collector.wait_for(of("k8s-anonymous-request-allowed/resource-read", "configmaps"))
    print(f"anonymous read → detection on the queue: {late:.2f} s")


def test_a_refused_attempt_of_a_stranger_is_seen_too(running):
    server, collector = running
    assert request(server, "GET", "/api/v1/namespaces/kube-system/secrets") == 403
    collector.wait_for(lambda one: one.origin == "127.0.0.1" and "secrets" in (one.target or "") and one.identity == "system:anonymous")


def test_a_megabyte_of_configmap_beside_a_binding_hides_nothing(running):
    server, collector = running
    config = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "e2e-large", "namespace": "default"}, "data": {"a": "x" * 1_000_000}})
    server.kubectl("create", "-f", "-", stdin=f"{config}\n---\n{BINDING % 'e2e-beside'}")
    late, _ = collector.wait_for(of("k8s-cluster-admin-binding/granted", "e2e-beside"))
    print(f"1 MB beside a binding → detection on the queue: {late:.2f} s")
    assert late < 3


@pytest.mark.parametrize("kilobytes", [60, 250])
def test_a_long_annotation_hides_no_privileged_pod(running, kilobytes):
    server, collector = running
    name = f"e2e-privileged-{kilobytes}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "annotations": {"a": "x" * 1000 * kilobytes}},
        "spec": {"containers": [{"name": "c", "image": "nowhere.test/c:1", "securityContext": {"privileged": True}}], "automountServiceAccountToken": False},
    }
    server.kubectl("create", "serviceaccount", "default", check=False)
    server.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    collector.wait_for(of("k8s-privileged-container", name))
    assert not [blind for blind in collector.blind() if blind.cause == "audit_truncated"]


def test_an_event_that_the_api_server_truncates_is_a_loss_and_a_detection(running):
    """A stranger to our flags: an API server whose limit is small."""
    server, collector = running
    server.flags = {**server.flags, "audit-webhook-truncate-max-event-size": "20000"}
    server.restart()
    pod = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "e2e-truncated", "namespace": "default"},
        "data": {"a": "x" * 60_000},
    }
    server.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    collector.wait_for(of("k8s-audit-truncated", "e2e-truncated"))
    assert [blind.records for blind in collector.blind() if blind.cause == "audit_truncated"] == [{"audit.request": 1}]


def test_the_collector_is_away_for_twenty_seconds_and_nothing_is_lost(running):
    server, collector = running
    server.kubectl("create", "namespace", "e2e-before")
    collector.stop()
    begun = time.monotonic()
    names = [f"e2e-away-{number}" for number in range(20)]
    for name in names:
        server.kubectl("create", "-f", "-", stdin=BINDING % name)
        time.sleep(max(0.0, begun + (names.index(name) + 1) - time.monotonic()))
    away = time.monotonic() - begun
    collector.start()
    lates = [collector.wait_for(of("k8s-cluster-admin-binding/granted", name), 60)[0] for name in names]
    print(f"away for {away:.1f} s: latest detection {max(lates):.1f} s after its event, median {sorted(lates)[10]:.1f} s")
    assert away >= 20
    found = [one.target for _, one in collector.detections() if one.rule == "granted" and "e2e-away" in (one.target or "")]
    assert len(found) == len(names)


# canaries


WEAK = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, resources: [{group: "", resources: [pods/exec]}]}
- {level: Metadata, resources: [{group: rbac.authorization.k8s.io}]}
- {level: RequestResponse}
"""


async def _canaries(server, nonce):
    async with Cluster.connect(server.kubeconfig) as cluster:
        return await canaries.send(cluster, nonce, probes(demands(library_program())), pause=0)


def canary_run(server, collector):
    """What was sent and what of it arrived."""
    server.kubectl("create", "namespace", SYSTEM_NAMESPACE, check=False)
    server.kubectl("create", "serviceaccount", CANARY_ACCOUNT, "-n", SYSTEM_NAMESPACE, check=False)
    nonce = nonces.nonce(CANARY_KEY, int(time.time()), secrets.token_bytes(nonces.RANDOM_BYTES))
    sent = asyncio.run(_canaries(server, nonce))
    time.sleep(3)
    return sent, [one for state in collector.states.report() for one in state.arrivals if one.nonce == nonce]


def found_of_canaries(collector):
    return [f"{one.policy}/{one.rule}" for _, one in collector.detections() if CANARY_ACCOUNT in (one.identity or "")]


def test_under_the_shipped_policy_canaries_arrive_and_blind_is_what_reads_secrets(running):
    server, collector = running
    found = coverage(demands(library_program()), *canary_run(server, collector))
    print(f"canaries: {found.arrived} of {found.sent} arrived, the slowest after {found.slowest_seconds:.2f} s; {found.rules} rules, {len(found.wholly)} blind")
    assert found.arrived == found.sent > 200
    assert {one.rule for one in found.blind} == {"k8s-long-lived-token/secret-made"}
    assert found_of_canaries(collector) == []


def test_canaries_tell_the_truth_about_a_weakened_policy(running):
    server, collector = running
    (collector.node / "policy.yaml").write_text(WEAK)
    server.restart()
    sent, arrivals = canary_run(server, collector)
    blind = {one.rule: one.reason for one in coverage(demands(library_program()), sent, arrivals).wholly}
    print(f"weakened policy: {len(blind)} rules blind")
    assert blind["k8s-cluster-admin-binding/granted"].endswith("of clusterrolebindings; Metadata is logged")
    assert blind["k8s-exec-break-out-tool/enters-the-node"] == "audit level Metadata for create of pods/exec; nothing is logged"
    assert "k8s-privileged-container/created" not in blind
    assert differing(sent, arrivals, read_policy(WEAK)) == []


def differing(sent, arrivals, policy):
    """Where what we hold an audit policy to say is not what the API server does."""
    came = {(one.verb, one.uri): one.level for one in arrivals}
    ours = {
        probe: logged(policy, Asked(user="x", verb=probe.verb, group=probe.group, resource=probe.resource, subresource=probe.subresource)).level
        for probe in sent
    }
    return [f"{probe.verb} {probe.what}: {level} we say" for probe, level in ours.items() if came.get((probe.verb, probe.uri), "None") != level]


def test_an_account_that_may_do_something_is_no_canary(running):
    server, collector = running
    server.kubectl("create", "clusterrolebinding", "e2e-canary", "--clusterrole=cluster-admin", f"--serviceaccount={SYSTEM_NAMESPACE}:{CANARY_ACCOUNT}")
    time.sleep(1)
    try:
        with pytest.raises(canaries.NotRefusedError, match="may get"):
            canary_run(server, collector)
    finally:
        server.kubectl("delete", "clusterrolebinding", "e2e-canary")


# with the controllers, of which some rules tell


def test_a_token_that_never_expires_is_seen_without_logging_a_secret(tmp_path):
    """By what the token controller does next: the secret's body, which would tell, is never logged."""
    with contextlib.ExitStack() as stack:
        try:
            server, collector = stack.enter_context(audited(tmp_path, controllers=True))
        except UnableError as reason:
            pytest.skip(str(reason))
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {"name": "e2e-deployer", "namespace": "default", "annotations": {"kubernetes.io/service-account.name": "default"}},
        }
        server.kubectl("create", "-f", "-", stdin=json.dumps(secret))
        collector.wait_for(of("k8s-long-lived-token/filled-in", "e2e-deployer"))
        token = server.kubectl("get", "secret", "e2e-deployer", "-o", "jsonpath={.data.token}")
        assert len(token) > 100
        assert token not in server.audit_log.read_text()


def test_a_kubelet_that_is_asked_by_somebody_else_than_the_api_server_is_seen(running):
    """The kubelet's own question, as it asks it: a node's account may create SubjectAccessReviews."""
    server, collector = running
    (collector.node / "policy.yaml").write_text(shipped_text())
    server.restart()
    kubelet = server.kubeconfig_for("system:node:e2e-node", "system:nodes")

    def ask(user: str, verb: str) -> None:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": [], "resourceAttributes": {"verb": verb, "resource": "nodes", "subresource": "proxy", "name": "e2e-node"}},
        }
        server.kubectl("create", "--raw", "/apis/authorization.k8s.io/v1/subjectaccessreviews", "-f", "-", stdin=json.dumps(review), kubeconfig=kubelet)

    ask("kube-apiserver-kubelet-client", "create")
    ask("system:serviceaccount:shop:web", "create")
    late, found = collector.wait_for(lambda one: one.policy == "k8s-kubelet-through-proxy")
    print(f"kubelet asked directly → detection on the queue: {late:.2f} s")
    assert (found.rule, found.identity) == ("command-asked-directly", "system:node:e2e-node")
    assert "system:serviceaccount:shop:web" in found.message
    time.sleep(2)
    assert len([one for _, one in collector.detections() if one.policy == "k8s-kubelet-through-proxy"]) == 1


# the leader's watch, as it runs


def test_the_leader_writes_what_it_knows_to_the_log_source(running):
    server, collector = running
    server.kubectl("apply", "--server-side", "-f", str(ROOT / "crds" / "logsource.yaml"))
    server.kubectl("wait", "--for=condition=Established", "crd/logsources.watchkeeper.dev")
    source = "apiVersion: watchkeeper.dev/v1alpha1\nkind: LogSource\nmetadata: {name: control-plane}\nspec: {type: AuditWebhook}"
    server.kubectl("create", "-f", "-", stdin=source)
    server.kubectl("create", "namespace", SYSTEM_NAMESPACE, check=False)
    server.kubectl("create", "serviceaccount", CANARY_ACCOUNT, "-n", SYSTEM_NAMESPACE, check=False)
    sources = LogSources()

    async def ask_nonce() -> str:
        return nonces.nonce(CANARY_KEY, int(time.time()), secrets.token_bytes(nonces.RANDOM_BYTES))

    async def nobody(_found) -> None:
        raise AssertionError("no node told anything")

    def status() -> dict:
        return json.loads(server.kubectl("get", "logsource", "control-plane", "-o", "json")).get("status", {})

    async def act() -> dict:
        async with Cluster.connect(server.kubeconfig) as cluster:
            watching = Watching(cluster, sources, library_program, ask_nonce, nobody, time.time_ns)
            task = asyncio.create_task(watching.run())
            end = time.monotonic() + 90
            while "coverage" not in (found := await asyncio.to_thread(status)) and time.monotonic() < end and not task.done():
                await watching.take([Message(1, "log-state", f"audit/{one.source}/{one.replica}", 1, encode_state(one)) for one in collector.states.report()])
                await asyncio.sleep(0.5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return found

    found = asyncio.run(act())
    conditions = {one["type"]: (one["status"], one["reason"]) for one in found["conditions"]}
    print(
        f"LogSource: {found['coverage']['arrived']} of {found['coverage']['sent']} canaries, lag p99 {found['lagMilliseconds']} ms, {found['recordsPerSecond']}/s"
    )
    assert conditions["Receiving"] == ("True", "Arriving")
    assert conditions["Covered"] == ("False", "BlindRules")
    assert [one["rule"] for one in found["coverage"]["blindRules"]] == ["secret-made"]


def test_files_that_a_log_source_names_are_followed(running, tmp_path):
    """The same API server writes its log to a file as well."""
    server, _ = running
    source = {"apiVersion": "watchkeeper.dev/v1alpha1", "kind": "LogSource", "metadata": {"name": "files"}}
    source["spec"] = {"type": "AuditFile", "auditFile": {"paths": [str(server.audit_log)]}}
    server.kubectl("apply", "--server-side", "-f", str(ROOT / "crds" / "logsource.yaml"))
    server.kubectl("wait", "--for=condition=Established", "crd/logsources.watchkeeper.dev")
    server.kubectl("create", "-f", "-", stdin=json.dumps(source))

    async def act() -> list[str]:
        queue = Queue(open_engine(f"sqlite:///{tmp_path}/queue.db"))
        await queue.open()
        states = AuditStates("collector-0", CollectorRegistry(), time.time_ns)
        judge = AuditJudge(library_program(), keys=tuple, clock=time.time_ns)
        async with Cluster.connect(server.kubeconfig) as cluster, AuditReceiver.open(judge, queue, states) as receiver:
            task = asyncio.create_task(follow_sources(receiver, cluster, tmp_path))
            await asyncio.sleep(2)
            await asyncio.to_thread(server.kubectl, "create", "-f", "-", stdin=BINDING % "e2e-in-a-file")
            found: list[str] = []
            end = time.monotonic() + 20
            while not found and time.monotonic() < end:
                told = [wire.decode_detection(one.payload) for one in await queue.fetch(0, 10_000, 1 << 28) if one.topic == "detection"]
                found = [one.rule for one in told if "e2e-in-a-file" in (one.target or "") and one.policy == "k8s-cluster-admin-binding"]
                await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await queue.close()
        return found

    assert asyncio.run(act()) == ["granted"]
