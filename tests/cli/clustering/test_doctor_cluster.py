"""What `doctor` finds in a cluster: each lack has its check, and what could not be looked at is never well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.support.seen_objects import NOW, a_deployment, a_lease, a_policy, facts, said

from watchkeeper_cli.clustering.checks import findings
from watchkeeper_cli.clustering.door import Unread
from watchkeeper_cli.clustering.examining_cluster import status_of, summary
from watchkeeper_cli.clustering.facts import COLLECTOR, OPERATOR
from watchkeeper_cli.clustering.looking import Definition, Looked
from watchkeeper_cli.clustering.processes import ConfigMap, Pod, Version
from watchkeeper_cli.clustering.rights import Act, Grants, who_may
from watchkeeper_operator.authority.certificates import make_root, pem
from watchkeeper_operator.rbac.shapes import Binding, Role
from watchkeeper_operator.resources.crd import definition
from watchkeeper_operator.resources.kinds import KINDS
from watchkeeper_operator.shipped_admission import POLICY, Guard, folder

AT = datetime.fromtimestamp(NOW // 10**9, UTC)


def guards(kind):
    import yaml

    return [
        msgspec.convert(written, Guard)
        for path in sorted(folder().glob("*.yaml"))
        for written in yaml.safe_load_all(path.read_text())
        if written and written["kind"] == kind
    ]


def a_bundle(life=timedelta(days=3650)):
    return msgspec.convert({"metadata": {"name": "watchkeeper-ca"}, "data": {"ca.crt": pem(make_root(AT - timedelta(days=1), life).certificate)}}, ConfigMap)


def a_pod(**status):
    return msgspec.convert({"metadata": {"name": "watchkeeper-operator-0"}, "status": status}, Pod)


def looked(**parts):
    usual = {
        "context": "tests",
        "version": Version("v1.37.2", "1", "37"),
        "groups": ("watchkeeper.dev", "policy.networking.k8s.io"),
        "definitions": [msgspec.convert(definition(kind), Definition) for kind in KINDS],
        "policies": guards(POLICY),
        "bindings": guards("ValidatingAdmissionPolicyBinding"),
        "pods": [a_pod()],
        "bundle": a_bundle(),
        "roles": [],
        "cluster_roles": [],
        "role_bindings": [],
        "cluster_role_bindings": [],
        "facts": facts(),
    }
    return Looked(**(usual | parts))


def troubles(**parts):
    return [(one.about, one.state, one.says) for one in findings(looked(**parts), NOW) if one.state != "ok"]


def test_a_cluster_where_all_is_well_has_no_trouble():
    assert troubles() == []
    assert status_of(findings(looked(), NOW)) == 0
    assert summary(findings(looked(), NOW)) == "all that was looked at is well"


def deployed(**fields):
    return {"facts": facts(deployments={OPERATOR: a_deployment(**fields), COLLECTOR: a_deployment(COLLECTOR)})}


def waiting(reason, message=""):
    return {"containerStatuses": [{"name": "operator", "state": {"waiting": {"reason": reason, "message": message}}}]}


TROUBLES = {
    "an old Kubernetes": ({"version": Version("v1.29.1", "1", "29+")}, ("cluster", "note", "Kubernetes v1.29.1, context tests")),
    "a kind that is not there": (
        {"definitions": [msgspec.convert(definition(kind), Definition) for kind in KINDS[1:]]},
        ("kinds", "missing", "not installed: runtimepolicies.watchkeeper.dev"),
    ),
    "an admission policy that is not there": (
        {"policies": guards(POLICY)[1:]},
        ("admission", "missing", f"not there: {POLICY} {guards(POLICY)[0].metadata.name}"),
    ),
    "two replicas on SQLite": (deployed(replicas=2, ready=2), ("operator", "missing", "2 replicas on SQLite, which belongs to one")),
    "two replicas on a file that is named": (
        deployed(replicas=2, ready=2, store="sqlite:////var/lib/x.db"),
        ("operator", "missing", "2 replicas on SQLite, which belongs to one"),
    ),
    "a replica that is not ready": (deployed(replicas=2, ready=1, store="postgresql://db"), ("operator", "blind", "1 of 2 replicas ready, watchkeeper:0.1.0")),
    "a Lease that nobody holds": (
        {"facts": facts(lease=a_lease(renewed="2026-11-25T01:50:00Z"))},
        ("leader", "missing", "no operator holds the Lease: last renewed 10m ago by operator-1"),
    ),
    "an image that can't be had": (
        {"pods": [a_pod(**waiting("ImagePullBackOff", "not found"))]},
        ("pods", "blind", "watchkeeper-operator-0: operator waits: ImagePullBackOff, not found"),
    ),
    "a pod that no node takes": (
        {"pods": [a_pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "no volume binds"}])]},
        ("pods", "blind", "watchkeeper-operator-0: no node takes it: no volume binds"),
    ),
    "a pod that falls again and again": (
        {"pods": [a_pod(containerStatuses=[{"name": "operator", "restartCount": 9}])]},
        ("pods", "blind", "watchkeeper-operator-0: operator was restarted 9 times"),
    ),
    "an authority that ended": (
        {"bundle": a_bundle(timedelta(hours=1))},
        ("authority", "missing", f"expired on {AT - timedelta(hours=23):%Y-%m-%d}: no sensor connects"),
    ),
    "an authority that ends soon": ({"bundle": a_bundle(timedelta(days=11))}, ("authority", "note", f"1 root, valid until {AT + timedelta(days=10):%Y-%m-%d}")),
    "no authority": ({"bundle": None}, ("authority", "missing", "there is no authority yet: the operator makes it when it leads")),
    "an older generation in force": (
        {"facts": facts(policies=[a_policy(conditions=said(Accepted=(False, "Invalid"), InForce=(False, "LastGood")))])},
        ("policies", "note", "k8s-pod-exec: Invalid; an older generation is in force"),
    ),
    "no policy at all": ({"facts": facts(policies=[])}, ("policies", "blind", "there are none: nothing is looked for")),
    "a network with NetworkPolicy alone": (
        {"groups": ("watchkeeper.dev",)},
        ("network", "note", "NetworkPolicy alone is known; whether it is enforced is not tried here"),
    ),
}


@pytest.mark.parametrize("what", TROUBLES)
def test_trouble_is(what):
    parts, expected = TROUBLES[what]
    assert expected in troubles(**parts)


def test_two_replicas_on_a_database_are_well():
    assert troubles(**deployed(replicas=2, ready=2, store="postgresql://db")) == []


def test_a_container_that_is_just_being_made_is_no_trouble():
    assert troubles(pods=[a_pod(**waiting("ContainerCreating"))]) == []


@pytest.mark.parametrize("part", ["definitions", "policies", "bindings", "pods", "bundle", "roles", "cluster_role_bindings"])
def test_what_may_not_be_looked_at_is_not_well(part):
    found = findings(looked(**{part: Unread(part, f"you may not list {part}")}), NOW)
    assert status_of(found) == 1
    assert [one for one in found if one.state == "blind" and f"you may not list {part}" in one.says]


def test_a_policy_that_is_weakened_is_seen_whatever_the_way():
    first, *others = guards(POLICY)
    for change in ({"failurePolicy": "Ignore"}, {"validations": []}, {"matchConditions": [{"name": "never", "expression": "false"}]}):
        assert ("admission", "missing") in [(about, state) for about, state, _ in troubles(policies=[Guard(first.metadata, first.spec | change), *others])]


def test_what_the_api_server_fills_in_is_no_difference():
    filled = [
        Guard(
            one.metadata,
            one.spec | {"matchConstraints": one.spec["matchConstraints"] | {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}},
        )
        for one in guards(POLICY)
    ]
    assert troubles(policies=filled) == []


def a_role(name, verbs, group, resources, *, namespace=""):
    rules = [{"verbs": list(verbs), "apiGroups": [group], "resources": list(resources)}]
    return msgspec.convert({"metadata": {"name": name, "namespace": namespace}, "rules": rules}, Role)


def a_binding(role, subject, *, kind="ClusterRole", namespace=""):
    subject_kind, name, *where = subject.split()
    subjects = [{"kind": subject_kind, "name": name, "namespace": where[0] if where else ""}]
    return msgspec.convert({"metadata": {"name": role, "namespace": namespace}, "roleRef": {"kind": kind, "name": role}, "subjects": subjects}, Binding)


APPROVE = Act(("create",), "watchkeeper.dev", ("responseapprovals",), "watchkeeper")
EXEC = Act(("create",), "", ("pods/exec",), "watchkeeper-system")

MAY = {
    "who is bound in the whole cluster": (
        APPROVE,
        [a_role("r", ["create"], "watchkeeper.dev", ["responseapprovals"])],
        [],
        [a_binding("r", "User alice")],
        ["user alice"],
    ),
    "who is bound there": (
        *(APPROVE, [a_role("r", ["*"], "*", ["*"])], [a_binding("r", "Group ops", namespace="watchkeeper")]),
        *([], ["group ops"]),
    ),
    "not who is bound elsewhere": (APPROVE, [a_role("r", ["*"], "*", ["*"])], [a_binding("r", "Group ops", namespace="shop")], [], []),
    "not who has another verb": (APPROVE, [a_role("r", ["get"], "watchkeeper.dev", ["responseapprovals"])], [], [a_binding("r", "User alice")], []),
    "not who has another group's": (APPROVE, [a_role("r", ["create"], "", ["responseapprovals"])], [], [a_binding("r", "User alice")], []),
    "an account": (APPROVE, [a_role("r", ["*"], "*", ["*"])], [], [a_binding("r", "ServiceAccount ci shop")], ["account shop/ci"]),
    "who has all subresources of that name": (EXEC, [a_role("r", ["create"], "", ["*/exec"])], [], [a_binding("r", "User alice")], ["user alice"]),
}


@pytest.mark.parametrize("who", MAY)
def test_may_do_it(who):
    act, cluster_roles, role_bindings, cluster_role_bindings, expected = MAY[who]
    assert who_may(act, Grants([], cluster_roles, role_bindings, cluster_role_bindings)) == expected


def test_everybody_unknown_is_never_taken_for_usual():
    parts = {
        "cluster_roles": [a_role("r", ["*"], "*", ["*"])],
        "cluster_role_bindings": [a_binding("r", "User system:anonymous"), a_binding("r", "Group system:masters")],
    }
    found = [says for about, _, says in troubles(**parts) if about == "rights"]
    assert len(found) == 1
    assert found[0].startswith("user system:anonymous may impersonate others, and so write in their name; approve responses; ")
    assert not [says for says in found if "system:masters" in says]
