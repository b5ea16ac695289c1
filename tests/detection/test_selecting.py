"""Selectors of a policy's scope: what they leave out is not judged."""

import pytest
from tests.support.events import a_policy, a_program, an_event, errors_of

from watchkeeper_detection.engine import Engine

RULE = '- {name: started, "on": [process.exec], when: \'process.exe == "/bin/sh"\', severity: P3}\n'
STEPS = """
- name: pair
  sequence:
    within: 1m
    steps:
    - {name: first, "on": [process.exec], when: 'process.exe == "/bin/sh"', by: [pod.uid]}
    - {name: second, "on": [process.exec], when: 'process.exe == "/bin/nc"', by: [pod.uid]}
  severity: P3
"""
POD = {"pod.uid": "u", "pod.name": "web-1", "pod.namespace": "shop", "pod.labels": {"app": "web", "tier": "front"}}


def judged(scope, **fields):
    program = a_program(a_policy(RULE, spec=f"scope: {scope}\n"))
    return len(Engine(program).evaluate(an_event("process.exec", **{"process.exe": "/bin/sh", **fields})))


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("{podSelector: {}}", 1),
        ("{podSelector: {matchLabels: {app: web}}}", 1),
        ("{podSelector: {matchLabels: {app: web, tier: back}}}", 0),
        ("{podSelector: {matchLabels: {team: a}}}", 0),
        ("{podSelector: {matchExpressions: [{key: app, operator: In, values: [web, api]}]}}", 1),
        ("{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web, api]}]}}", 0),
        ("{podSelector: {matchExpressions: [{key: team, operator: NotIn, values: [a]}]}}", 1),
        ("{podSelector: {matchExpressions: [{key: tier, operator: Exists}]}}", 1),
        ("{podSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}}", 0),
        ("{nodeSelector: {matchLabels: {pool: a}}}", 0),
    ],
)
def test_labels_of_the_pod_decide(scope, expected):
    assert judged(scope, **POD) == expected


def test_what_belongs_to_no_pod_is_covered_by_no_selector_of_pods():
    assert judged("{podSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}}") == 0


def test_labels_of_the_node_decide():
    scope = "{nodeSelector: {matchLabels: {pool: a}}}"
    assert judged(scope, **{"node.name": "n", "node.labels": {"pool": "a"}}) == 1
    assert judged(scope, **{"node.name": "n", "node.labels": {"pool": "b"}}) == 0


@pytest.mark.parametrize(("app", "expected"), [("web", 1), ("api", 0)])
def test_every_step_of_a_sequence_is_asked(app, expected):
    program = a_program(a_policy(STEPS, spec="scope: {podSelector: {matchLabels: {app: web}}}\n"))
    engine = Engine(program)
    found = []
    for at, exe in enumerate(("/bin/sh", "/bin/nc")):
        found += engine.evaluate(an_event("process.exec", at=at + 1, **{**POD, "pod.labels": {"app": app}, "process.exe": exe}))
    assert len(found + engine.advance(10**12)) == expected


def test_a_selector_of_pods_over_events_that_have_none_is_an_error():
    rule = '- {name: asked, "on": [audit.request], when: audit.verb == "get", severity: P3}\n'
    errors = errors_of(a_policy(rule, spec="scope: {podSelector: {matchLabels: {app: web}}}\n"))
    assert "podSelector" in errors[0]
    assert "audit.request" in errors[0]


def test_a_rule_that_kills_can_not_wait_for_labels():
    errors = errors_of(a_policy(RULE.replace("severity: P3", "severity: P3, kill: true"), spec="scope: {podSelector: {matchLabels: {app: web}}}\n"))
    assert "pod.labels" in errors[0]
