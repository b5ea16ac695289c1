"""What the API server refuses on our behalf: who may write what, by user, with the words that they are told."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.admission import EPOCH, OPERATOR, moved, stored
from tests.support.cluster_objects import a_node_sensor, a_sensor, a_target, an_action, an_approval, an_incident, fenced
from tests.support.policy_objects import a_policy, a_rule, a_sequence, a_step, an_exception

from watchkeeper_operator.names import EPOCH_ANNOTATION

ALICE = "alice"  # a tenant: everything of ours in namespace shop, and may use IsolatePod there
ROBOT = "system:serviceaccount:shop:robot"  # a service account with the same rights
NAMESPACE_CONTROLLER = "system:serviceaccount:kube-system:namespace-controller"
RESPOND = {"when": "true", "action": "IsolatePod", "target": "process.pod"}


@pytest.fixture(scope="module", autouse=True)
def _people(guarded_server):
    ours = {"apiGroups": ["watchkeeper.dev"], "resources": ["*"], "verbs": ["get", "list", "create", "update", "patch", "delete"]}
    use = {"apiGroups": ["watchkeeper.dev"], "resources": ["responsekinds"], "resourceNames": ["IsolatePod"], "verbs": ["use"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "tenant", "namespace": "shop"}, "rules": [ours, use]}
    subjects = [{"kind": "User", "name": ALICE}, {"kind": "ServiceAccount", "name": "robot", "namespace": "shop"}]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tenant"}
    binding = {**role, "kind": "RoleBinding", "roleRef": reference, "subjects": subjects}
    del binding["rules"]
    controller = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "namespace-controller"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "namespace-controller", "namespace": "kube-system"}],
    }
    for written in (role, binding, controller):
        guarded_server.kubectl("apply", "-f", "-", stdin=json.dumps(written))


def kernel_rule(**fields):
    return a_rule(**{"name": "shell", "on": ["process.exec"], "when": 'process.exe == "/bin/sh"'} | fields)


def tenant_policy(*rules, **spec):
    return moved(a_policy(*(rules or (kernel_rule(),)), **spec), "shop")


def tenant_exception(**spec):
    return moved(an_exception(**{"until": away(days=89)} | spec), "shop")


def away(**distance):
    return (datetime.now(UTC) + timedelta(**distance)).strftime("%Y-%m-%dT%H:%M:%SZ")


def tenant_action(**spec):
    return an_action(namespace="shop", **{"requester": ALICE} | spec)


KERNEL_KINDS = [f"file.k{number}" for number in range(16)]
LARGEST = [a_sequence(*(a_step(f"s{step}", on=KERNEL_KINDS) for step in range(8))) | {"name": f"r{rule}"} for rule in range(128)]


TAKEN = {
    "a tenant's policy over kernel events": (tenant_policy(), ALICE),
    "a tenant's policy that isolates where its writer may": (tenant_policy(respond=[RESPOND]), ALICE),
    "a tenant's policy with as many responses as there can be": (tenant_policy(respond=[RESPOND] * 16), ALICE),
    "a tenant's largest policy": (tenant_policy(*LARGEST, respond=[RESPOND] * 16), ALICE),
    "a root policy that reads audit logs": (a_policy(), ""),
    "a root policy that kills, of one who may": (a_policy(kernel_rule(kill=True)), ""),
    "a root policy for some namespaces": (a_policy(scope={"namespaces": {"include": ["shop"]}}), ""),
    "a tenant's exception that ends": (tenant_exception(), ALICE),
    "a root exception without an end": (an_exception(), ""),
    "a root exception that changes settings": (an_exception(when=None, override={"enabled": False}), ""),
    "an action that its caller asks for": (tenant_action(), ALICE),
    "an action in root on a target elsewhere": (an_action(), ""),
    "an action of a service account": (tenant_action(requester=ROBOT), ROBOT),
    "an approval of its caller": (an_approval(namespace="shop", approver=ALICE), ALICE),
    "what a policy asks for, by the operator": (fenced(tenant_action(requester=OPERATOR, approval="Auto", policy="shop/mine", action="DeletePod")), OPERATOR),
    "an incident of the operator": (fenced(an_incident()), OPERATOR),
    "a node's state, of the operator": (fenced(a_node_sensor()), OPERATOR),
    "a sensor of whoever runs the cluster": (a_sensor(), ""),
}

REFUSED = {
    **{
        f"a tenant's policy over {kind}": (tenant_policy(kernel_rule(on=[kind])), ALICE, "may not read audit logs, cloud logs or grants")
        for kind in ("audit.request", "cloudtrail.event", "rbac.grant", "log.rejected", "windows.event")
    },
    "a tenant's policy over audit logs beside the kernel": (
        tenant_policy(kernel_rule(), kernel_rule(name="two", on=["process.exec", "audit.request"])),
        *(ALICE, "a policy in namespace shop may not read audit logs"),
    ),
    "a tenant's sequence with a step in the audit log": (
        tenant_policy(a_sequence(a_step("a", on=["process.exec"]), a_step("b", on=["audit.request"]))),
        *(ALICE, "a policy in namespace shop may not read audit logs"),
    ),
    "a tenant's policy for other namespaces": (
        tenant_policy(scope={"namespaces": {"include": ["other"]}}),
        *(ALICE, "scope.namespaces is for policies in namespace watchkeeper: this one covers namespace shop"),
    ),
    "the administrator's policy in a tenant's namespace over audit logs": (tenant_policy(a_rule()), "", "may not read audit logs"),
    "a tenant's policy that deletes": (
        tenant_policy(respond=[RESPOND | {"action": "DeletePod"}]),
        *(ALICE, "you may not use DeletePod in namespace shop: that takes verb use on responsekinds/the kind"),
    ),
    "a tenant's policy whose last response deletes": (
        tenant_policy(respond=[RESPOND] * 15 + [RESPOND | {"action": "DeletePod"}]),
        ALICE,
        "IsolatePod or DeletePod",
    ),
    "a tenant's policy that kills": (tenant_policy(kernel_rule(kill=True)), ALICE, "you may not use kill in namespace shop"),
    "a tenant's exception without an end": (tenant_exception(until=None), ALICE, "needs an end: add until, at most 90 days away"),
    "a tenant's exception for 91 days": (tenant_exception(until=away(days=91)), ALICE, "is more than 90 days away"),
    "a tenant's exception that changes settings": (
        tenant_exception(when=None, override={"enabled": False}),
        ALICE,
        "override is for exceptions in namespace watchkeeper",
    ),
    "an action in another's name": (tenant_action(requester="bob"), ALICE, "spec.requester has to be who asks: alice"),
    "an action of a kind that its caller may not use": (
        tenant_action(action="DeletePod"),
        *(ALICE, "you may not use DeletePod in namespace shop: that takes verb use on responsekinds/DeletePod"),
    ),
    "a tenant's action on another namespace": (
        tenant_action(target=a_target(namespace="other")),
        ALICE,
        "an action in namespace shop has its target there too",
    ),
    "a tenant's action on a node": (tenant_action(target=a_target(kind="Node", namespace=None)), ALICE, "an action in namespace shop has its target there too"),
    "an action that approves itself": (tenant_action(approval="Auto"), ALICE, "approval Auto is for actions that a policy asks for"),
    "an action in a policy's name": (tenant_action(policy="watchkeeper/k8s-pod-exec"), ALICE, "spec.policy is written by Watchkeeper's operator alone"),
    "an approval in another's name": (an_approval(namespace="shop", approver="bob"), ALICE, "spec.approver has to be who decides: alice"),
    "an approval of a service account": (an_approval(namespace="shop", approver=ROBOT), ROBOT, "approvals are for people"),
    "an approval of the operator": (an_approval(approver=OPERATOR), OPERATOR, "approvals are for people"),
    "an incident of a tenant": (an_incident(namespace="shop"), ALICE, "incidents are made by Watchkeeper's operator alone"),
    "an incident of the administrator": (an_incident(), "", "incidents are made by Watchkeeper's operator alone"),
    "a node's state of the administrator": (a_node_sensor(), "", "nodesensors are made by Watchkeeper's operator alone"),
    "an incident of a leader of an earlier epoch": (fenced(an_incident(), EPOCH - 1), OPERATOR, 'not the leader: epoch "6" was written and the Lease is at 7'),
    "an incident of a leader of no epoch": (an_incident(), OPERATOR, 'not the leader: epoch "" was written and the Lease is at 7'),
}


@pytest.mark.parametrize("sentence", TAKEN)
def test_takes(guarded, sentence):
    written, user = TAKEN[sentence]
    answer = guarded.create(written, user=user)
    assert answer.taken, answer.message


@pytest.mark.parametrize("sentence", REFUSED)
def test_refuses(guarded, sentence):
    written, user, words = REFUSED[sentence]
    answer = guarded.create(written, user=user)
    assert answer.refused_by_policy, answer
    assert answer.code == 403
    assert words in answer.message


# --- changes -----------------------------------------------------------------------------------------------------------


def test_a_policy_that_responds_is_changed_only_by_who_may_use_its_kinds(guarded):
    policy = stored(guarded, tenant_policy(respond=[RESPOND | {"action": "DeletePod"}]), "deletes")
    wider = deepcopy(policy["spec"])
    wider["rules"][0]["when"] = "true"
    assert "you may not use DeletePod" in guarded.merge(policy, {"spec": wider}, user=ALICE).message
    assert guarded.merge(policy, {"spec": wider}).taken


def test_labels_of_a_policy_that_responds_are_anybodys(guarded):
    policy = stored(guarded, tenant_policy(respond=[RESPOND | {"action": "DeletePod"}]), "labelled")
    assert guarded.merge(policy, {"metadata": {"labels": {"team": "a"}}}, user=ALICE).taken


def test_a_policy_may_be_made_harmless_by_whoever_may_write_it(guarded):
    policy = stored(guarded, tenant_policy(respond=[RESPOND | {"action": "DeletePod"}]), "harmless")
    assert guarded.merge(policy, {"spec": {"respond": None}}, user=ALICE).taken


def test_a_tenants_exception_is_renewed_for_90_days_from_now(guarded):
    exception = stored(guarded, tenant_exception(until=away(days=1)), "renewed", user=ALICE)
    assert guarded.merge(exception, {"spec": {"until": away(days=89)}}, user=ALICE).taken
    assert "is more than 90 days away" in guarded.merge(exception, {"spec": {"until": away(days=91)}}, user=ALICE).message
    assert "needs an end" in guarded.merge(exception, {"spec": {"until": None}}, user=ALICE).message
    assert "override is for" in guarded.merge(exception, {"spec": {"when": None, "override": {"enabled": False}}}, user=ALICE).message


def test_what_was_within_90_days_when_it_was_written_stays_changeable(guarded):
    exception = stored(guarded, tenant_exception(until=away(days=1)), "reworded", user=ALICE)
    assert guarded.merge(exception, {"spec": {"reason": "the backup, still"}}, user=ALICE).taken


def test_people_judge_an_incident_and_its_status_stays_the_operators(guarded):
    incident = stored(guarded, fenced(an_incident(namespace="shop")), "judged", user=OPERATOR)
    assert guarded.merge(incident, {"spec": {"disposition": "FalsePositive", "owner": "alice"}}, user=ALICE).taken
    for subject in ("status", ""):
        answer = guarded.merge(incident, {"status": {"severity": "P4", "epoch": EPOCH}}, subresource=subject, user=ALICE)
        assert answer.refused_by_policy if subject else "severity" not in answer.object.get("status", {})


KINDS_OF_A_TENANT = {"RuntimePolicy": tenant_policy(), "PolicyException": tenant_exception(), "ResponseAction": tenant_action()}


@pytest.mark.parametrize("kind", KINDS_OF_A_TENANT)
@pytest.mark.parametrize("user", [ALICE, "", ROBOT])
def test_nobody_but_the_operator_writes_a_status(guarded, kind, user):
    name = f"status-{user.replace(':', '-') or 'admin'}"
    written = stored(guarded, KINDS_OF_A_TENANT[kind], name, user=ALICE)
    forged = {"type": "Approved", "status": "True", "reason": "Approved", "lastTransitionTime": "2026-11-25T10:00:00Z"}
    answer = guarded.merge(written, {"status": {"epoch": EPOCH, "conditions": [forged]}}, subresource="status", user=user)
    assert answer.code == 403
    assert "status is written by Watchkeeper's operator alone" in answer.message


def finished(client, action, status):
    said = {"type": "Succeeded", "status": status, "reason": "Said", "lastTransitionTime": "2026-11-25T10:00:00Z"}
    answer = client.merge(action, {"status": {"epoch": EPOCH, "conditions": [said]}}, subresource="status", user=OPERATOR, dry_run=False)
    assert answer.taken, answer.message
    return answer.object


@pytest.mark.parametrize("status", [None, "Unknown"])
def test_an_action_that_is_not_finished_is_deleted_by_the_operator_alone(guarded, status):
    action = stored(guarded, tenant_action(), f"under-way-{status or 'new'}".lower(), user=ALICE)
    if status:
        action = finished(guarded, action, status)
    for user in (ALICE, ""):
        assert "is not finished: only Watchkeeper's operator deletes it" in guarded.delete(action, user=user).message
    assert guarded.delete(action, user=NAMESPACE_CONTROLLER).taken
    assert "not the leader" in guarded.delete(action, user=OPERATOR).message
    guarded.merge(action, {"metadata": {"annotations": {EPOCH_ANNOTATION: str(EPOCH)}}}, user=OPERATOR, dry_run=False)
    assert guarded.delete(action, user=OPERATOR).taken


def test_not_even_all_actions_of_a_namespace_at_once(guarded):
    stored(guarded, tenant_action(), "among-others", user=ALICE)
    path = "/apis/watchkeeper.dev/v1alpha1/namespaces/shop/responseactions"
    answer = guarded.ask("DELETE", path, user="", dryRun="All")
    assert answer.refused_by_policy


@pytest.mark.parametrize("status", ["True", "False"])
def test_an_action_that_is_finished_is_deleted_by_whoever_may(guarded, status):
    action = finished(guarded, stored(guarded, tenant_action(), f"over-{status}".lower(), user=ALICE), status)
    assert guarded.delete(action, user=ALICE).taken
