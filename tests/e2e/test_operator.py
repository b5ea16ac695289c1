"""The operator as a process against a real API server, with the admission policies that ship."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.api_server import ApiServer
from tests.support.operators import ACT, GROUPS, an_operator, eventually, prepare
from tests.support.policy_objects import a_policy, a_rule, an_exception

ADMISSION = Path(__file__).parents[2] / "manifests" / "base" / "admission"
RUNS = {"on": ["process.exec"], "when": 'process.exe == "/bin/sh"'}


@pytest.fixture(scope="module")
def server():
    with ApiServer() as running:
        prepare(running)
        running.kubectl("apply", "--server-side", "-k", str(ADMISSION))
        yield running


@pytest.fixture(scope="module")
def operator(server, tmp_path_factory):
    with an_operator(server, tmp_path_factory.mktemp("operator"), "only", "--lease-seconds", "6") as running:
        yield running


def apply(server, thing, name, namespace="watchkeeper"):
    thing = {**thing, "metadata": {"name": name, "namespace": namespace}}
    server.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(thing))


def got(server, kind, name, namespace="watchkeeper"):
    return json.loads(server.kubectl("get", kind, name, "-n", namespace, "-o", "json"))


def condition(server, kind, name, type_="Accepted", namespace="watchkeeper"):
    """The condition, as far as it is about the object as it stands."""
    thing = got(server, kind, name, namespace)
    found = [one for one in thing.get("status", {}).get("conditions", []) if one["type"] == type_]
    return found[0] if found and found[0]["observedGeneration"] == thing["metadata"]["generation"] else {}


def is_so(server, kind, name, status, type_="Accepted", namespace="watchkeeper"):
    return condition(server, kind, name, type_, namespace).get("status") == status


def lease(server):
    return got(server, "lease", "watchkeeper-operator", "watchkeeper-system")


@pytest.mark.usefixtures("operator")
def test_a_policy_that_is_wrong_is_told_where_within_two_seconds(server):
    apply(server, a_policy(a_rule(**RUNS | {"when": 'process.exee == "/bin/sh"'})), "wrong")
    took = eventually(lambda: is_so(server, "runtimepolicy", "wrong", "False"), 5)
    said = condition(server, "runtimepolicy", "wrong")
    assert said["reason"] == "Invalid"
    assert "spec.rules[exec-in-pod].when" in said["message"]
    assert "process.exe" in said["message"].split("did you mean")[1]
    print(f"refused after {took:.2f} s")
    assert took < 2


@pytest.mark.usefixtures("operator")
def test_a_refusal_is_an_event_too(server):
    apply(server, a_policy(a_rule(**RUNS | {"when": "process.nothing"})), "told")
    eventually(lambda: "process.nothing" in server.kubectl("get", "events.events.k8s.io", "-n", "watchkeeper", "-o", "json"), 5)


@pytest.mark.usefixtures("operator")
def test_a_policy_edited_to_nonsense_leaves_the_last_good_one_in_force(server):
    apply(server, a_policy(a_rule(**RUNS)), "edited")
    eventually(lambda: is_so(server, "runtimepolicy", "edited", "True"), 5)
    apply(server, a_policy(a_rule(**RUNS | {"when": "nonsense("})), "edited")
    eventually(lambda: is_so(server, "runtimepolicy", "edited", "False"), 5)
    assert "generation 1 stays in force" in condition(server, "runtimepolicy", "edited")["message"]
    assert condition(server, "runtimepolicy", "edited", "InForce")["reason"] == "LastGood"
    assert got(server, "runtimepolicy", "edited")["status"]["inForce"]["generation"] == 1
    apply(server, a_policy(a_rule(**RUNS)), "edited")
    eventually(lambda: is_so(server, "runtimepolicy", "edited", "True"), 5)
    assert got(server, "runtimepolicy", "edited")["status"]["inForce"]["generation"] == 3


def test_the_last_good_policy_outlives_the_operator(tmp_path):
    with ApiServer() as other:
        prepare(other)
        with an_operator(other, tmp_path, "same"):
            apply(other, a_policy(a_rule(**RUNS)), "kept")
            eventually(lambda: is_so(other, "runtimepolicy", "kept", "True"), 10)
        apply(other, a_policy(a_rule(**RUNS | {"when": "nonsense("})), "kept")
        with an_operator(other, tmp_path, "same"):
            eventually(lambda: is_so(other, "runtimepolicy", "kept", "False"), 30)
            assert "generation 1 stays in force" in condition(other, "runtimepolicy", "kept")["message"]


@pytest.mark.usefixtures("operator")
def test_exceptions_and_lists_are_told_as_well(server):
    apply(server, an_exception(policy="none"), "dangling")
    eventually(lambda: is_so(server, "policyexception", "dangling", "False"), 5)
    assert condition(server, "policyexception", "dangling")["reason"] == "NoSuchPolicy"
    apply(server, {"apiVersion": "watchkeeper.dev/v1alpha1", "kind": "PolicyList", "spec": {"values": ["a"]}}, "unread")
    eventually(lambda: is_so(server, "policylist", "unread", "True"), 5)
    assert condition(server, "policylist", "unread")["message"] == "no rule reads it"


@pytest.mark.usefixtures("operator")
def test_nothing_is_written_while_nothing_changes(server):
    apply(server, a_policy(a_rule(**RUNS)), "quiet")
    eventually(lambda: is_so(server, "runtimepolicy", "quiet", "True"), 5)
    time.sleep(2)
    before = got(server, "runtimepolicy", "quiet")["metadata"]
    apply(server, a_policy(a_rule(**RUNS)), "another")
    eventually(lambda: is_so(server, "runtimepolicy", "another", "True"), 5)
    time.sleep(2)
    after = got(server, "runtimepolicy", "quiet")["metadata"]
    assert after["resourceVersion"] == before["resourceVersion"]
    assert "annotations" not in after
    assert "finalizers" not in after


def a_node(server, name, **labels):
    server.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}))


@pytest.mark.usefixtures("operator")
def test_a_sensor_makes_a_daemonset_that_stays_as_it_is_and_is_put_back(server):
    server.kubectl(
        "apply",
        "--server-side",
        "-f",
        "-",
        stdin=json.dumps({"apiVersion": "watchkeeper.dev/v1alpha1", "kind": "Sensor", "metadata": {"name": "all"}, "spec": {}}),
    )
    made = lambda: json.loads(server.kubectl("get", "daemonset", "-n", "watchkeeper-system", "-o", "json"))["items"]  # noqa: E731
    eventually(lambda: len(made()) == 1, 10)
    a_node(server, "sensed", pool="a")
    eventually(lambda: server.kubectl("get", "nodesensor", "sensed", "--ignore-not-found", "-o", "name") != "", 10)
    assert json.loads(server.kubectl("get", "nodesensor", "sensed", "-o", "json"))["metadata"]["ownerReferences"][0]["kind"] == "Node"
    eventually(lambda: json.loads(server.kubectl("get", "sensor", "all", "-o", "json"))["status"]["nodes"]["selected"] == 1, 10)
    before = made()[0]["metadata"]["resourceVersion"]
    a_node(server, "sensed", pool="b")
    time.sleep(4)
    assert made()[0]["metadata"]["resourceVersion"] == before
    server.kubectl(
        "patch",
        "daemonset",
        "sensor-all",
        "-n",
        "watchkeeper-system",
        "--type=json",
        "-p",
        '[{"op": "replace", "path": "/spec/template/spec/hostPID", "value": false}]',
    )
    eventually(lambda: made()[0]["spec"]["template"]["spec"].get("hostPID") is True, 10)
    server.kubectl("delete", "node", "sensed")
    eventually(lambda: server.kubectl("get", "nodesensor", "sensed", "--ignore-not-found", "-o", "name") == "", 10)
    server.kubectl("delete", "sensor", "all")


def test_metrics_are_for_accounts_that_may_get_them(server, operator):
    for name in ("prometheus", "stranger"):
        server.kubectl("create", "serviceaccount", name, "-n", "watchkeeper-system")
    server.kubectl("create", "clusterrole", "metrics", "--verb=get", "--non-resource-url=/metrics")
    server.kubectl("create", "clusterrolebinding", "metrics", "--clusterrole=metrics", "--serviceaccount=watchkeeper-system:prometheus")
    tokens = {name: server.kubectl("create", "token", name, "-n", "watchkeeper-system").strip() for name in ("prometheus", "stranger")}
    assert operator.ask("/metrics")[0] == 401
    assert operator.ask("/metrics", "nonsense")[0] == 401
    assert operator.ask("/metrics", tokens["stranger"])[0] == 403
    status, text = operator.ask("/metrics", tokens["prometheus"])
    assert status == 200
    assert "watchkeeper_operator_leading 1.0" in text
    assert not any(token in operator.log.read_text() for token in tokens.values())


def test_a_leader_that_was_replaced_and_does_not_know_it_is_refused_by_the_api_server(tmp_path):
    with ApiServer() as other:
        prepare(other)
        other.kubectl("apply", "--server-side", "-k", str(ADMISSION))
        with an_operator(other, tmp_path, "old", "--lease-seconds", "60") as old:
            apply(other, a_policy(a_rule(**RUNS)), "before")
            eventually(lambda: is_so(other, "runtimepolicy", "before", "True"), 10)
            epoch = lease(other)["spec"]["leaseTransitions"]
            patch = {"spec": {"holderIdentity": "new", "leaseTransitions": epoch + 1}}
            other.kubectl("patch", "lease", "watchkeeper-operator", "-n", "watchkeeper-system", "--type=merge", "-p", json.dumps(patch))
            apply(other, a_policy(a_rule(**RUNS)), "after")
            refused = f"not the leader: status.epoch {epoch} was written and the Lease is at {epoch + 1}"
            eventually(lambda: bool(old.said(refused)), 10, lambda: old.log.read_text()[-3000:])
            assert "status" not in got(other, "runtimepolicy", "after")
            eventually(lambda: bool(old.said("no longer leading")), 20)


def test_a_stopped_leader_is_replaced_and_writes_nothing_when_it_goes_on(server, operator, tmp_path):
    operator.process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    try:
        with an_operator(server, tmp_path, "second", "--lease-seconds", "6") as second:
            before = lease(server)["spec"]["leaseTransitions"]
            eventually(lambda: lease(server)["spec"]["holderIdentity"] == "second", 30)
            print(f"another led {time.monotonic() - started:.1f} s after the leader was stopped, 6 s of them the Lease")
            apply(server, a_policy(a_rule(**RUNS)), "by-second")
            eventually(lambda: is_so(server, "runtimepolicy", "by-second", "True"), 10)
            assert got(server, "runtimepolicy", "by-second")["status"]["epoch"] == before + 1
            operator.process.send_signal(signal.SIGCONT)
            eventually(lambda: bool(operator.said("no longer leading")), 10)
            apply(server, a_policy(a_rule(**RUNS)), "later")
            eventually(lambda: is_so(server, "runtimepolicy", "later", "True"), 10)
            assert got(server, "runtimepolicy", "later")["status"]["epoch"] == before + 1
            second.process.terminate()
            second.process.wait()
            took = eventually(lambda: lease(server)["spec"]["holderIdentity"] == "only", 10)
            print(f"a leader that ends gives the Lease back: the other led after {took:.1f} s")
            assert took < 5
    finally:
        operator.process.send_signal(signal.SIGCONT)


def test_the_operator_goes_on_when_the_api_server_comes_back(server, operator):
    server.stop(kill=True)
    time.sleep(3)
    assert operator.ask("/healthz")[0] == 200
    server.start()
    apply(server, a_policy(a_rule(**RUNS)), "again")
    took = eventually(lambda: is_so(server, "runtimepolicy", "again", "True"), 60, lambda: operator.log.read_text()[-3000:])
    print(f"a policy was accepted {took:.1f} s after the API server was back")


@pytest.mark.usefixtures("operator")
def test_a_stranger_who_is_the_operator_by_name_alone_can_write_no_status_of_another_epoch(server):
    apply(server, a_policy(a_rule(**RUNS)), "forged")
    eventually(lambda: is_so(server, "runtimepolicy", "forged", "True"), 10)
    act = server.kubeconfig_for(ACT, *GROUPS)
    patch = json.dumps({"status": {"epoch": 0, "observedGeneration": 7}})
    with pytest.raises(subprocess.CalledProcessError) as refused:
        server.kubectl("patch", "runtimepolicy", "forged", "-n", "watchkeeper", "--subresource=status", "--type=merge", "-p", patch, kubeconfig=act)
    assert "not the leader" in refused.value.stderr


def test_a_watch_that_hears_nothing_makes_the_operator_unhealthy_within_a_minute(tmp_path):
    with ApiServer() as other:
        prepare(other)
        with an_operator(other, tmp_path, "stalled") as operator:
            assert operator.ask("/healthz") == (200, "ok")
            other._processes["kube-apiserver"].send_signal(signal.SIGSTOP)
            took = eventually(lambda: operator.ask("/healthz")[0] == 503, 75)
            text = operator.ask("/healthz")[1]
            other._processes["kube-apiserver"].send_signal(signal.SIGCONT)
            assert "watch of RuntimePolicy has been silent" in text
            print(f"noticed after {took:.0f} s")
            eventually(lambda: operator.ask("/healthz")[0] == 200, 60)
