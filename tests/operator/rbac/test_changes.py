"""What changes of objects mean."""

from __future__ import annotations

import pytest
from tests.operator.rbac.objects import (
    RBAC,
    World,
    account,
    binding,
    cluster_binding,
    cluster_role,
    gone,
    group,
    made,
    made_account,
    pod,
    role,
    rule,
    user,
)

from watchkeeper_operator.rbac.state import GRANTS_TOLD

SECRETS, PODS = rule("list", "secrets"), rule("list", "pods")
READER = cluster_role("reader", SECRETS)
VIEW = cluster_role("view", aggregationRule={"clusterRoleSelectors": [{"matchLabels": {f"{RBAC}/aggregate-to-view": "true"}}]})
LABELS = {f"{RBAC}/aggregate-to-view": "true"}


def brief(grants):
    return [(one["change"], one.get("cause"), one["subject_id"], tuple(one["gained"])) for one in grants]


CHANGES = {
    "a binding gives what its role holds": (
        (READER,),
        (cluster_binding("b", "reader", user("maria")),),
        [("added", "binding", "maria", ("read_secrets",))],
    ),
    "a binding of a role that is not there gives nothing": ((), (cluster_binding("b", "reader", user("maria")),), []),
    "the role of a binding that was there before it": (
        (cluster_binding("b", "reader", user("maria")),),
        (READER,),
        [("added", "role", "maria", ("read_secrets",))],
    ),
    "a subject more": (
        (READER, cluster_binding("b", "reader", user("maria"))),
        (cluster_binding("b", "reader", user("maria"), user("tom")),),
        [("added", "binding", "tom", ("read_secrets",))],
    ),
    "a verb more in a rule": (
        (cluster_role("reader", PODS), cluster_binding("b", "reader", user("maria"))),
        (cluster_role("reader", rule("list delete", "pods")),),
        [("changed", "role", "maria", ("evict_pods",))],
    ),
    "a rule more in a role": (
        (cluster_role("reader", PODS), cluster_binding("b", "reader", user("maria"))),
        (cluster_role("reader", PODS, SECRETS),),
        [("added", "role", "maria", ("read_secrets",))],
    ),
    "a binding goes": (
        (READER, cluster_binding("b", "reader", user("maria"))),
        (gone(cluster_binding("b", "reader")),),
        [("removed", "binding", "maria", ())],
    ),
    "a role goes": ((READER, cluster_binding("b", "reader", user("maria"))), (gone(READER),), [("removed", "role", "maria", ())]),
    "what was held already is not gained": (
        (READER, cluster_binding("b", "reader", user("maria"))),
        (cluster_binding("again", "reader", user("maria")),),
        [("added", "binding", "maria", ())],
    ),
    "what was held in one namespace is gained everywhere": (
        (READER, binding("shop", "b", "ClusterRole", "reader", user("maria"))),
        (cluster_binding("wide", "reader", user("maria")),),
        [("added", "binding", "maria", ("read_secrets",))],
    ),
    "what was held everywhere is not gained in a namespace": (
        (READER, cluster_binding("wide", "reader", user("maria"))),
        (binding("shop", "b", "ClusterRole", "reader", user("maria")),),
        [("added", "binding", "maria", ())],
    ),
    "a label on a role gives its rules to those who hold another": (
        (VIEW, cluster_binding("b", "view", group("staff"))),
        (cluster_role("extra", SECRETS, labels=LABELS),),
        [("added", "aggregation", "group:staff", ("read_secrets",))],
    ),
    "the controller's copy of it is no news": (
        (VIEW, cluster_binding("b", "view", group("staff")), cluster_role("extra", SECRETS, labels=LABELS)),
        (cluster_role("view", SECRETS, aggregationRule={"clusterRoleSelectors": [{"matchLabels": LABELS}]}),),
        [],
    ),
    "the label is taken off": (
        (VIEW, cluster_binding("b", "view", group("staff")), cluster_role("extra", SECRETS, labels=LABELS)),
        (cluster_role("extra", SECRETS),),
        [("removed", "aggregation", "group:staff", ())],
    ),
    "an account appears for which rights waited": (
        (READER, cluster_binding("b", "reader", account("shop", "cart"))),
        (made_account("shop", "cart"),),
        [("changed", "service_account", "system:serviceaccount:shop:cart", ())],
    ),
    "an account goes and its rights stay": (
        (READER, cluster_binding("b", "reader", account("shop", "cart")), made_account("shop", "cart")),
        (gone(made_account("shop", "cart")),),
        [("changed", "service_account", "system:serviceaccount:shop:cart", ())],
    ),
    "account and binding that come together": (
        (READER,),
        (cluster_binding("b", "reader", account("shop", "cart")), made_account("shop", "cart")),
        [("added", "binding", "system:serviceaccount:shop:cart", ("read_secrets",))],
    ),
    "a right that completes others": (
        (cluster_role("evict", rule("delete", "pods")), cluster_binding("a", "evict", user("maria")), cluster_role("cordon", rule("patch", "nodes"))),
        (cluster_binding("b", "cordon", user("maria")),),
        [("added", "binding", "maria", ("change_nodes", "steal_pods"))],
    ),
    "an account that is named as a user": (
        (READER, made_account("shop", "cart"), cluster_binding("a", "reader", account("shop", "cart"))),
        (cluster_binding("b", "reader", user("system:serviceaccount:shop:cart")),),
        [("added", "binding", "system:serviceaccount:shop:cart", ())],
    ),
    "a user that is called like a group": (
        (READER, cluster_binding("a", "reader", group("staff"))),
        (cluster_binding("b", "reader", user("group:staff")),),
        [("added", "binding", "user:group:staff", ("read_secrets",))],
    ),
    "a binding that names somebody twice": (
        (READER,),
        (cluster_binding("b", "reader", user("maria"), user("maria")),),
        [("added", "binding", "maria", ("read_secrets",))],
    ),
    "a role with the same rule twice": (
        (cluster_role("reader", SECRETS, SECRETS),),
        (cluster_binding("b", "reader", user("maria")),),
        [("added", "binding", "maria", ("read_secrets",))],
    ),
}


