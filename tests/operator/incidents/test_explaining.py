from __future__ import annotations

from functools import reduce

from tests.support.detections import a_detection

from watchkeeper_operator.incidents.explaining import judged, next_steps, title_of, togetherness
from watchkeeper_operator.incidents.shares import shares_of
from watchkeeper_operator.incidents.summary import Summary, merged, summary_of

ACCESS, EXECUTION, DISCOVERY = ("T1552",), ("T1609",), ("T1613",)


def a_summary(*fields: dict[str, object]) -> Summary:
    """Of one detection for each."""
    detections = [a_detection(line=number, at=number, **one) for number, one in enumerate(fields, 1)]
    return reduce(merged, [summary_of(one, shares_of(one)) for one in detections])


def test_severity_is_that_of_the_gravest_and_says_so() -> None:
    verdict = judged(a_summary({"severity": "P3"}, {"severity": "P2", "policy": "root-shell", "rule": "shell"}))
    assert verdict.severity == "P2"
    assert verdict.because == "P2 (look today): the gravest detection is watchkeeper/root-shell shell, P2 with medium confidence."


def test_several_rules_that_see_several_aims_are_one_step_graver() -> None:
    verdict = judged(a_summary(*({"attack": attack, "rule": f"rule-{number}"} for number, attack in enumerate((ACCESS, EXECUTION, DISCOVERY)))))
    assert verdict.severity == "P2"
    assert "3 rules saw 3 aims of an attacker (Execution, Credential Access and Discovery)" in verdict.because


def test_what_one_installation_shows_is_one_aim() -> None:
    shown = (("T1611", "T1610"), ("T1136",), ("T1685", "T1036.005"), ("T1610", "T1525"))
    sides = ({"attack": attack, "rule": f"rule-{number}", "confidence": "high"} for number, attack in enumerate(shown))
    assert judged(a_summary(*sides)).severity == "P3"


def test_an_installation_that_goes_on_to_look_around_and_take_secrets_is_graver() -> None:
    steps = ({"attack": attack, "rule": f"rule-{number}"} for number, attack in enumerate((("T1611",), ACCESS, DISCOVERY)))
    verdict = judged(a_summary(*steps))
    assert verdict.severity == "P2"
    assert "3 rules saw 3 aims of an attacker (Deploying, Credential Access and Discovery)" in verdict.because


def test_the_same_aims_of_a_program_or_in_a_cloud_are_as_many() -> None:
    aims = (("T1611",), ("T1136",), ("T1685",))
    assert judged(a_summary(*({"attack": attack, "rule": f"rule-{n}", "kind": "aws.api"} for n, attack in enumerate(aims)))).severity == "P2"


def test_one_act_that_three_rules_see_is_not_graver() -> None:
    sides = ({"attack": (*EXECUTION, *ACCESS, *DISCOVERY), "rule": f"rule-{number}"} for number in range(3))
    assert judged(a_summary(*sides)).severity == "P3"


def test_one_rule_that_names_many_aims_is_not_graver() -> None:
    assert judged(a_summary(*({"attack": (*ACCESS, *EXECUTION, *DISCOVERY)} for _ in range(5)))).severity == "P3"


def test_rules_without_confidence_make_nothing_graver() -> None:
    shaky = ({"attack": attack, "rule": f"rule-{number}", "confidence": "low"} for number, attack in enumerate((ACCESS, EXECUTION, DISCOVERY)))
    assert judged(a_summary(*shaky)).severity == "P3"


def test_nothing_is_graver_than_gravest() -> None:
    grave = ({"attack": attack, "rule": f"rule-{number}", "severity": "P1"} for number, attack in enumerate((ACCESS, EXECUTION, DISCOVERY)))
    assert judged(a_summary(*grave)).severity == "P1"


def test_it_is_said_why_detections_belong_together() -> None:
    words = togetherness(a_summary({}, {}, {"target": "namespaces/shop/pods/web"}, {"target": "namespaces/shop/pods/web", "identity": "bob"}))
    assert words.startswith("These 4 detections within 3 s belong together: 3 of them share identity alice and 2 of them share workload shop/web")


def test_one_detection_is_one_detection() -> None:
    assert togetherness(a_summary({})) == "It is one detection."


def test_the_title_is_of_the_gravest_and_counts_the_others() -> None:
    summary = a_summary({}, {"severity": "P1", "rule": "escape", "title": "Container left", "identity": "bob"}, {"rule": "third"})
    assert title_of(summary) == "Container left: bob and 2 more"


def test_next_steps_are_the_runbooks_of_the_gravest_first_each_once() -> None:
    summary = a_summary(
        {"policy": "a", "runbook": "look"}, {"policy": "b", "severity": "P1", "runbook": "call\n\n  somebody"}, {"policy": "a", "runbook": "look"}
    )
    assert next_steps(summary) == ["watchkeeper/b: call\n  somebody", "watchkeeper/a: look"]
