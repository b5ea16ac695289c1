"""What the operator's account can't do although its role, of which names are no part, would let it: asked of a real API server as that account, which is its administrator here."""

from __future__ import annotations

from copy import deepcopy

import pytest
from tests.support.admission import EPOCH, OPERATOR, lease

from watchkeeper_operator.authority.secrets import secret_body
from watchkeeper_operator.names import CA_SECRET, COLLECTOR_SECRET, EPOCH_ANNOTATION
from watchkeeper_operator.sensors.daemon_set import Image, daemon_set
from watchkeeper_operator.shapes import Metadata, Object

PATHS = {
    "Secret": "/api/v1/namespaces/watchkeeper-system/secrets",
    "Lease": "/apis/coordination.k8s.io/v1/namespaces/watchkeeper-system/leases",
    "DaemonSet": "/apis/apps/v1/namespaces/watchkeeper-system/daemonsets",
}


def asked(client, written, user=OPERATOR):
    metadata = written["metadata"]
    of_leader = {**written, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), EPOCH_ANNOTATION: str(EPOCH)}}}
    return client.ask("POST", PATHS[written["kind"]], of_leader, user=user, dryRun="All", fieldValidation="Strict")


def a_secret(name=COLLECTOR_SECRET, **fields):
    return {"apiVersion": "v1", "kind": "Secret", **secret_body(name, {"tls.crt": "none"}), **fields}


def a_daemon_set(name="", **pod):
    made = daemon_set(Object(metadata=Metadata(name="all", uid="one"), spec={}), [], Image("watchkeeper-sensor:1", "1"))
    written = {"apiVersion": "apps/v1", "kind": "DaemonSet", **deepcopy(made)}
    del written["metadata"]["ownerReferences"]
    written["metadata"]["name"] = name or written["metadata"]["name"]
    written["spec"]["template"]["spec"] |= pod
    return written


def a_token_secret(name):
    metadata = {"name": name, "namespace": "watchkeeper-system", "annotations": {"kubernetes.io/service-account.name": "watchkeeper-observe"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/service-account-token"}


def privileged():
    (container,) = a_daemon_set()["spec"]["template"]["spec"]["containers"]
    return {"containers": [container, {"name": "another", "image": "any", "securityContext": {"privileged": True}}]}


TAKEN = {"the authority": a_secret(CA_SECRET), "what the collector mounts": a_secret(), "a Sensor's DaemonSet, as it is made": a_daemon_set()}
REFUSED = {
    "another Secret": (a_secret("another"), "no other"),
    "a token of another account": (a_token_secret("watchkeeper-observe"), "no other"),
    "a token of another account, by a name of ours": (a_token_secret(CA_SECRET), "no other"),
    "another Lease": ({**lease(), "metadata": {"name": "kube-scheduler", "namespace": "watchkeeper-system"}}, "no other"),
    "a DaemonSet of another name": (a_daemon_set("miner"), "no other"),
    "a DaemonSet that runs as the operator": (a_daemon_set(serviceAccountName="watchkeeper-act"), "no other"),
    "a DaemonSet that runs as nobody named": (a_daemon_set(serviceAccountName=""), "no other"),
    "a DaemonSet with its token": (a_daemon_set(automountServiceAccountToken=True), "no other"),
    "a DaemonSet on the host's network": (a_daemon_set(hostNetwork=True), "no other"),
    "a DaemonSet with the host's IPC": (a_daemon_set(hostIPC=True), "no other"),
    "a DaemonSet with a privileged container": (a_daemon_set(**privileged()), "no other"),
    "a DaemonSet with an init container": (a_daemon_set(initContainers=[{"name": "first", "image": "any"}]), "no other"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_the_operator_makes_what_is_its_own(guarded, name):
    answer = asked(guarded, TAKEN[name])
    assert answer.taken or answer.code == 409, answer.message  # 409: it is there


@pytest.mark.parametrize("name", REFUSED)
def test_the_operator_makes_nothing_else(guarded, name):
    written, words = REFUSED[name]
    answer = asked(guarded, written)
    assert answer.refused_by_policy, answer.message
    assert words in answer.message


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_not_bound_by_it(guarded, name):
    written, _ = REFUSED[name]
    answer = asked(guarded, written, user="")
    assert answer.taken or not answer.refused_by_policy
