"""Who can act as a subject."""

from __future__ import annotations

import pytest
from tests.operator.rbac.objects import RBAC, World, account, binding, cluster_binding, cluster_role, group, made_account, pod, role, rule, user

CART = "system:serviceaccount:shop:cart"
THERE = (made_account("shop", "cart"),)
RUNS = (
    pod("shop", "cart-5d8f7-abcde", "cart", "ReplicaSet", "cart-5d8f7", template="5d8f7"),
    pod("shop", "cart-5d8f7-xyz12", "cart", "ReplicaSet", "cart-5d8f7", template="5d8f7"),
)
WORKLOAD = "namespaces/shop/deployments/cart"


def by_maria(given, *, everywhere=False):
    """Maria holds one rule, in the namespace shop or everywhere."""
    if everywhere:
        return cluster_role("marias", given), cluster_binding("marias", "marias", user("maria"))
    return role("shop", "marias", given), binding("shop", "marias", "Role", "marias", user("maria"))


CAN = {
    "who may impersonate the account": by_maria(rule("impersonate", "serviceaccounts")),
    "who may impersonate it by name": by_maria(rule("impersonate", "serviceaccounts", names="cart")),
    "who may make its tokens": by_maria(rule("create", "serviceaccounts/token")),
    "who may start pods in its namespace": by_maria(rule("create", "pods")),
    "who may start what makes pods": by_maria(rule("patch", "deployments", "apps")),
    "who may start pods everywhere": by_maria(rule("create", "pods"), everywhere=True),
    "who gets into its pods": by_maria(rule("create", "pods/exec")),
    "who may swap their images": by_maria(rule("patch", "pods")),
    "who reaches every kubelet": by_maria(rule("get", "nodes/proxy"), everywhere=True),
    "who makes a token secret and reads it": by_maria(rule("create get", "secrets")),
    "who may give any role": by_maria(rule("bind", "clusterroles", RBAC), everywhere=True),
    "who may do anything in its namespace": by_maria(rule("*", "*", "*")),
    "who issues certificates": (
        cluster_role(
            "issuer",
            rule("create", "certificatesigningrequests", "certificates.k8s.io"),
            rule("update", "certificatesigningrequests/approval", "certificates.k8s.io"),
            rule("approve", "signers", "certificates.k8s.io", "kubernetes.io/kube-apiserver-client"),
        ),
        cluster_binding("issuer", "issuer", user("maria")),
    ),
}
CANNOT = {
    "who may impersonate another account": by_maria(rule("impersonate", "serviceaccounts", names="other")),
    "who may make tokens of another account": by_maria(rule("create", "serviceaccounts/token", names="other")),
    "who reads its pods": by_maria(rule("get list watch", "pods pods/log")),
    "who makes secrets and can't read them": by_maria(rule("create", "secrets")),
    "who may create accounts, for this one exists": by_maria(rule("create", "serviceaccounts")),
    "who may start pods in another namespace": (role("other", "marias", rule("create", "pods")), binding("other", "marias", "Role", "marias", user("maria"))),
    "who holds a role that is not there": (binding("shop", "marias", "Role", "missing", user("maria")),),
}


@pytest.mark.parametrize("sentence", CAN)
def test_can_act_as_an_account(sentence):
    world = World(*THERE, *CAN[sentence], pods=RUNS)
    assert world.who_can_be(CART) == (WORKLOAD, "maria")


@pytest.mark.parametrize("sentence", CANNOT)
def test_can_not_act_as_an_account(sentence):
    world = World(*THERE, *CANNOT[sentence], pods=RUNS)
    assert world.who_can_be(CART) == (WORKLOAD,)


def test_nobody_gets_into_pods_that_do_not_run():
    world = World(*THERE, *by_maria(rule("create", "pods/exec")))
    assert world.who_can_be(CART) == ()


def test_whoever_may_create_accounts_can_be_one_that_does_not_exist():
    world = World(*by_maria(rule("create", "serviceaccounts")))
    assert world.who_can_be(CART) == ("maria",)


