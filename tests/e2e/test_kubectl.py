"""`kubectl watchkeeper …` against a real API server: a cluster in a bad night, one with nothing in it, one without our kinds, and callers without rights."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.support.admission import install, lease
from tests.support.api_client import ApiClient
from tests.support.api_server import ApiServer
from tests.support.cluster.steps import UnableError
from tests.support.commands import WATCHKEEPER, watchkeeper
from tests.support.watched_cluster import HOSTILE, WRONG, a_bad_night, incident

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = Path(__file__).parents[2] / "manifests" / "base"
OURS = "inc-00000000000000aa"
TENANT = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: tenant, namespace: shop}
rules:
- {apiGroups: [watchkeeper.dev], resources: [runtimepolicies, policyexceptions, policylists], verbs: [get, list]}
- {apiGroups: [watchkeeper.dev], resources: [incidents], verbs: [get, list, watch, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tenant, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: tenant}
subjects: [{kind: User, name: ursula}, {kind: User, name: victor}]
"""


def _served() -> Iterator[ApiServer]:
    try:
        with ApiServer() as server:
            install(server)
            yield server
    except UnableError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def empty() -> Iterator[ApiServer]:
    """Kinds and admission policies, and nothing else."""
    yield from _served()


@pytest.fixture(scope="module")
def night() -> Iterator[ApiServer]:
    for server in _served():
        with ApiClient(server) as client:
            a_bad_night(client)
        server.kubectl("apply", "-f", "-", stdin=TENANT)
        for name in ("operator", "collector"):  # nobody runs them here: they are down
            server.kubectl("apply", "-f", str(BASE / f"{name}.yaml"))
        yield server


