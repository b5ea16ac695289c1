"""State after any sequence of changes is the state of what is there in the end; what was told adds up to it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.operator.rbac.objects import RBAC, World, account, binding, cluster_binding, cluster_role, group, made_account, pod, role, rule, user

NAMES = st.sampled_from(["a", "b", "c"])
NAMESPACES = st.sampled_from(["shop", "kube-system"])
RULES = st.lists(
    st.sampled_from(
        [
            rule("list", "secrets"),
            rule("get", "pods"),
            rule("create", "pods/exec"),
            rule("escalate", "roles", RBAC),
            rule("create", "serviceaccounts/token", names="a"),
            rule("impersonate", "serviceaccounts users"),
            rule("*", "*", "*"),
        ]
    ),
    max_size=3,
)
SUBJECTS = st.lists(
    st.one_of(
        st.builds(user, NAMES),
        st.builds(account, NAMESPACES, NAMES),
        st.sampled_from([group("system:serviceaccounts:shop"), group("system:authenticated")]),
    ),
    max_size=3,
)
LABELS = st.sampled_from([None, {"to": "a"}, {"to": "b"}])
AGGREGATION = st.sampled_from([{}, {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "a"}}]}}])
ROLE_KINDS = st.sampled_from(["Role", "ClusterRole"])
OBJECTS = st.one_of(
    st.builds(lambda name, rules, labels, more: cluster_role(name, *rules, labels=labels, **more), NAMES, RULES, LABELS, AGGREGATION),
    st.builds(lambda namespace, name, rules: role(namespace, name, *rules), NAMESPACES, NAMES, RULES),
    st.builds(lambda name, of, subjects: cluster_binding(name, of, *subjects), NAMES, NAMES, SUBJECTS),
    st.builds(lambda namespace, name, kind, of, subjects: binding(namespace, name, kind, of, *subjects), NAMESPACES, NAMES, ROLE_KINDS, NAMES, SUBJECTS),
    st.builds(made_account, NAMESPACES, NAMES),
)
BATCHES = st.lists(st.lists(st.tuples(OBJECTS, st.booleans()), min_size=1, max_size=4), max_size=12)
PODS = st.lists(st.tuples(st.builds(pod, NAMESPACES, NAMES, NAMES), st.booleans()), max_size=8)


def grants_of(world):
    """Every grant there is, as a set."""
    return {grant_identity(record["rbac"]) for record in world.present() if record["kind"] == "rbac.grant"}


def grant_identity(told):
    rule_of = tuple(tuple(told.get(name, ())) for name in ("verbs", "api_groups", "resources", "resource_names"))
    return told["binding_kind"], told.get("namespace"), told["binding_name"], told["subject_id"], rule_of


def in_batches(batches, world):
    told = []
    for batch in batches:
        told += world.changes(*((key, None if is_gone else one) for (key, one), is_gone in batch))
    return told


def left_of(batches):
    left = {}
    for batch in batches:
        for key, one in {key: None if is_gone else one for (key, one), is_gone in batch}.items():
            if one is None:
                left.pop(key, None)
            else:
                left[key] = one
    return left


@settings(max_examples=150, deadline=None)
@given(BATCHES, PODS)
def test_any_sequence_of_changes_leads_to_the_state_of_a_list(batches, pods):
    world = World()
    in_batches(batches, world)
    running = {}
    for one, is_gone in pods:
        if is_gone:
            world.state.remove_pod(one.metadata.namespace, one.metadata.name)
            running.pop((one.metadata.namespace, one.metadata.name), None)
        else:
            world.state.put_pod(one)
            running[one.metadata.namespace, one.metadata.name] = one
    listed = World(*left_of(batches).items(), pods=tuple(running.values()))
    facts = [
        (
            sorted(map(repr, one.present())),
            {name: set(one.powers.who_can_be(name).named) for name in one.state.holders()},
            one.state.workloads,
            one.state.daemon_sets,
        )
        for one in (world, listed)
    ]
    assert facts[0] == facts[1]


@settings(max_examples=150, deadline=None)
@given(BATCHES)
def test_what_was_told_adds_up_to_what_is_there(batches):
    world, held = World(), set()
    for batch in batches:
        before = grants_of(world)
        for told in (record["rbac"] for record in in_batches([batch], world) if record["kind"] == "rbac.grant"):
            if told["change"] == "added":
                assert grant_identity(told) not in before
            if told["change"] == "removed":
                held.discard(grant_identity(told))
            else:
                held.add(grant_identity(told))
        now = grants_of(world)
        assert held >= now
        mended = held - now  # what a changed grant was before is not told as removed
        assert mended <= before
        held = now


@settings(max_examples=100, deadline=None)
@given(BATCHES)
def test_what_is_told_again_means_nothing(batches):
    world = World()
    in_batches(batches, world)
    assert world.changes(*left_of(batches).items()) == []
