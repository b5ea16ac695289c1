"""Story: commands in containers that the API server was not asked for, by a kubelet's own port; and what only looks like it."""

from __future__ import annotations

import base64
import json

import pytest
from tests.support.cluster import engine
from tests.support.cluster.installation import eventually
from tests.support.cluster.steps import output
from tests.support.cluster.told import count, entities, entry, telling

SECONDS = 150  # a command is called unasked once the audit log has gone on for 15 s without an exec
ASK = """
import base64, http.client, ssl, sys, tempfile, json
told = json.load(sys.stdin)
context = ssl._create_unverified_context()
with tempfile.NamedTemporaryFile() as pair:
    pair.write(base64.b64decode(told["pair"])); pair.flush()
    context.load_cert_chain(pair.name)
connection = http.client.HTTPSConnection(told["address"], 10250, context=context, timeout=60)
connection.request("POST", told["path"])
answer = connection.getresponse()
sys.stdout.write(f"{answer.status} {answer.read().decode()}")
"""
QUIET = {
    "readinessProbe": {"exec": {"command": ["/bin/busybox", "sh", "-c", "busybox true ready"]}, "periodSeconds": 1},
    "livenessProbe": {"exec": {"command": ["/bin/busybox", "true", "alive"]}, "periodSeconds": 1},
    "lifecycle": {
        "postStart": {"exec": {"command": ["/bin/busybox", "true", "started"]}},
        "preStop": {"exec": {"command": ["/bin/busybox", "sh", "-c", "busybox true stopped"]}},
    },
}


class Kubelet:
    """Of the node that a pod is on, asked with a person's certificate."""

    def __init__(self, work, people, person):
        self.work, self.issued = work, people.certificate(person)

    def run(self, pod, *command):
        address = self.work.kubectl("get", "pod", pod, "--output", "jsonpath={.status.hostIP}")
        told = {
            "address": address,
            "path": f"/run/{self.work.namespace}/{pod}/main?cmd={'+'.join(command)}",
            "pair": base64.b64encode(self.issued.certificate + self.issued.key).decode(),
        }
        command = ["/usr/bin/python3", "-c", ASK]
        return output(*(engine.inside_command(*command) if self.work.cluster.local else command), stdin=json.dumps(told))


@pytest.fixture
def person(cluster, namespace):
    """May use nodes/proxy while the test lasts."""
    name = f"operator-{namespace}"
    cluster.kubectl("create", "clusterrole", name, "--verb=get,create", "--resource=nodes/proxy")
    cluster.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--user={name}")
    yield name
    cluster.kubectl("delete", "clusterrolebinding,clusterrole", name)


def test_a_command_by_the_kubelets_port_is_told_from_probes_hooks_and_an_exec(installation, work, people, person):
    before = count(installation, "k8s-kubelet-through-proxy")  # kubelets ask for all callers: those of one node within half an hour are one incident
    kubelet = Kubelet(work, people, person)
    work.apply(
        work.pod("probed", container=QUIET), work.pod("stopped", container=QUIET, terminationGracePeriodSeconds=20), work.pod("asked"), work.pod("raided")
    )
    work.await_ready("probed", "stopped", "asked", "raided")
    work.kubectl("delete", "pod", "stopped")
    work.shell("asked", "busybox true one; busybox true two | busybox cat")
    status, _, said = kubelet.run("raided", "/bin/busybox", "echo", "raid").partition(" ")
    assert (status, said) == ("200", "raid\n")

    eventually("kubelet's port → incident by the audit log", lambda: count(installation, "k8s-kubelet-through-proxy") > before, SECONDS)
    told = eventually(
        "command → incident by node and audit log", lambda: entry(installation, "exec-past-audit", "unasked", f"{work.namespace}/raided"), SECONDS
    )
    assert "echo raid" in told["message"]
    incident = telling(installation, "exec-past-audit", f"{work.namespace}/raided")
    assert f"{work.namespace}/raided" in entities(incident, "pod")
    assert incident["status"]["severity"] in {"P1", "P2"}
    for pod in ("probed", "stopped", "asked"):  # older than what has been told, so decided already
        assert entry(installation, "exec-past-audit", "unasked", f"{work.namespace}/{pod}") is None
