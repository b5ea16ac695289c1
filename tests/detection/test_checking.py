import pytest
from tests.support.events import a_policy, a_program, an_event, errors_of

from watchkeeper_detection.checking import check_policies
from watchkeeper_detection.engine import Engine
from watchkeeper_detection.policy_loading import load_policies, salvage
from watchkeeper_detection.program import decode, encode

RULE = """
- name: deleted
  "on": [audit.request]
  when: audit.verb == "delete"
  severity: P3
  message: "{identity.id} deleted {audit.objectRef.name}"
"""
STEPS = """
- name: pair
  sequence:
    within: 1m
    steps:
    - {name: first, "on": [audit.request], when: 'audit.verb == "get"', by: [identity.id]}
    - {name: second, "on": [audit.request], when: 'audit.verb == "delete" && audit.objectRef.name == first.audit.objectRef.name', by: [identity.id]}
  severity: P3
"""


@pytest.mark.parametrize(
    ("sentence", "text", "expected"),
    [
        ("an unknown field names the nearest one", a_policy(RULE.replace("audit.verb", "audit.verbs")), ["audit.verb"]),
        ("an unknown kind names the nearest one", a_policy(RULE.replace("audit.request]", "audit.requests]")), ["audit.request"]),
        ("a condition that is no condition", a_policy(RULE.replace('audit.verb == "delete"', "audit.verb")), ["bool"]),
        ("text compared with a number", a_policy(RULE.replace('"delete"', "3")), ["string == int", "quotes"]),
        ("a field of another kind of event", a_policy(RULE.replace("audit.verb ==", "cloudtrail.eventName ==")), ["cloudtrail", "audit.request"]),
        (
            "a message that names an unknown field",
            a_policy(RULE.replace("{audit.objectRef.name}", "{audit.objectRef.nam}")),
            ["message", "audit.objectRef.name"],
        ),
        ("a list that nobody wrote", a_policy(RULE.replace('== "delete"', "in lists.verbs")), ["verbs"]),
        ("kill on what the kernel can't decide", a_policy(RULE + "  kill: true\n"), ["kill", "audit.verb", "KillProcess"]),
        (
            "a policy of a namespace that reads the audit log",
            a_policy(RULE).replace("{name: policy}", "{name: policy, namespace: shop}"),
            ["shop", "watchkeeper"],
        ),
        (
            "a policy of a namespace that reads the cluster's grants",
            a_policy('\n- {name: granted, "on": [rbac.grant], when: "true", severity: P3}\n').replace("{name: policy}", "{name: policy, namespace: shop}"),
            ["rbac.grant", "watchkeeper"],
        ),
        (
            "a response to a step that no sequence has",
            a_policy(STEPS, spec='respond: [{when: "true", action: IsolatePod, target: frist}]\n'),
            ["respond", "frist", "first"],
        ),
        (
            "a response to a severity that is a number",
            a_policy(RULE, spec="respond: [{when: severity == 1, action: IsolatePod, target: actor.pod}]\n"),
            ["respond", "string == int"],
        ),
        ("a step that is called like a field", a_policy(STEPS.replace("first", "audit")), ["audit"]),
    ],
)
def test_what_is_wrong_is_named_with_what_was_meant(sentence, text, expected):
    errors = errors_of(text)
    assert errors, sentence
    assert all(any(part in error for error in errors) for part in expected), errors


def test_all_errors_of_all_policies_are_told_at_once():
    wrong = RULE.replace("audit.verb ==", "audit.verbs ==").replace("{identity.id}", "{identity.ids}")
    errors = errors_of(a_policy(wrong, name="one"), a_policy(wrong, name="two"))
    assert len(errors) == 4
    assert {error.split(" ")[0] for error in errors} == {"one", "two"}


def test_a_wrong_rule_does_not_hold_up_the_others():
    text = a_policy(RULE + RULE.replace("deleted\n", "wrong\n").replace("audit.verb", "audit.verbs"))
    checked = check_policies(load_policies(text, "test.yaml").documents)
    assert [rule.rule for rule in checked.program.rules] == ["deleted"]
    assert len(checked.errors) == 1


