"""What judging the policies of a cluster says, and what stays in force."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest
from tests.support.policy_objects import a_list, a_policy, a_rule, an_exception

from watchkeeper_operator.policy_judging import Judge
from watchkeeper_operator.policy_objects import Key, Written
from watchkeeper_operator.policy_quotas import TenantLimits
from watchkeeper_operator.resources.conditions import Reason

NOW = datetime(2026, 7, 1, tzinfo=UTC)
ROOT, SHOP = "watchkeeper", "shop"


def written(thing, namespace=ROOT, name=None, generation=1, uid="", created="2026-06-01T00:00:00Z"):
    name = name or thing["metadata"]["name"]
    return Written(Key(thing["kind"], namespace, name), uid or f"uid-of-{namespace}-{name}", generation, created, thing["spec"])


def a_kernel_rule(**fields):
    return a_rule(**{"on": ["process.exec"], "when": 'process.exe == "/bin/sh"', "severity": "P3"} | fields)


def judged(*objects, good=(), limits=None, now=NOW):
    return Judge(limits or TenantLimits()).judge(objects, {one.key: one for one in good}, now)


def verdict(made, kind, name, namespace=ROOT):
    return made.verdicts[Key(kind, namespace, name)]


POLICY = written(a_policy())
MISSPELT = written(a_policy(a_rule(when='audit.verbb == "create"')), generation=2)
READS_LIST = written(a_policy(a_rule(when="audit.verb in lists.mining_pools")))


def test_a_policy_that_is_right_is_accepted_and_in_force():
    made = judged(POLICY)
    assert verdict(made, "RuntimePolicy", "k8s-pod-exec").accepted
    assert made.in_force == (POLICY,)
    assert [rule.name for rule in made.program.rules] == ["k8s-pod-exec/exec-in-pod"]


REFUSED = {
    "an unknown field of an event, with the nearest name": (
        MISSPELT,
        Reason.INVALID,
        ["exec-in-pod at spec.rules[exec-in-pod].when", "audit.verbb", "line 1, column", "audit.verb"],
    ),
    "a list that there is not": (READS_LIST, Reason.INVALID, ["mining_pools"]),
    "a kind that only root may read": (written(a_policy(), SHOP), Reason.NOT_ALLOWED, ["spec.rules[exec-in-pod].on[0]", "audit.request"]),
    "a kind that the cluster does not let tenants have": (
        written(a_policy(a_kernel_rule(on=["file.write"], when='file.path == "/etc/passwd"')), SHOP),
        Reason.NOT_ALLOWED,
        ["policies in namespace shop may not read file.write"],
    ),
    "a message that would tell a tenant the name of a node": (
        written(a_policy(a_kernel_rule(message="{process.exe} on {node.name}")), SHOP),
        Reason.NOT_ALLOWED,
        ["spec.rules[exec-in-pod]", "policies in namespace shop may not read node.name"],
    ),
    "a condition by which a tenant would learn the name of a node": (
        written(a_policy(a_kernel_rule(when='process.exe == "/bin/sh" && node.name == "n1"')), SHOP),
        Reason.NOT_ALLOWED,
        ["policies in namespace shop may not read node.name"],
    ),
    "an exception for no policy": (written(an_exception()), Reason.NO_SUCH_POLICY, ["there is no policy k8s-pod-exec"]),
    "a tenant's exception without an end": (written(an_exception(), SHOP), Reason.NOT_ALLOWED, ["needs an end"]),
    "a tenant's exception that ends too late": (
        written(an_exception(until="2026-12-01T00:00:00Z"), SHOP),
        Reason.NOT_ALLOWED,
        ["spec.until: more than 90 days away"],
    ),
    "an exception that is over": (written(an_exception(until="2026-06-30T00:00:00Z")), Reason.EXPIRED, ["it ended at 2026-06-30T00:00:00Z"]),
    "what has no rules": (written({"kind": "RuntimePolicy", "metadata": {"name": "none"}, "spec": {}}), Reason.INVALID, ["spec.rules: is required"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_place_and_reason(case):
    one, reason, words = REFUSED[case]
    made = judged(one)
    refused = made.verdicts[one.key]
    assert not refused.accepted
    assert refused.reason == reason
    assert [word for word in words if word not in refused.message] == []
    assert made.program.rules == ()


def test_a_policy_edited_to_nonsense_leaves_its_last_good_revision_in_force_and_says_so():
    made = judged(MISSPELT, good=[POLICY])
    refused = verdict(made, "RuntimePolicy", "k8s-pod-exec")
    assert not refused.accepted
    assert refused.in_force == POLICY
    assert "generation 1 stays in force" in refused.message
    assert [rule.revision for rule in made.program.rules] == [rule.revision for rule in judged(POLICY).program.rules]
    assert made.revision == judged(POLICY).revision


def test_what_was_made_anew_under_the_same_name_has_no_last_good_revision():
    made = judged(dataclasses_replace(MISSPELT, uid="another"), good=[POLICY])
    assert made.in_force == ()


def test_a_deleted_policy_is_not_in_force_and_not_kept():
    made = judged(good=[POLICY])
    assert made.in_force == ()
    assert made.good == {}


def dataclasses_replace(one, **fields):
    return Written(**{name: getattr(one, name) for name in one.__struct_fields__} | fields)


def test_a_deleted_list_stays_in_force_for_the_policy_that_was_good_with_it():
    pools = written(a_list("pool.example"))
    before = judged(READS_LIST, pools)
    after = judged(READS_LIST, good=before.good.values())
    refused = verdict(after, "RuntimePolicy", "k8s-pod-exec")
    assert not refused.accepted
    assert "lists that are gone stay in force" in refused.message
    assert after.program.lists == {"mining_pools": ("pool.example",)}
    assert after.program.rules == before.program.rules
    again = judged(READS_LIST, good=after.good.values())
    assert again.program == before.program


def test_a_deleted_list_that_nothing_reads_is_gone():
    pools = written(a_list("pool.example"))
    before = judged(POLICY, pools)
    assert verdict(before, "PolicyList", "mining-pools").message == "no rule reads it"
    assert judged(POLICY, good=before.good.values()).program.lists == {}


def test_a_list_says_how_many_rules_read_it():
    made = judged(READS_LIST, written(a_list("pool.example")))
    assert verdict(made, "PolicyList", "mining-pools").message == "read by 1 rules"


def test_new_values_of_a_list_are_in_force_at_once():
    first = judged(READS_LIST, written(a_list("a.example")))
    second = judged(READS_LIST, written(a_list("b.example"), generation=2), good=first.good.values())
    assert second.program.lists == {"mining_pools": ("b.example",)}
    assert second.revision != first.revision


def test_an_exception_that_does_not_fit_its_policy_is_refused_and_does_not_hold_up_the_rule():
    made = judged(POLICY, written(an_exception(when="audit.verbb == 'x'")))
    refused = verdict(made, "PolicyException", "backup")
    assert not refused.accepted
    assert "spec.when" in refused.message
    assert refused.in_force is None
    assert verdict(made, "RuntimePolicy", "k8s-pod-exec").accepted
    assert [len(rule.exceptions) for rule in made.program.rules] == [0]


def test_an_exception_edited_to_nonsense_leaves_its_last_good_revision_in_force():
    good = written(an_exception(when="audit.verb == 'get'"))
    made = judged(POLICY, written(an_exception(when="audit.verbb == 'x'"), generation=2), good=[POLICY, good])
    refused = verdict(made, "PolicyException", "backup")
    assert refused.in_force == good
    assert "generation 1 stays in force" in refused.message
    assert [[guard.name for guard in rule.exceptions] for rule in made.program.rules] == [["backup"]]


def test_an_exception_of_which_one_rule_is_gone_holds_for_the_others():
    made = judged(POLICY, written(an_exception(rules=["exec-in-pod", "exec-in-pot"])))
    refused = verdict(made, "PolicyException", "backup")
    assert (refused.accepted, refused.reason) == (False, Reason.NO_SUCH_POLICY)
    assert [len(rule.exceptions) for rule in made.program.rules] == [1]


def test_policies_of_one_name_in_two_namespaces_have_their_own_exceptions():
    rule = a_kernel_rule()
    shop, bank = (written(a_policy(rule), namespace) for namespace in ("shop", "bank"))
    exception = written(an_exception(when="true", until="2026-08-01T00:00:00Z"), "bank")
    made = judged(shop, bank, exception)
    assert verdict(made, "PolicyException", "backup", "bank").accepted
    assert {one.namespace: len(one.exceptions) for one in made.program.rules} == {"shop": 0, "bank": 1}


def test_a_bad_policy_holds_up_no_other():
    made = judged(MISSPELT, written(a_policy(), name="other"))
    assert [rule.policy for rule in made.program.rules] == ["other"]


def tenants(*names, created=lambda number: f"2026-06-01T00:00:{number:02}Z", rules=1, **fields):
    rules = [a_kernel_rule(name=f"r{number}", **fields) for number in range(rules)]
    return [written(a_policy(*rules), SHOP, name, created=created(number)) for number, name in enumerate(names)]


OVER = {
    "policies": (TenantLimits(policies=2), {}),
    "rules": (TenantLimits(rules=2), {}),
    "cost of its conditions": (TenantLimits(cost=5), {}),
    "characters": (TenantLimits(characters=150), {}),
}


@pytest.mark.parametrize("what", OVER)
def test_the_oldest_policies_of_a_namespace_have_its_quota_of(what):
    limits, fields = OVER[what]
    made = judged(*reversed(tenants("first", "second", "third", **fields)), limits=limits)
    assert [made.verdicts[Key("RuntimePolicy", SHOP, name)].accepted for name in ("first", "second", "third")] == [True, True, False]
    assert verdict(made, "RuntimePolicy", "third", SHOP).reason == Reason.OVER_QUOTA


def test_root_and_other_namespaces_are_not_held_to_a_tenants_quota():
    limits = TenantLimits(policies=1)
    others = [written(a_policy(a_kernel_rule()), namespace, "one") for namespace in ("bank", ROOT)] + [written(a_policy(), name="two")]
    made = judged(*tenants("first", "second"), *others, limits=limits)
    assert {f"{key.namespace}/{key.name}" for key, one in made.verdicts.items() if not one.accepted} == {"shop/second"}


def test_last_good_revisions_count_towards_the_quota():
    limits = TenantLimits(policies=2)
    first, second, third = tenants("first", "second", "third")
    bad = written(a_policy(a_kernel_rule(when="process.nothing == 1")), SHOP, "first", generation=2, created=first.created)
    made = judged(bad, second, third, good=[first, second], limits=limits)
    assert [one.key.name for one in made.in_force] == ["first", "second"]
    assert verdict(made, "RuntimePolicy", "third", SHOP).reason == Reason.OVER_QUOTA


def test_exceptions_edited_to_nonsense_make_no_room_for_more():
    limits = TenantLimits(exceptions=1)
    policy = written(a_policy(a_kernel_rule()))
    good = written(an_exception(until="2026-08-01T00:00:00Z"), SHOP, "one")
    bad = written(an_exception(until="2027-08-01T00:00:00Z"), SHOP, "one", generation=2)
    more = written(an_exception(until="2026-08-01T00:00:00Z"), SHOP, "two", created="2026-06-02T00:00:00Z")
    made = judged(policy, bad, more, good=[policy, good], limits=limits)
    assert verdict(made, "PolicyException", "one", SHOP).in_force == good
    assert verdict(made, "PolicyException", "two", SHOP).reason == Reason.OVER_QUOTA


def test_a_revision_kept_out_by_the_quota_is_still_kept():
    first, second = tenants("first", "second")
    made = judged(first, second, good=[first, second], limits=TenantLimits(policies=1))
    assert dict(made.good) == {first.key: first, second.key: second}


def test_judging_again_says_the_same_and_checks_nothing_anew():
    judge = Judge(TenantLimits())
    objects = [POLICY, written(an_exception()), written(a_list("a"))]
    first = judge.judge(objects, {}, NOW)
    second = judge.judge(objects, first.good, NOW)
    assert dataclasses.replace(second, number=first.number) == first
    assert all(one is other for one, other in zip(first.program.rules, second.program.rules, strict=True))


def test_a_tenant_may_say_which_nodes_by_their_labels_but_no_message_tells_them():
    selecting = a_policy(a_kernel_rule())
    selecting["spec"]["scope"] = {"nodeSelector": {"matchLabels": {"pool": "gpu"}}}
    telling = a_policy(a_kernel_rule(message="{node.labels.pool}"))
    assert verdict(judged(written(selecting, SHOP)), "RuntimePolicy", "k8s-pod-exec", SHOP).accepted
    assert "may not read node.labels" in verdict(judged(written(telling, SHOP)), "RuntimePolicy", "k8s-pod-exec", SHOP).message


def test_a_misspelt_exception_is_told_no_name_of_another_namespaces_policy():
    theirs = written(a_policy(a_kernel_rule()), "bank", "money-mover")
    for namespace, is_told in (("shop", False), ("bank", True), (ROOT, True)):
        misspelt = written(an_exception(policy="money-movr", until="2026-08-01T00:00:00Z"), namespace)
        message = verdict(judged(theirs, misspelt), "PolicyException", misspelt.key.name, namespace).message
        assert "there is no policy money-movr" in message
        assert ("money-mover" in message) == is_told, namespace
