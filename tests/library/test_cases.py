"""Every policy of the library fires and stays quiet as its cases say, and Kubernetes cases do so in every provider's shape."""

from __future__ import annotations

from collections import Counter
from functools import cache

import msgspec
import pytest
from tests.support import shapes

from watchkeeper_cli.cases import CaseJudge, cases_beside
from watchkeeper_cli.policy_set import library, load_set, read_files
from watchkeeper_detection.cel import tree
from watchkeeper_detection.checking import check_policies

POLICIES = {path.stem: path for path in sorted(library().rglob("*.yaml")) if path.parent.name != "lists"}
SHAPES = {
    "EventList": lambda events: [shapes.event_list(*events)],
    "v1beta1": lambda events: [shapes.v1beta1(event) for event in events],
    "EKS subscription": lambda events: [shapes.eks_subscription(*events)],
    "EKS export": lambda events: [shapes.eks_export(event) for event in events],
    "AKS diagnostics": lambda events: [shapes.aks_diagnostics(event) for event in events],
    "AKS diagnostics as objects": lambda events: [shapes.aks_as_objects(event) for event in events],
    "AKSAudit": lambda events: [shapes.aks_row(event) for event in events],
    "AKSAudit as text": lambda events: [shapes.aks_row(event, text=True) for event in events],
    "AzureDiagnostics": lambda events: [shapes.azure_diagnostics_row(event) for event in events],
    "Docker": lambda events: [shapes.docker_line(event) for event in events],
}
WRAPPED = {"auditID", "objectRef", "requestReceivedTimestamp", "stageTimestamp"}
NOT_IN_GKE = {
    *("audit.requestURI", "audit.user.groups", "audit.user.uid", "audit.user.extra"),
    *("audit.impersonatedUser.username", "audit.impersonatedUser.groups", "audit.impersonatedUser.uid"),
    *("kubernetes.command", "kubernetes.pod_name", "kubernetes.pod_uid", "kubernetes.node_name", "kubernetes.credential_id"),
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
    """Whether the record is a native audit event that has all that its wrappings name."""
    return isinstance(record, dict) and record.get("apiVersion") == "audit.k8s.io/v1" and record.keys() >= WRAPPED


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


def asked_fields(rule):
    """Fields of the rule's conditions and keys: all that it needs to hold, guards left out."""
    nodes = [rule.when, *(step.when for step in rule.sequence.steps)] if rule.sequence else [rule.when]
    for part in (rule.threshold, rule.first_seen, rule.suppress):
        nodes += [*getattr(part, "by", ()), *getattr(part, "of", ()), *getattr(part, "per", ()), getattr(part, "distinct", None)]
    return {node.path for root in nodes if root is not None for node in tree.walk(root) if isinstance(node, tree.Field)}


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if native_cases(policy)])
def test_rules_that_ask_nothing_that_gke_leaves_out_hold_on_gke_too(policy):
    rules = {rule.rule: rule for rule in judge_of(policy).program.rules}
    comparable = {name for name, rule in rules.items() if NOT_IN_GKE.isdisjoint(asked_fields(rule))}
    unguarded = {name for name in comparable if NOT_IN_GKE.isdisjoint(rules[name].reads)}
    differing = []
    for expectation, case in native_cases(policy):
        learned = [shapes.gke_entry(event) for event in case.learned]
        wrapped = msgspec.structs.replace(case, events=[shapes.gke_entry(event) for event in case.events], learned=learned, source=None)
        native, delivered = rules_held(policy, case, expectation), rules_held(policy, wrapped, expectation)
        lost, gained = set(native - delivered) & comparable, set(delivered - native) & unguarded
        if lost or gained:
            differing.append(f"{case.case}: lost {sorted(lost)}, gained {sorted(gained)}")
    assert differing == []
