"""What the cluster of the stories promises them: pods, Services, names, policies, volumes, audit, scale. And that the machine's own network stays as it was."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from tests.support.cluster import audit, engine, receiver
from tests.support.cluster.fake_nodes import FakeNodes
from tests.support.cluster.steps import NoKubernetesError

SECONDS = 60
SERVE = ["/bin/busybox", "sh", "-c", "echo served; exec busybox nc -ll -p 9000 -e /bin/busybox cat"]
WAIT = ["/bin/busybox", "sleep", "100000"]
NO_INGRESS = {"podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": ["Ingress"]}
QUARANTINE = {
    "tier": "Admin",
    "priority": 10,
    "subject": {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"quarantine": "true"}}}},
    "ingress": [{"name": "none", "action": "Deny", "from": [{"namespaces": {}}]}],
    "egress": [{"name": "none", "action": "Deny", "to": [{"networks": ["0.0.0.0/0"]}]}],
}


def thing(kind, name, spec, **metadata):
    version = {"NetworkPolicy": "networking.k8s.io/v1", "ClusterNetworkPolicy": "policy.networking.k8s.io/v1alpha2"}.get(kind, "v1")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def pod(name, image, command, **spec):
    container = {"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "command": command, **spec.pop("container", {})}
    return thing("Pod", name, {"terminationGracePeriodSeconds": 0, "containers": [container], **spec}, labels={"app": name})


class InNamespace:
    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace

    def kubectl(self, *words, **options):
        return self.cluster.kubectl("-n", self.namespace, *words, **options)

    def apply(self, *objects):
        self.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def await_ready(self, *names):
        self.kubectl("wait", "--for=condition=Ready", f"--timeout={SECONDS}s", *(f"pod/{name}" for name in names))

    def says(self, command):
        """What a shell in the pod `client` prints."""
        return self.kubectl("exec", "client", "--", "/bin/busybox", "sh", "-c", command)

    def reaches(self, host):
        """Whether a new connection from `client` is answered within two seconds."""
        return "hello" in self.says(f"echo hello | busybox timeout 2 busybox nc {host} 9000 || true")

    def await_reaching(self, host, wanted, seconds):
        end = time.monotonic() + seconds
        while self.reaches(host) != wanted:
            assert time.monotonic() < end, f"{host} is{' not' if wanted else ''} reached after {seconds} s"


@pytest.fixture
def here(cluster, namespace):
    return InNamespace(cluster, namespace)


@pytest.fixture
def pair(here, busybox):
    """Pods `server` and `client` on different nodes, and a Service."""
    control_plane, worker = sorted(here.cluster.nodes())[:2]
    here.apply(
        pod("server", busybox, SERVE, nodeName=worker, container={"readinessProbe": {"tcpSocket": {"port": 9000}, "periodSeconds": 1}}),
        pod("client", busybox, WAIT, nodeName=control_plane),
        thing("Service", "server", {"selector": {"app": "server"}, "ports": [{"port": 9000}]}),
    )
    here.await_ready("server", "client")
    return here


def test_pods_are_reached_across_nodes_by_address_service_and_name(pair):
    address = pair.kubectl("get", "pod", "server", "-o", "jsonpath={.status.podIP}")
    service = pair.kubectl("get", "service", "server", "-o", "jsonpath={.spec.clusterIP}")
    pair.await_reaching(address, True, 5)
    pair.await_reaching(service, True, 5)
    assert service in pair.says(f"busybox nslookup server.{pair.namespace}.svc.cluster.local")
    assert pair.kubectl("logs", "server") == "served\n"


def test_a_network_policy_is_in_force_at_once_and_until_it_is_deleted(pair):
    address = pair.kubectl("get", "pod", "server", "-o", "jsonpath={.status.podIP}")
    pair.await_reaching(address, True, 5)
    pair.apply(thing("NetworkPolicy", "none", NO_INGRESS))
    pair.await_reaching(address, False, 6)
    pair.kubectl("delete", "networkpolicy", "none")
    pair.await_reaching(address, True, 6)


def test_a_cluster_network_policy_cuts_off_a_labelled_pod(pair):
    if not pair.cluster.local:
        pytest.skip("only the local cluster (WATCHKEEPER_KIND=local) surely enforces ClusterNetworkPolicy")
    address = pair.kubectl("get", "pod", "server", "-o", "jsonpath={.status.podIP}")
    name = f"quarantine-{pair.namespace}"
    pair.apply(thing("ClusterNetworkPolicy", name, QUARANTINE))
    try:
        assert pair.reaches(address)
        pair.kubectl("label", "pod", "server", "quarantine=true")
        pair.await_reaching(address, False, 6)
        pair.kubectl("label", "pod", "server", "quarantine-")
        pair.await_reaching(address, True, 6)
    finally:
        pair.kubectl("delete", "clusternetworkpolicy", name)


def test_a_volume_is_written_by_a_pod_that_is_not_root_and_read_on_another_node(here, busybox):
    control_plane, worker = sorted(here.cluster.nodes())[:2]
    claim = thing("PersistentVolumeClaim", "kept", {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}})
    mounted = {"volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}
    volumes = [{"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}}]
    write = ["/bin/busybox", "sh", "-c", "echo written >/kept/file && exec busybox sleep 100000"]
    not_root = {"runAsUser": 65532, "runAsNonRoot": True}
    written = {"exec": {"command": ["/bin/busybox", "test", "-s", "/kept/file"]}, "periodSeconds": 1}
    writer = pod(
        "writer",
        busybox,
        write,
        nodeSelector={"kubernetes.io/hostname": worker},
        volumes=volumes,
        securityContext=not_root,
        container={**mounted, "readinessProbe": written},
    )
    here.apply(claim, writer)
    here.await_ready("writer")
    here.apply(pod("client", busybox, WAIT, nodeName=control_plane, volumes=volumes, container=mounted))
    here.await_ready("client")
    assert here.says("busybox cat /kept/file") == "written\n"


def test_a_container_gets_the_capabilities_of_a_sensor(here, busybox):
    security = {"capabilities": {"drop": ["ALL"], "add": ["BPF", "PERFMON"]}, "readOnlyRootFilesystem": True, "seccompProfile": {"type": "RuntimeDefault"}}
    here.apply(pod("client", busybox, WAIT, container={"securityContext": security}))
    here.await_ready("client")
    effective = int(here.says("busybox awk '/^CapEff/{print $2}' /proc/self/status"), 16)
    assert effective == 1 << 38 | 1 << 39
    assert here.says("busybox head -c 2 /sys/kernel/btf/vmlinux | busybox od -An -tx1").split() == ["9f", "eb"]


def test_the_audit_log_has_the_body_of_a_binding(here):
    name = f"watched-{here.namespace}"
    here.kubectl("create", "rolebinding", name, "--clusterrole=view", "--user=mallory")
    end = time.monotonic() + 10
    while not (lines := [line for line in here.cluster.audit_log.read_text().splitlines() if name in line and '"rolebindings"' in line]):
        assert time.monotonic() < end
        time.sleep(0.2)
    event = json.loads(lines[0])
    assert event["level"] == "RequestResponse"
    assert event["requestObject"]["subjects"] == [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"}]


@pytest.fixture
def received(here, tmp_path):
    """File of what the API server sends to the audit address while the test lasts."""
    if not here.cluster.local:
        pytest.skip("the receiver runs in the network namespace of the local cluster")
    gateway = here.cluster.docker("network", "inspect", "kind", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    service = {"clusterIP": audit.ADDRESS, "ports": [{"port": 443, "targetPort": 9443}]}
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "audit-1", "labels": {"kubernetes.io/service-name": "audit"}},
        "addressType": "IPv4",
        "ports": [{"port": 9443}],
        "endpoints": [{"addresses": [gateway]}],
    }
    try:
        here.apply(thing("Service", "audit", service), endpoints)
    except NoKubernetesError as reason:
        if "already allocated" in str(reason):
            pytest.skip(f"another Service has {audit.ADDRESS}: events go there")
        raise
    out = tmp_path / "events"
    command = engine.inside_command(sys.executable, Path(receiver.__file__), here.cluster.authority, "9443", out)
    with subprocess.Popen(command) as process:
        yield out
        process.terminate()
    here.kubectl("delete", "service", "audit")


def test_audit_events_are_sent_with_a_client_certificate_within_seconds(here, received):
    name = f"sent-{here.namespace}"
    end = time.monotonic() + 100  # a batch that nobody took is sent again after up to 50 s
    while not received.exists():
        here.kubectl("get", "pods")
        time.sleep(1)
        assert time.monotonic() < end
    here.kubectl("create", "rolebinding", name, "--clusterrole=view", "--user=mallory")
    end = time.monotonic() + 10
    while not (lines := [line for line in received.read_text().splitlines() if name in line and '"rolebindings"' in line]):
        assert time.monotonic() < end
        time.sleep(0.2)
    at, caller, event = json.loads(lines[0])
    assert caller == [audit.SOURCE, "watchkeeper:audit"]
    assert event["requestObject"]["subjects"][0]["name"] == "mallory"
    assert at - datetime.fromisoformat(event["stageTimestamp"]).timestamp() < 3


def test_fake_nodes_are_ready_while_wanted_and_get_no_real_pod(here, busybox):
    with FakeNodes(here.cluster.kubeconfig, 30, 200):
        nodes = json.loads(here.kubectl("get", "nodes", "-l", "type=fake", "-o", "json"))["items"]
        assert len(nodes) == 30
        assert all(condition["status"] == "True" for node in nodes for condition in node["status"]["conditions"] if condition["type"] == "Ready")
        running = here.cluster.kubectl("get", "pods", "-A", "-l", "type=fake", "--field-selector=status.phase=Running", "-o", "name")
        assert len(running.split()) == 200
        here.apply(*(pod(f"real-{number}", busybox, WAIT) for number in range(3)))
        here.await_ready("real-0", "real-1", "real-2")
    assert here.kubectl("get", "nodes", "-l", "type=fake", "-o", "name") == ""
    assert here.cluster.kubectl("get", "pods", "-A", "-l", "type=fake", "-o", "name") == ""


def test_what_kubectl_refuses_is_said(cluster):
    with pytest.raises(NoKubernetesError, match='namespaces "none-such" not found'):
        cluster.kubectl("get", "namespace", "none-such")


def test_the_machines_own_network_has_no_route_to_nodes(cluster):
    if not cluster.local:
        pytest.skip("a Docker of the machine's own has its bridges there")
    addresses = cluster.kubectl("get", "nodes", "-o", 'jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}').split()
    routes = [line.split()[1] for line in Path("/proc/net/route").read_text().splitlines()[1:]]
    networks = {".".join(str(octet) for octet in reversed(bytes.fromhex(route)[-2:])) for route in routes}
    assert addresses
    assert not networks & {address.rsplit(".", 2)[0] for address in addresses}