def test_an_exception_for_a_policy_or_rule_that_is_not_there_is_an_error():
    exception = """
apiVersion: watchkeeper.dev/v1alpha1
kind: PolicyException
metadata: {name: accepted}
spec: {policy: %s, rules: [%s], when: 'identity.id == "robot"', reason: it is the robot, owner: platform}
"""
    assert "did you mean policy?" in errors_of(a_policy(RULE), exception % ("polcy", "deleted"))[0]
    assert "did you mean deleted?" in errors_of(a_policy(RULE), exception % ("policy", "delete"))[0]
    assert errors_of(a_policy(RULE), exception % ("policy", "deleted")) == []


def test_a_list_of_the_users_replaces_the_shipped_one_of_its_name():
    listed = "apiVersion: watchkeeper.dev/v1alpha1\nkind: PolicyList\nmetadata: {name: odd-verbs}\nspec: {description: verbs, values: [%s]}\n"
    program = a_program(a_policy(RULE.replace('== "delete"', "in lists.odd_verbs")), listed % "delete", listed % "patch")
    assert program.lists == {"odd_verbs": ("patch",)}


def test_a_step_keeps_just_the_fields_that_are_read_later():
    (rule,) = a_program(a_policy(STEPS)).rules
    assert [[path for path, _ in step.keep] for step in rule.sequence.steps] == [["audit.objectRef.name"], ["audit.objectRef.name"]]
    assert rule.sequence.steps[1].joined
    assert rule.sequence.steps[1].when is not None


def test_a_program_survives_the_wire_and_another_version_is_refused():
    program = a_program(a_policy(RULE), a_policy(STEPS, name="other"))
    assert decode(encode(program)) == program
    assert decode(encode(program)[:-1]) is None
    assert decode(b"\x93\x01\x02\x03") is None


def test_an_override_changes_severity_and_threshold_and_may_switch_off():
    override = """
apiVersion: watchkeeper.dev/v1alpha1
kind: PolicyException
metadata: {name: tuned}
spec: {policy: policy, override: %s, reason: tuned, owner: platform}
"""
    burst = RULE + "  threshold: {count: 3, within: 1m}\n"
    (rule,) = a_program(a_policy(burst), override % "{severity: P1, threshold: {count: 9}}").rules
    assert (rule.severity, rule.threshold.count, rule.threshold.within_ns) == ("P1", 9, 60 * 10**9)
    assert a_program(a_policy(burst), override % "{enabled: false}").rules == ()


def test_both_spellings_of_a_technique_are_put_out_where_v18_had_another_id():
    (rule,) = a_program(a_policy(RULE + '  attack: ["T1685"]\n')).rules
    assert rule.attack[0] == "T1685"
    assert any(technique.startswith("T1562") for technique in rule.attack)


FRIENDS = """
- name: deleted
  "on": [process.exec]
  when: '!(identity.id in lists.friends)'
  severity: P3
"""
OF_SHOP = "{name: policy, namespace: shop}"


def a_list(*values, namespace="watchkeeper"):
    return f"apiVersion: watchkeeper.dev/v1alpha1\nkind: PolicyList\nmetadata: {{name: friends, namespace: {namespace}}}\nspec: {{values: [{', '.join(values)}]}}\n"


def an_exception(spec, *, namespace="shop"):
    head = f"apiVersion: watchkeeper.dev/v1alpha1\nkind: PolicyException\nmetadata: {{name: accepted, namespace: {namespace}}}\n"
    return head + f"spec: {{policy: policy, {spec}, reason: known, owner: us}}\n"


def fires(program, **fields):
    return [one.rule for one in Engine(program).evaluate(an_event(fields.pop("kind", "process.exec"), **fields))]