@pytest.mark.parametrize("sentence", CHANGES)
def test_what_a_change_means_for_grants(sentence):
    before, changed, expected = CHANGES[sentence]
    assert brief(World(*before).grants(*changed)) == expected


QUIET = {
    "an object that only has another version": {"metadata": {"resourceVersion": "2"}},
    "a label that is not about aggregation": {"metadata": {"labels": {"app": "reader"}}},
    "another field manager": {"metadata": {"managedFields": [{"manager": "argocd", "time": "2026-03-12T02:30:00Z"}]}},
}


@pytest.mark.parametrize("sentence", QUIET)
def test_means_nothing(sentence):
    world = World(READER, cluster_binding("b", "reader", user("maria")))
    assert world.changes(made("ClusterRole", "reader", rules=[SECRETS], **QUIET[sentence])) == []


def test_a_grant_says_who_holds_it_where_and_who_can_act_as_the_holder():
    world = World(
        READER,
        made_account("shop", "cart"),
        role("shop", "into", rule("create", "pods/exec")),
        binding("shop", "into", "Role", "into", user("tom")),
        pods=(pod("shop", "agent-1", "cart", "DaemonSet", "agent"),),
    )
    (told,) = world.grants(cluster_binding("b", "reader", account("shop", "cart")))
    expected = {
        "subject_kind": "ServiceAccount",
        "subject_namespace": "shop",
        "subject_exists": True,
        "subject_pods": 1,
        "subject_in_daemon_set": True,
        "subject_risks": ["read_secrets"],
        "cluster_wide": True,
        "verbs": ["list"],
        "resources": ["secrets"],
        "risks": ["read_secrets"],
        "role_name": "reader",
        "role_aggregated": False,
        "binding_kind": "ClusterRoleBinding",
        "can_become": ["namespaces/shop/daemonsets/agent", "tom"],
        "can_become_count": 2,
    }
    assert {name: told.get(name) for name in expected} == expected
    assert "namespace" not in told
    assert "role_built_in" not in told


def test_roles_are_told_with_what_they_amount_to_whether_or_not_somebody_holds_them():
    (told,) = World().told_objects(cluster_role("op", rule("escalate", "roles", RBAC), PODS))
    assert (told["change"], told["risks"], told["gained"]) == ("added", ["escalate"], ["escalate"])
    world = World(cluster_role("op", PODS))
    (told,) = world.told_objects(cluster_role("op", rule("escalate", "roles", RBAC), PODS))
    assert (told["change"], told["gained"], told["object_before"]["ruleCount"]) == ("changed", ["escalate"], 1)
    (told,) = world.told_objects(gone(cluster_role("op")))
    assert (told["change"], told["risks"], told["gained"]) == ("removed", ["escalate"], [])


BUILT_IN = {
    "cluster-admin for its own group": (("cluster-admin", "cluster-admin", group("system:masters")), True, True),
    "cluster-admin's binding with somebody else": (("cluster-admin", "cluster-admin", user("eve")), True, False),
    "another binding of cluster-admin": (("eve", "cluster-admin", user("eve")), True, None),
    "a role that only sounds built in": (("system:metrics", "system:metrics", user("eve")), None, None),
    "a built-in role that has become stronger": (("system:basic-user", "system:basic-user", group("system:authenticated")), False, True),
}


@pytest.mark.parametrize("sentence", BUILT_IN)
def test_what_is_built_in_is_told_by_what_it_gives_and_to_whom(sentence):
    given, of_role, of_binding = BUILT_IN[sentence]
    world = World(
        cluster_role("cluster-admin", rule("*", "*", "*")),
        cluster_role("system:metrics", SECRETS, labels={"kubernetes.io/bootstrapping": "rbac-defaults"}),
        cluster_role("system:basic-user", SECRETS),
    )
    (told,) = world.grants(cluster_binding(*given))
    assert (told.get("role_built_in"), told.get("binding_built_in")) == (of_role, of_binding)


def test_a_binding_too_large_is_told_as_far_as_it_goes_risks_first_and_what_is_left_out_is_counted():
    harmless = [rule("get", f"kind{number}", "example.com") for number in range(200)]
    world = World(cluster_role("big", *harmless, SECRETS))
    told = world.changes(cluster_binding("b", "big", *(user(f"user-{number}") for number in range(100))))
    grants = [record["rbac"] for record in told if record["kind"] == "rbac.grant"]
    assert len(grants) == GRANTS_TOLD
    assert sum("read_secrets" in one["risks"] for one in grants) == 100
    (bound,) = (record["rbac"] for record in told if record["kind"] == "rbac.object")
    assert bound["untold"] == 201 * 100 - GRANTS_TOLD


def test_the_same_state_gives_the_same_ids():
    objects = (READER, cluster_binding("b", "reader", user("maria"), account("shop", "cart")), made_account("shop", "cart"))
    one, other = (World(*order).present() for order in (objects, objects[::-1]))
    assert sorted(record["id"] for record in one) == sorted(record["id"] for record in other)
    assert len({record["id"] for record in one}) == len(one)
