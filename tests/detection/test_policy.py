"""What a policy may say: every object of the table, then what the models add to what is written."""

import json

import pytest
from tests.support.policy_objects import ACCEPTED, REFUSED, a_list, a_policy, a_rule, a_sequence, an_exception

from watchkeeper_detection.policy import PolicyError, RuntimePolicy, nanoseconds
from watchkeeper_detection.policy_loading import load_policies


def loaded(*objects):
    return load_policies("\n---\n".join(json.dumps(thing) for thing in objects), "policy.yaml")


def only(thing):
    documents, errors = loaded(thing)
    assert errors == []
    return documents[0].object


@pytest.mark.parametrize("sentence", ACCEPTED)
def test_accepts(sentence):
    documents, errors = loaded(ACCEPTED[sentence])
    assert [str(error) for error in errors] == []
    assert len(documents) == 1


@pytest.mark.parametrize("sentence", REFUSED)
def test_refuses(sentence):
    thing, words = REFUSED[sentence]
    documents, errors = loaded(thing)
    assert documents == []
    assert words in "\n".join(str(error) for error in errors)


@pytest.mark.parametrize("sentence", [sentence for sentence, (_, words) in REFUSED.items() if "has no value" not in words])
def test_a_model_made_without_the_loader_refuses_the_same(sentence):
    thing, _ = REFUSED[sentence]
    if thing["kind"] == "RuntimePolicy":
        with pytest.raises(ValueError, match=r"validation error"):
            RuntimePolicy.model_validate(thing)


def test_every_error_of_every_object_is_reported_at_once_with_its_place():
    first = a_policy(a_rule(severity="P0", when=None), a_rule(name="other", attack=["T1"], kill=True, threshold={"count": 0, "within": "1m"}))
    second = a_list("a", "a") | {"metadata": {"name": "agents"}}
    third = an_exception(policy=None, override={"mode": "Off"})
    assert [(error.policy, error.rule, error.path) for error in loaded(first, second, third).errors] == [
        ("k8s-pod-exec", "exec-in-pod", "spec.rules[exec-in-pod].severity"),
        ("k8s-pod-exec", "other", "spec.rules[other].threshold.count"),
        ("k8s-pod-exec", "other", "spec.rules[other].attack[0]"),
        ("k8s-pod-exec", "exec-in-pod", "spec.rules[exec-in-pod]"),
        ("k8s-pod-exec", "other", "spec.rules[other]"),
        ("agents", "", "spec.values[1]"),
        ("backup", "", "spec.policy"),
        ("backup", "", "spec.override.mode"),
        ("backup", "", "spec"),
    ]


def test_an_error_reads_as_a_sentence():
    error = PolicyError(
        "k8s-pod-exec", "exec-in-pod", "spec.rules[exec-in-pod].severity", "'P0' is not one of P1, P2, P3, P4", "did you mean 'P1'?", "a.yaml", 11
    )
    assert str(error) == "k8s-pod-exec / exec-in-pod at spec.rules[exec-in-pod].severity: 'P0' is not one of P1, P2, P3, P4 (did you mean 'P1'?) [a.yaml:11]"


def test_an_error_without_policy_or_line_reads_as_a_sentence_too():
    assert str(PolicyError("", "", "", "is not YAML", None, "a.yaml")) == "is not YAML [a.yaml]"


def test_an_error_never_carries_control_characters_to_a_terminal():
    errors = loaded(a_policy(a_rule(name="\x1b]0;owned\x07", severity="\x1b[2J"))).errors
    assert len(errors) == 2
    assert all(str(error).isprintable() for error in errors)


def test_what_is_left_out_has_its_default():
    policy = only(a_policy(a_rule(firstSeen={"of": ["x"]})))
    rule = policy.spec.rules[0]
    assert (policy.spec.mode, policy.spec.enabled, policy.spec.status, policy.namespace) == ("Detect", True, "stable", "watchkeeper")
    assert (rule.confidence, rule.kill, rule.unless, rule.first_seen.learn_ns) == ("medium", False, (), 14 * 86_400 * 10**9)


def test_a_rule_without_title_has_the_policys():
    policy = only(a_policy(a_rule(), a_rule(name="b", title="Own")))
    assert [policy.title_of(rule) for rule in policy.spec.rules] == ["Command run in a pod", "Own"]


@pytest.mark.parametrize(
    ("rule", "spec", "scope"),
    [
        (a_rule(severity="P1"), {}, "RootOnly"),
        (a_rule(severity="P2"), {}, "RootOnly"),
        (a_rule(severity="P3"), {}, "Namespaces"),
        (a_rule(severity="P4", kill=True), {}, "RootOnly"),
        (a_rule(severity="P1"), {"exceptions": "Namespaces"}, "Namespaces"),
        (a_rule(severity="P4"), {"exceptions": "RootOnly"}, "RootOnly"),
    ],
)
def test_exceptions_of_namespaces_count_for_lesser_rules_unless_the_policy_says_otherwise(rule, spec, scope):
    policy = only(a_policy(rule, **spec))
    assert policy.exceptions_of(policy.spec.rules[0]) == scope


def test_a_sequences_steps_keep_their_order():
    sequence = only(a_policy(a_sequence())).spec.rules[0].sequence
    assert [step.name for step in sequence.steps] == ["read", "call"]
    assert sequence.ordered
    assert sequence.within_ns == 600 * 10**9


@pytest.mark.parametrize(("text", "expected"), [("30s", 30 * 10**9), ("5m", 300 * 10**9), ("2h", 7_200 * 10**9), ("14d", 1_209_600 * 10**9)])
def test_durations_in_nanoseconds(text, expected):
    assert nanoseconds(text) == expected


def test_the_longest_duration_fits_in_64_bits():
    assert nanoseconds("99999d") < 2**63


def test_an_exception_ends_at_the_moment_it_names():
    assert only(an_exception(until="2000-01-02T00:00:01Z")).spec.until_ns == 946_771_201 * 10**9
    assert only(an_exception()).spec.until_ns == 0


def test_an_exception_until_a_day_that_is_not_on_the_calendar_is_refused():
    errors = loaded(an_exception(until="2026-02-30T00:00:00Z")).errors
    assert [error.reason for error in errors] == ["'2026-02-30T00:00:00Z' is not on the calendar"]


def test_a_lists_name_in_conditions_has_underscores():
    assert only(a_list("x")).cel_name == "mining_pools"


def test_metadata_that_the_api_server_adds_is_passed_over_and_a_typing_error_is_not():
    assert only(a_policy() | {"metadata": {"name": "a", "uid": "1", "resourceVersion": "7", "managedFields": [{"manager": "kubectl"}]}}).name == "a"
    assert [error.hint for error in loaded(a_policy() | {"metadata": {"name": "a", "namspace": "b"}}).errors] == ["did you mean 'namespace'?"]
