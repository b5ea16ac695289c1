"""What our accounts may do, asked of a real API server: what the table says, and nothing else that the API server knows."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
from tests.support.api_client import ApiClient
from tests.support.api_server import ApiServer
from tests.support.needed_rights import EVERYWHERE, HERE, RIGHTS
from tests.support.operators import an_operator, eventually

BASE = Path(__file__).parents[2] / "manifests" / "base"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate", "escalate", "bind", "use", "approve", "sign")
PLACES = (EVERYWHERE, HERE, "watchkeeper", "kube-system")
VIRTUAL = ("users", "groups", "serviceaccounts", "watchkeeper.dev/responsekinds", "authentication.k8s.io/userextras/scopes", "certificates.k8s.io/signers")
PATHS = ("/metrics", "/logs", "/debug/pprof", "/apis/apps", "/openapi/v3")
NOBODY = "nobody-in-particular"
BOUND_TO_NONE = ("watchkeeper-sensor", "watchkeeper-canary")


@pytest.fixture(scope="module")
def server():
    with ApiServer() as made:
        made.kubectl("apply", "--server-side", "-k", str(BASE.parents[1] / "crds"))
        made.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        for name in ("namespaces", "accounts", "operator-rights", "collector-rights"):
            made.kubectl("apply", "--server-side", "-f", str(BASE / f"{name}.yaml"))
        yield made


@pytest.fixture(scope="module")
def may(server):
    """Whether an account may: of a resource in a place (everywhere: in all namespaces and in none), or of a path."""
    with ApiClient(server) as client:

        def asked(account, verb, resource, place="", name=""):
            if resource.startswith("/"):
                about = {"nonResourceAttributes": {"path": resource, "verb": verb}}
            else:
                group, plural, below = parts(resource)
                about = {"resourceAttributes": {"group": group, "resource": plural, "subresource": below, "verb": verb, "namespace": place, "name": name}}
            user = f"system:serviceaccount:{HERE}:{account}"
            groups = ["system:serviceaccounts", f"system:serviceaccounts:{HERE}", "system:authenticated"]
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": user, "groups": groups, **about}}
            answer = client.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
            assert answer.taken, answer.message
            return answer.object["status"]["allowed"]

        yield asked


def parts(resource):
    """`group/plural/subresource` → each of them; a group has a dot, or is apps."""
    words = resource.split("/")
    group = words.pop(0) if "." in words[0] or words[0] in ("apps", "batch", "policy", "autoscaling") else ""
    return group, words[0], "/".join(words[1:])


def known_resources(server):
    """All that this API server serves, subresources too."""
    groups = {"": "/api/v1"} | {
        one["name"]: f"/apis/{one['preferredVersion']['groupVersion']}" for one in json.loads(server.kubectl("get", "--raw", "/apis"))["groups"]
    }
    for group, path in groups.items():
        for one in json.loads(server.kubectl("get", "--raw", path))["resources"]:
            yield f"{group}/{one['name']}" if group else one["name"]


@pytest.mark.parametrize("account", [*RIGHTS, *BOUND_TO_NONE])
def test_an_account_may_what_the_table_says_and_nothing_else(server, may, account):
    resources = {*known_resources(server), *VIRTUAL}
    assert len(resources) > 100
    unnamed = [right for right in RIGHTS.get(account, ()) if not right.names]
    expected = {
        (verb, right.resource, place) for right in unnamed for verb in right.verbs.split() for place in PLACES if right.namespace in (EVERYWHERE, place)
    }
    expected = {one if one[1][0] != "/" else (one[0], one[1], EVERYWHERE) for one in expected}
    asked = [*product(VERBS, resources, PLACES if account in RIGHTS else (HERE,)), *product(("get", "post"), PATHS, (EVERYWHERE,))]
    allowed = {one for one in asked if may(account, *one)}
    everybodys = {one for one in allowed - expected if may(NOBODY, *one)}
    assert allowed - everybodys == expected


@pytest.mark.parametrize("account", RIGHTS)
def test_what_is_bound_to_names_is_of_these_names_alone(may, account):
    for right in (one for one in RIGHTS[account] if one.names):
        for verb, name in product(right.verbs.split(), right.names):
            assert may(account, verb, right.resource, HERE, name), (verb, right.resource, name)
            assert not may(account, verb, right.resource, "kube-system", name)
            if verb != "create" or right.resource != "secrets":
                assert not may(account, verb, right.resource, HERE, f"{name}-2"), (verb, right.resource)


# Said once more in plain words, by hand: what must never be so, whatever the table says.
NEVER = (
    ("list", "secrets"),
    ("watch", "secrets"),
    ("get", "secrets"),
    ("delete", "secrets"),
    ("create", "pods"),
    ("create", "pods/exec"),
    ("get", "pods/exec"),
    ("create", "pods/attach"),
    ("patch", "pods/ephemeralcontainers"),
    ("get", "pods/log"),
    ("patch", "pods"),
    ("delete", "pods"),
    ("get", "nodes/proxy"),
    ("create", "nodes/proxy"),
    ("impersonate", "users"),
    ("impersonate", "serviceaccounts"),
    ("escalate", "rbac.authorization.k8s.io/clusterroles"),
    ("bind", "rbac.authorization.k8s.io/clusterroles"),
    ("create", "rbac.authorization.k8s.io/clusterrolebindings"),
    ("update", "rbac.authorization.k8s.io/roles"),
    ("create", "serviceaccounts/token"),
    ("approve", "certificates.k8s.io/signers"),
    ("patch", "admissionregistration.k8s.io/validatingadmissionpolicies"),
    ("delete", "admissionregistration.k8s.io/validatingadmissionpolicybindings"),
    ("patch", "watchkeeper.dev/runtimepolicies"),
    ("create", "watchkeeper.dev/responseapprovals"),
    ("use", "watchkeeper.dev/responsekinds"),
    ("create", "apps/deployments"),
)


@pytest.mark.parametrize("account", [*RIGHTS, *BOUND_TO_NONE])
@pytest.mark.parametrize(("verb", "resource"), NEVER)
def test_no_account_of_ours_ever_may(may, account, verb, resource):
    assert not any(may(account, verb, resource, place) for place in PLACES)


@pytest.mark.parametrize("account", ["watchkeeper-observe", *BOUND_TO_NONE])
@pytest.mark.parametrize("verb", ["update", "patch", "delete", "deletecollection"])
def test_only_the_operator_writes(may, account, verb):
    written = ("watchkeeper.dev/incidents", "watchkeeper.dev/incidents/status", "apps/daemonsets", "secrets", "configmaps", "coordination.k8s.io/leases")
    assert not any(may(account, verb, resource, place) for resource, place in product(written, PLACES))


def test_what_is_applied_by_name_is_made_under_that_right(server):
    """The API server asks for create with the name, when an apply makes the object."""
    kubeconfig = server.kubeconfig_for(f"system:serviceaccount:{HERE}:watchkeeper-act", "system:authenticated")
    written = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "watchkeeper-ca", "namespace": HERE}, "data": {"ca.crt": "none"}}
    applied = ("apply", "--server-side", "--validate=false", "-f", "-")
    assert "serverside-applied" in server.kubectl(*applied, stdin=json.dumps(written), kubeconfig=kubeconfig)
    written["metadata"]["name"] = "another"
    assert not server.kubectl(*applied, stdin=json.dumps(written), kubeconfig=kubeconfig, check=False)


def test_the_operator_works_with_these_rights(server, tmp_path):
    """It leads, makes its authority, runs a Sensor, tells a list its verdict, and is refused nothing, by RBAC or admission."""
    server.kubectl("apply", "--server-side", "-k", str(BASE / "admission"))
    for written in (
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}},
        {"apiVersion": "watchkeeper.dev/v1alpha1", "kind": "Sensor", "metadata": {"name": "all"}, "spec": {}},
        {"apiVersion": "watchkeeper.dev/v1alpha1", "kind": "LogSource", "metadata": {"name": "audit"}, "spec": {"type": "AuditWebhook"}},
        {"apiVersion": "watchkeeper.dev/v1alpha1", "kind": "PolicyList", "metadata": {"name": "names", "namespace": "watchkeeper"}, "spec": {"values": ["a"]}},
    ):
        server.kubectl("create", "-f", "-", stdin=json.dumps(written))
    made = (
        ("secret/watchkeeper-ca", "-n", HERE),
        ("secret/watchkeeper-collector-tls", "-n", HERE),
        ("configmap/watchkeeper-ca", "-n", HERE),
        ("daemonset/sensor-all", "-n", HERE),
        ("nodesensor/node-1",),
    )
    told = (("sensor/all",), ("nodesensor/node-1",), ("logsource/audit",), ("policylist/names", "-n", "watchkeeper"))
    with an_operator(server, tmp_path, "one") as operator:
        eventually(lambda: all(server.kubectl("get", *one, "-o", "name", "--ignore-not-found") for one in made), 40, operator.log.read_text)
        eventually(lambda: all(server.kubectl("get", *one, "-o", "jsonpath={.status.conditions}") for one in told), 40, operator.log.read_text)
        token = server.kubectl("create", "token", "watchkeeper-act", "-n", HERE).strip()
        counted = (
            'kind="NodeSensor",reason="NotYetSeen",status="Unknown",type="Connected"',
            'kind="LogSource",reason="NeverSeen",status="False",type="Receiving"',
        )
        eventually(lambda: all(one in operator.ask("/metrics", token)[1] for one in counted), 20, lambda: operator.ask("/metrics", token)[1])
        server.kubectl("delete", "node", "node-1")
        eventually(lambda: not server.kubectl("get", "nodesensors", "-o", "name"), 40, operator.log.read_text)
    assert not operator.said("orbidden"), operator.said("orbidden")
