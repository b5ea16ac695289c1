"""Every policy of the library fires and stays quiet as its cases say, and Kubernetes cases do so in every provider's shape."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import msgspec
import pytest

from tests.support import shapes
from watchkeeper_cli.cases import CaseJudge, cases_beside
from watchkeeper_cli.policy_set import library, load_set, read_files
from watchkeeper_detection.checking import check_policies

POLICIES = {path.stem: path for path in sorted(library().rglob("*.yaml")) if path.parent.name != "lists"}
SHAPES = {
    "EventList": lambda events: [shapes.event_list(*events)],
    "v1beta1": lambda events: [shapes.v1beta1(event) for event in events],
    "EKS subscription": lambda events: [shapes.eks_subscription(*events)],
    "EKS export": lambda events: [shapes.eks_export(event) for event in events],
    "AKS diagnostics": lambda events: [shapes.aks_diagnostics(event) for event in events],
}


@cache
def lists():
    return load_set(read_files([library() / "lists"])).documents


@cache
def judge_of(policy: str) -> CaseJudge:
    loaded = load_set(read_files([POLICIES[policy]]))
    checked = check_policies([*lists(), *loaded.documents])
    assert [str(error) for error in (*loaded.errors, *checked.errors)] == []
    return CaseJudge(checked.program)


def is_native(record: object) -> bool:
    return isinstance(record, dict) and record.get("kind") == "Event" and record.get("apiVersion") == "audit.k8s.io/v1" and "objectRef" in record


def native_cases(policy: str):
    return [(expectation, case) for expectation, case in cases_beside(POLICIES[policy]) if case.events and all(map(is_native, [*case.events, *case.learned]))]


def rules_held(policy: str, case, expectation) -> Counter[str]:
    return Counter(detection.rule for detection in judge_of(policy).outcome(case, expectation).detections)


@pytest.mark.parametrize("policy", POLICIES)
def test_fires_and_stays_quiet_as_its_cases_say(policy):
    cases = cases_beside(POLICIES[policy])
    assert {expectation for expectation, _ in cases} == {"fires", "quiet"}
    outcomes = [judge_of(policy).outcome(case, expectation) for expectation, case in cases]
    assert [f"{one.expectation}: {one.case.case}: {one.problem}" for one in outcomes if one.problem] == []


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if native_cases(policy)])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_rules_hold_in_every_shape_that_providers_deliver(policy, shape):
    wrap = SHAPES[shape]
    differing = []
    for expectation, case in native_cases(policy):
        wrapped = msgspec.structs.replace(case, events=wrap(case.events), learned=wrap(case.learned) if case.learned else [], source=None)
        native, delivered = rules_held(policy, case, expectation), rules_held(policy, wrapped, expectation)
        if native != delivered:
            differing.append(f"{case.case}: {dict(native)} natively, {dict(delivered)} in this shape")
    assert differing == []
