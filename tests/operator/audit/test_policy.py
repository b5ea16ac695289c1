"""The shipped audit policy logs what the shipped rules read, and never a secret."""

from __future__ import annotations

import itertools
from functools import cache

import pytest

from watchkeeper_cli.policy_set import library_program
from watchkeeper_operator.audit.demands import CLUSTER_SCOPED, GROUPS, demands, meets
from watchkeeper_operator.audit.levels import Asked, logged, read_policy, shipped_text

NODE = ("system:nodes", "system:authenticated")
SECRETS_ARE_NEVER_LOGGED = {"k8s-long-lived-token/secret-made"}
"""Rules that read a Secret's body: k8s-long-lived-token/filled-in tells the same by what the token controller does after it."""
CALLERS = {
    "": ("ann", ("system:authenticated",)),
    "system:node:*": ("system:node:node-1", NODE),
    "system:anonymous": ("system:anonymous", ("system:unauthenticated",)),
}


@cache
def shipped():
    return read_policy(shipped_text())


def caller(named: str) -> tuple[str, tuple[str, ...]]:
    if named in CALLERS:
        return CALLERS[named]
    if named.startswith("system:serviceaccount:"):
        user = named.replace("*", "shop:web" if named.count(":") == 2 else "web")
        return user, ("system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}", "system:authenticated")
    return named.replace("*", "x"), ("system:authenticated",)


def asked(demand):
    """Every request that a demand names, as an ordinary user unless it names another."""
    for resource, subresource, verb, user in itertools.product(
        demand.resources or ("pods",), demand.subresources or ("",), demand.verbs or ("create",), demand.users or ("",)
    ):
        name, groups = caller(user)
        namespace = "" if resource in CLUSTER_SCOPED else (demand.namespaces or ("shop",))[0]
        yield Asked(user=name, groups=groups, verb=verb, group=GROUPS.get(resource, ""), resource=resource, subresource=subresource, namespace=namespace)


def test_all_that_the_shipped_rules_read_is_logged_at_the_level_that_they_need():
    missing = [
        f"{demand.rule} needs {demand.level} of {one.verb} {one.resource}/{one.subresource} by {one.user}, gets {logged(shipped(), one).level}"
        for demand in demands(library_program())
        if demand.rule not in SECRETS_ARE_NEVER_LOGGED
        for one in asked(demand)
        if not meets(logged(shipped(), one).level, demand.level)
    ]
    assert missing == []


def test_the_library_asks_about_more_than_a_hundred_conditions():
    assert len(demands(library_program())) > 200


def test_both_groups_of_an_object_in_two_are_logged_when_it_is_deleted():
    for group in ("", "events.k8s.io"):
        for verb in ("delete", "deletecollection"):
            assert logged(shipped(), Asked(user="ann", verb=verb, group=group, resource="events", namespace="shop")).level == "Metadata"


@pytest.mark.parametrize("verb", ["create", "update", "patch", "get", "list", "watch", "delete", "deletecollection"])
@pytest.mark.parametrize(
    ("user", "groups"),
    [*CALLERS.values(), ("system:kube-controller-manager", ()), ("system:serviceaccount:kube-system:x", ("system:serviceaccounts:kube-system",))],
)
def test_secrets_are_logged_whoever_touches_them_and_never_their_content(verb, user, groups):
    assert logged(shipped(), Asked(user=user, groups=groups, verb=verb, resource="secrets", namespace="shop")).level == "Metadata"


@pytest.mark.parametrize(
    ("group", "resource", "subresource", "level"),
    [
        ("authentication.k8s.io", "tokenreviews", "", "Metadata"),
        ("", "serviceaccounts", "token", "Request"),
        ("authorization.k8s.io", "subjectaccessreviews", "", "Request"),
    ],
)
@pytest.mark.parametrize("user", ["ann", "system:node:node-1", "system:apiserver", "system:serviceaccount:kube-system:x"])
def test_no_token_is_logged(group, resource, subresource, level, user):
    found = logged(shipped(), Asked(user=user, groups=NODE, verb="create", group=group, resource=resource, subresource=subresource))
    assert found.level == level


@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward"])
@pytest.mark.parametrize("verb", ["get", "create"])
def test_a_session_is_told_when_it_begins(subresource, verb):
    found = logged(shipped(), Asked(user="ann", verb=verb, resource="pods", subresource=subresource, namespace="shop"))
    assert (found.level, "ResponseStarted" in found.omitted) == ("Request", False)


def test_no_rule_of_the_policy_omits_the_start_of_a_response():
    assert not [rule for rule in shipped().rules if "ResponseStarted" in rule.omit_stages]
    assert shipped().omit_stages == ("RequestReceived",)


def test_watchkeeper_exempts_none_of_its_own_accounts():
    assert "watchkeeper" not in "\n".join(line for line in shipped_text().splitlines() if not line.startswith("#"))