def asked(server: ApiServer, *words: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    return watchkeeper(*words, "--kubeconfig", kubeconfig or server.kubeconfig)


def of_tenant(server: ApiServer, name: str = "ursula") -> Path:
    """A kubeconfig whose context is in their namespace, as tenants have it."""
    path = server.kubeconfig_for(name)
    written = json.loads(path.read_text())
    written["contexts"][0]["context"]["namespace"] = "shop"
    path.write_text(json.dumps(written))
    return path


def test_kubectl_finds_the_command_and_its_help_says_how_it_is_called(night):
    path = f"{Path(WATCHKEEPER).parent}:{os.environ['PATH']}"
    kubectl = night._components / "kubectl"
    told = subprocess.run([kubectl, "watchkeeper", "incident", "close", "--help"], capture_output=True, text=True, check=True, env={**os.environ, "PATH": path})
    assert "Usage: kubectl watchkeeper incident close [OPTIONS]" in told.stdout


def test_status_says_first_what_is_blind(night):
    told = asked(night, "status")
    assert told.returncode == 1
    lines = told.stdout.splitlines()
    blind = [line for line in lines if line.startswith("BLIND")]
    assert lines[2] == blind[0] == "BLIND    operator: 0 of 1 replica ready: nothing is joined into incidents, and all below is as it was then"
    assert any("node n2: silent, last heard 4" in line for line in blind)
    assert any("1 of 40 rules can't fire: k8s-pod-exec/exec-in-pod (pods/exec is not logged)" in line for line in blind)
    assert any(f"policy wrong: Invalid: {WRONG}" in line for line in blind)
    assert "1 P1, 1 P2, 1 P3 open; nobody has 2" in told.stdout
    assert [line for line in lines if line.startswith(("BLIND", "incidents"))][-1].startswith("incidents")


def test_status_of_an_empty_cluster_says_that_nothing_is_watched(empty):
    told = asked(empty, "status")
    assert told.returncode == 1
    assert "BLIND    all nodes: there is no Sensor: no node is watched" in told.stdout
    assert "BLIND    audit log: there is no LogSource" in told.stdout
    assert "incidents    none open" in told.stdout
    assert "operator     not installed" in told.stdout
    assert "there is no Deployment watchkeeper-operator" in asked(empty, "doctor").stdout


@pytest.mark.parametrize("structure", ["json", "yaml"])
def test_status_for_programs_says_the_same(night, structure):
    read = json.loads if structure == "json" else yaml.safe_load
    said = read(asked(night, "status", "-o", structure).stdout)
    assert said["incidents"]["open"] == {"P1": 1, "P2": 1, "P3": 1}
    assert {"what": "node n2", "why": said["blind"][2]["why"], "remedy": ""} == said["blind"][2]
    assert [row["name"] for row in said["policies"]["failing"]] == ["watchkeeper/wrong"]


def test_incidents_come_gravest_first_and_closed_ones_when_asked(night):
    def names(*words):
        return [line.split()[2] for line in asked(night, "incidents", *words).stdout.splitlines()[1:]]

    assert names() == [OURS, "shop/inc-00000000000000dd", "inc-00000000000000bb"]
    assert names("--severity", "P2") == [OURS, "shop/inc-00000000000000dd"]
    assert names("--closed") == ["inc-00000000000000cc"]
    assert names("--all", "-n", "shop") == ["shop/inc-00000000000000dd"]


def test_no_incidents_is_said_in_words(empty, night):
    assert asked(empty, "incidents").stdout == "No open incidents.\n"
    assert asked(night, "incidents", "-n", "other").stdout == "No open incidents.\n"
    assert json.loads(asked(empty, "incidents", "-o", "json").stdout) == []


@pytest.mark.parametrize(
    "words", [("incidents",), ("incident", "show", "inc-00000000000000bb"), ("status",), ("incidents", "-o", "json"), ("incidents", "-o", "yaml")]
)
def test_hostile_bytes_reach_no_terminal(night, words):
    told = asked(night, *words).stdout
    assert told
    assert "\x1b" in HOSTILE
    assert not {"\x1b", "\u202e"} & set(told)


def test_an_incident_is_shown_with_everything(night):
    told = asked(night, "incident", "show", OURS).stdout
    for words in (
        "P1 Shell in a pod",
        "P1: the pod reaches secrets.",
        "alice ran sh (×2)",
        "BLIND meanwhile",
        "pods/exec is not logged",
        "t0 ",
        "t8 not yet",
        "shop/web-1",
        "T1609       Container Administration Command",
        "Ask alice.",
        "incident show shop/two",
    ):
        assert words in told
    assert yaml.safe_load(asked(night, "incident", "show", OURS, "-o", "yaml").stdout)["status"]["title"] == "Shell in a pod"


def test_an_incident_that_is_not_there_is_said_so(night):
    told = asked(night, "incident", "show", "inc-nowhere")
    assert (told.returncode, told.stdout) == (3, "")
    assert "there is no incident inc-nowhere (context tests)" in told.stderr


def managers(server, name, namespace="watchkeeper"):
    written = json.loads(server.kubectl("get", "incident", name, "-n", namespace, "-o", "json", "--show-managed-fields"))
    return written["spec"], {entry["manager"]: set(entry["fieldsV1"].get("f:spec", {})) for entry in written["metadata"]["managedFields"]}


def test_what_a_person_says_is_theirs_and_what_others_said_stays(night):
    with ApiClient(night) as client:
        incident(client, "inc-said", namespace="shop")
    ursula, victor = of_tenant(night), of_tenant(night, "victor")
    assert asked(night, "incident", "take", "inc-said", kubeconfig=ursula).returncode == 0
    done = asked(night, "incident", "disposition", "inc-said", "--as", "benign", "--note", "the backup", kubeconfig=victor)
    assert done.stdout == "shop/inc-said: benign, owner ursula, closed\n"
    spec, owners = managers(night, "inc-said", "shop")
    assert spec == {"owner": "ursula", "disposition": "Benign", "note": "the backup", "closed": False}
    assert owners["kubectl-watchkeeper/ursula"] == {"f:owner"}
    assert owners["kubectl-watchkeeper/victor"] == {"f:disposition", "f:note"}


def test_what_somebody_said_is_not_overwritten_unless_asked_for(night):
    with ApiClient(night) as client:
        incident(client, "inc-disputed", namespace="shop")
    assert asked(night, "incident", "disposition", "inc-disputed", "--as", "benign", kubeconfig=of_tenant(night)).returncode == 0
    again = ("incident", "close", "inc-disputed", "--as", "true-positive")
    refused = asked(night, *again, kubeconfig=of_tenant(night, "victor"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "disposition is 'Benign', said by kubectl-watchkeeper/ursula" in refused.stderr
    assert managers(night, "inc-disputed", "shop")[0]["disposition"] == "Benign"
    assert asked(night, *again, "--force", kubeconfig=of_tenant(night, "victor")).returncode == 0
    spec, owners = managers(night, "inc-disputed", "shop")
    assert (spec["disposition"], spec["closed"]) == ("TruePositive", True)
    assert owners["kubectl-watchkeeper/victor"] == {"f:disposition", "f:closed"}
    assert "kubectl-watchkeeper/ursula" not in owners


def test_saying_more_takes_nothing_back_that_the_same_person_said(night):
    with ApiClient(night) as client:
        incident(client, "inc-twice", namespace="shop")
    ursula = of_tenant(night)
    asked(night, "incident", "take", "inc-twice", kubeconfig=ursula)
    asked(night, "incident", "disposition", "inc-twice", "--as", "true-positive", kubeconfig=ursula)
    assert asked(night, "incident", "close", "inc-twice", "--note", "over", kubeconfig=ursula).stdout == "shop/inc-twice: true positive, owner ursula, closed\n"


def test_policies_say_why_one_does_not_hold(night, empty):
    told = asked(night, "policies")
    assert told.returncode == 1
    assert told.stdout.splitlines()[1].split(None, 5) == ["wrong", "1", "no", "no", "-", f"Invalid: {WRONG}"]
    assert told.stdout.splitlines()[2].split()[:5] == ["good", "1", "yes", "yes", "2/2"]
    assert asked(empty, "policies").stdout.startswith("There are no policies")


def test_explain_says_how_a_policy_does_before_what_it_says(night):
    told = asked(night, "explain", "good")
    assert told.returncode == 0
    assert told.stdout.index("in force   yes: on 2 of 2 nodes, since 2h ago") < told.stdout.index("good/exec-in-pod  P2")
    assert "did you mean good?" in asked(night, "explain", "goood").stderr


def test_pause_is_seen_and_taken_back(night):
    assert "responses are paused" in asked(night, "pause", "--reason", "a drill").stdout
    try:
        told = asked(night, "status").stdout
        assert "PAUSED   responses, by administrator at 20" in told
        assert ": a drill" in told
        again = asked(night, "pause")
        assert (again.returncode, "paused before: by administrator" in again.stdout) == (0, True)
    finally:
        assert "responses go on" in asked(night, "resume").stdout
    assert asked(night, "resume").stdout == "responses were not paused (context tests)\n"
    assert "PAUSED" not in asked(night, "status").stdout


def test_doctor_sees_what_is_changed_and_who_may_hide_something(night):
    ok = asked(night, "doctor")
    assert ok.returncode == 3  # nothing runs
    assert "ok       kinds       9 kinds, current" in ok.stdout
    assert "policies and bindings, as shipped" in ok.stdout
    assert "MISSING  operator    0 of 1 replica ready, watchkeeper:0.1.0" in ok.stdout
    weakened = '{"spec":{"validationActions":["Audit"]}}'
    night.kubectl("patch", "validatingadmissionpolicybinding", "watchkeeper-status", "--type=merge", "-p", weakened)
    night.kubectl("create", "clusterrolebinding", "mallory", "--clusterrole=cluster-admin", "--user=mallory")
    try:
        told = asked(night, "doctor").stdout
        assert "not as shipped, so that approvals don't count: ValidatingAdmissionPolicyBinding watchkeeper-status" in told
        assert "user mallory may impersonate others, and so write in their name; approve responses; " in told
    finally:
        night.kubectl("delete", "clusterrolebinding", "mallory")
        night.kubectl("patch", "validatingadmissionpolicybinding", "watchkeeper-status", "--type=merge", "-p", weakened.replace("Audit", "Deny"))


def test_doctor_tells_an_older_kind_from_a_current_one(empty):
    narrowed = '[{"op":"remove","path":"/spec/versions/0/additionalPrinterColumns/0"}]'
    empty.kubectl("patch", "crd", "sensors.watchkeeper.dev", "--type=json", "-p", narrowed)
    assert "of another version than this command: sensors.watchkeeper.dev" in asked(empty, "doctor").stdout


ALL = [("status",), ("incidents",), ("incident", "show", "x"), ("incident", "take", "x"), ("policies",), ("explain", "k8s-pod-exec", "--cluster")]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_cluster_without_our_kinds_is_told_how_to_get_them(api_server, words):
    told = asked(api_server, *words)
    assert (told.returncode, told.stdout) == (3, "")
    assert "Watchkeeper's kinds are not installed in this cluster (context tests)" in told.stderr
    assert "kubectl apply --server-side -k crds installs them" in told.stderr


def test_doctor_goes_on_without_our_kinds(api_server):
    told = asked(api_server, "doctor")
    assert told.returncode == 3
    assert "MISSING  kinds       not installed: runtimepolicies.watchkeeper.dev" in told.stdout
    assert "MISSING  admission   not there: " in told.stdout


@pytest.mark.parametrize("words", [*ALL, ("pause",), ("resume",)], ids=" ".join)
def test_who_may_not_is_told_what_they_may_not(night, words):
    told = asked(night, *words, kubeconfig=night.kubeconfig_for("nobody"))
    assert (told.returncode, told.stdout) == (3, "")
    assert "you may" in told.stderr or "nobody" in told.stderr
    assert "Traceback" not in told.stderr


def test_who_has_one_namespace_is_shown_that_one_and_told_so(night):
    told = asked(night, "incidents", kubeconfig=of_tenant(night))
    assert {line.split()[2].partition("/")[0] for line in told.stdout.splitlines()[1:]} == {"shop"}
    assert "you may not list incidents in all namespaces: shown are those of namespace shop" in told.stderr
    status = asked(night, "status", kubeconfig=of_tenant(night))
    assert status.returncode == 1
    assert "UNKNOWN  you may not list sensors" in status.stdout
    assert "sensors      not known" in status.stdout


def test_who_the_cluster_does_not_know_is_told_to_log_in(night):
    told = asked(night, "status", kubeconfig=night.kubeconfig_with_token("stranger", "no-such-token"))
    assert told.returncode == 3
    assert "the cluster does not know you (context tests): log in again" in told.stderr
    assert "no-such-token" not in told.stderr


def test_a_cluster_that_is_down_is_told_so(tmp_path, night):
    written = json.loads(night.kubeconfig.read_text())
    written["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "kubeconfig").write_text(json.dumps(written))
    told = asked(night, "status", kubeconfig=tmp_path / "kubeconfig")
    assert told.returncode == 3
    assert "the API server does not answer (context tests)" in told.stderr


def test_watching_tells_what_opens_becomes_graver_and_is_closed(night):
    command = [WATCHKEEPER, "incidents", "--watch", "-o", "json", "-n", "other", "--all", "--kubeconfig", str(night.kubeconfig)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching, ApiClient(night) as client:
        try:
            written = incident(client, "inc-watched", namespace="other", severity="P3")
            told = [json.loads(watching.stdout.readline())]
            while not told[-1]["severity"]:  # it may be seen before its status is there
                told.append(json.loads(watching.stdout.readline()))
            assert (told[0]["change"], told[-1]["name"], told[-1]["severity"]) == ("open", "inc-watched", "P3")
            night.kubectl("patch", "incident", "inc-watched", "-n", "other", "--type=merge", "-p", '{"spec":{"owner":"alice"}}')
            assert json.loads(watching.stdout.readline())["change"] == "taken"
            night.kubectl("patch", "incident", "inc-watched", "-n", "other", "--type=merge", "-p", '{"spec":{"closed":true}}')
            assert json.loads(watching.stdout.readline())["change"] == "closed"
            client.delete(written, dry_run=False)
            assert json.loads(watching.stdout.readline())["change"] == "gone"
        finally:
            watching.terminate()


def test_doctor_says_who_leads_and_for_how_long(empty):
    with ApiClient(empty) as client:
        renewed = lease(8)
        assert client.merge(renewed, {"spec": renewed["spec"]}, dry_run=False).taken
    (told,) = [line for line in asked(empty, "doctor").stdout.splitlines() if " leader " in line]
    assert re.fullmatch(r"ok       leader      operator-1, for \d+s, epoch 8", told)