def test_steps_are_followed_nearest_first():
    world = World(
        *THERE,
        made_account("shop", "minter"),
        role("shop", "minter", rule("create", "serviceaccounts/token", names="cart")),
        binding("shop", "minter", "Role", "minter", account("shop", "minter")),
        role("shop", "starter", rule("impersonate", "serviceaccounts", names="minter")),
        binding("shop", "starter", "Role", "starter", user("maria")),
        cluster_role("boss", rule("impersonate", "users", names="maria")),
        cluster_binding("boss", "boss", group("team")),
        pods=(*RUNS, pod("shop", "minter", "minter")),
    )
    assert world.who_can_be(CART) == (WORKLOAD, "namespaces/shop/pods/minter", "maria", "group:team")


def test_a_circle_of_accounts_ends():
    world = World(
        *(made_account("shop", name) for name in "ab"),
        *(role("shop", name, rule("create", "serviceaccounts/token", names=other)) for name, other in ("ab", "ba")),
        *(binding("shop", name, "Role", name, account("shop", name)) for name in "ab"),
    )
    assert world.who_can_be("system:serviceaccount:shop:a") == ("system:serviceaccount:shop:b",)


def test_members_of_a_group_of_accounts_are_those_of_its_namespace():
    world = World(
        *THERE,
        made_account("other", "far"),
        cluster_role("all", rule("*", "*", "*")),
        cluster_binding("all", "all", group("system:serviceaccounts:shop")),
        pods=(*RUNS, pod("other", "far", "far")),
    )
    assert set(world.who_can_be("maria")) == {"group:system:serviceaccounts:shop", WORKLOAD}


def test_kubernetes_own_identities_are_passed_through_and_not_named():
    world = World(
        *THERE,
        cluster_role("system:controller:job-controller", rule("create", "pods")),
        cluster_binding("system:controller:job-controller", "system:controller:job-controller", account("kube-system", "job-controller")),
        role("kube-system", "minter", rule("create", "serviceaccounts/token")),
        binding("kube-system", "minter", "Role", "minter", user("maria")),
    )
    assert world.who_can_be(CART) == ("maria",)


def test_fifty_are_named_and_all_are_counted():
    users = [user(f"user-{number:03}") for number in range(120)]
    world = World(*THERE, role("shop", "minter", rule("create", "serviceaccounts/token")), binding("shop", "minter", "Role", "minter", *users))
    becoming = world.powers.who_can_be(CART)
    assert (len(becoming.named), becoming.total) == (50, 120)


def test_it_is_answered_anew_when_pods_or_roles_change():
    world = World(*THERE)
    assert world.who_can_be(CART) == ()
    world.state.put_pod(RUNS[0])
    assert world.who_can_be(CART) == (WORKLOAD,)
    world.grants(*by_maria(rule("create", "pods/exec")))
    assert world.who_can_be(CART) == (WORKLOAD, "maria")
    world.state.remove_pod("shop", RUNS[0].metadata.name)
    assert world.who_can_be(CART) == ()


WORKLOADS = {
    "a Deployment's": (pod("shop", "x", "cart", "ReplicaSet", "cart-5d8f7", template="5d8f7"), WORKLOAD),
    "a ReplicaSet's of its own": (pod("shop", "x", "cart", "ReplicaSet", "cart-5d8f7"), "namespaces/shop/replicasets/cart-5d8f7"),
    "a DaemonSet's": (pod("shop", "x", "cart", "DaemonSet", "cart"), "namespaces/shop/daemonsets/cart"),
    "nobody's": (pod("shop", "x", "cart"), "namespaces/shop/pods/x"),
}


@pytest.mark.parametrize("whose", WORKLOADS)
def test_a_pod_is_named_as_the_workload_it_belongs_to(whose):
    one, workload = WORKLOADS[whose]
    assert World(*THERE, pods=(one,)).who_can_be(CART) == (workload,)