def test_a_policy_of_root_reads_roots_lists_only():
    policy = a_policy(FRIENDS)
    assert errors_of(policy, a_list("mallory", namespace="shop"))
    program = a_program(policy, a_list("alice"), a_list("mallory", namespace="shop"))
    assert fires(program, identity_id="mallory") == ["deleted"]
    assert fires(program, identity_id="alice") == []


def test_a_policy_of_a_namespace_reads_its_own_lists_before_roots():
    policy = a_policy(FRIENDS).replace("{name: policy}", OF_SHOP)
    program = a_program(policy, a_list("alice"), a_list("carol", namespace="shop"), a_list("mallory", namespace="bank"))
    assert [who for who in ("alice", "carol", "mallory") if not fires(program, identity_id=who, target_namespace="shop")] == ["carol"]
    assert fires(a_program(policy, a_list("alice")), identity_id="alice", target_namespace="shop") == []


def test_policies_of_two_namespaces_may_have_one_name():
    program = a_program(a_policy(FRIENDS), a_policy(FRIENDS).replace("{name: policy}", OF_SHOP), a_list("alice"))
    assert {rule.namespace for rule in program.rules} == {"watchkeeper", "shop"}


def test_an_exception_of_a_namespace_covers_its_own_workloads_only():
    exception = an_exception('when: "true", until: "2099-01-01T00:00:00Z"')
    for kind, condition in (("audit.request", 'audit.verb == "delete"'), ("process.exec", "identity.id == 'alice'")):
        rule = RULE.replace('audit.verb == "delete"', condition).replace("audit.request", kind).replace("{audit.objectRef.name}", "it")
        program = a_program(a_policy(rule), exception)
        told = {"kind": kind, "identity_id": "alice"} | ({"audit_verb": "delete"} if kind == "audit.request" else {})
        assert fires(program, **told, target_namespace="shop") == []
        assert fires(program, **told, target_namespace="bank") == ["deleted"]
        assert fires(program, **told) == ["deleted"]
    assert fires(program, **told, target_namespace="shop", pod_namespace="bank") == ["deleted"]
    assert fires(program, **told, target_namespace="bank", pod_namespace="shop") == []


@pytest.mark.parametrize(
    ("sentence", "rule", "spec", "expected"),
    [
        (
            "a grave rule takes exceptions of root only",
            RULE.replace("P3", "P1"),
            "when: 'true', until: '2099-01-01T00:00:00Z'",
            "from namespace watchkeeper only",
        ),
        ("settings are changed in root only", RULE, "override: {enabled: false}", "changes settings"),
        ("outside root an exception ends", RULE, "when: 'true'", "needs an end"),
    ],
)
def test_what_an_exception_of_a_namespace_may_not_do_has_no_effect(sentence, rule, spec, expected):
    checked = check_policies([one for text in (a_policy(rule), an_exception(spec)) for one in load_policies(text, "test.yaml").documents])
    (error,) = checked.errors
    assert expected in str(error), sentence
    assert fires(checked.program, kind="audit.request", audit_verb="delete", target_namespace="shop") == ["deleted"]


@pytest.mark.parametrize(
    "wrong",
    [
        RULE.replace("P3", "P9"),
        RULE.replace('  message: "{identity.id} deleted {audit.objectRef.name}"\n', "  mesage: hello\n"),
        RULE + "- name: nothing-else\n  severity: P3\n",
        "- 7\n" + RULE,
    ],
)
def test_a_wrong_shape_does_not_hide_a_wrong_condition(wrong):
    errors = errors_of(a_policy(wrong.replace("audit.verb", "audit.verbs")))
    assert any("audit.verbs" in error and "spec.rules[deleted].when" in error for error in errors), errors
    assert any("audit.verbs" not in error for error in errors), errors


def test_what_is_left_of_a_policy_with_errors_is_never_in_force():
    text = a_policy(RULE + "- name: nothing-else\n  severity: P3\n")
    assert load_policies(text, "test.yaml").documents == []
    (rest,) = salvage(text, "test.yaml")
    assert check_policies([rest]).program.rules == ()
    assert check_policies([rest]).errors == ()
