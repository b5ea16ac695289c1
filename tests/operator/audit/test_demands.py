"""What a rule asks of the log is what it can't hold without."""

from __future__ import annotations

import pytest
from tests.support.events import a_policy, a_program

from watchkeeper_operator.audit.demands import demands


def demand(condition: str):
    (found,) = demands(a_program(a_policy(f'- name: r\n  "on": [audit.request]\n  when: |-\n    {condition}\n  severity: P3\n  message: m')))
    return found


@pytest.mark.parametrize(
    ("condition", "level"),
    {
        'audit.verb == "get"': "Metadata",
        'audit.requestObject.spec.x == "y"': "Request",
        "kubernetes.containers.exists(c, c.securityContext.privileged == true)": "Request",
        'audit.requestObject.spec.x.startsWith("y")': "Request",
        'size(audit.requestObject.items) > 3 && audit.verb == "get"': "Request",
        "has(audit.requestObject.spec.x)": "Request",
        "!has(audit.requestObject.spec.x)": "Metadata",
        'get(audit.requestObject.spec.x, "") != "y"': "Metadata",
        'audit.requestObject.spec.x == "y" || audit.verb == "get"': "Metadata",
        'audit.responseObject.spec.x == "y"': "RequestResponse",
        'kubernetes.command.join(" ").contains("nsenter")': "Metadata",
        'audit.annotations["audit.k8s.io/truncated"] == "true"': "Metadata",
    }.items(),
)
def test_the_level_is_the_least_at_which_the_condition_can_hold(condition, level):
    assert demand(condition).level == level


def test_what_is_asked_for_is_told_by_necessary_equalities():
    found = demand('audit.objectRef.resource in ["pods", "nodes"] && audit.objectRef.subresource == "exec" && audit.user.username.startsWith("system:node:")')
    assert (found.resources, found.subresources, found.users, found.verbs) == (("nodes", "pods"), ("exec",), ("system:node:*",), ())


def test_of_two_alternatives_neither_is_asked_for():
    assert demand('audit.objectRef.resource == "pods" || audit.verb == "get"').resources == ()


def test_each_step_of_a_sequence_asks_for_itself():
    step = '- name: {0}\n      "on": [audit.request]\n      when: audit.objectRef.resource == "{1}"\n      by: [identity.id]'
    rule = (
        "- name: r\n  sequence:\n    within: 1h\n    steps:\n    "
        + step.format("a", "pods")
        + "\n    "
        + step.format("b", "nodes")
        + "\n  severity: P3\n  message: m"
    )
    assert [one.resources for one in demands(a_program(a_policy(rule)))] == [("pods",), ("nodes",)]
