"""Where windows live: on the node when every key is bound to it."""

import json

import pytest
from tests.support.policy_objects import a_policy, a_rule, a_sequence, a_step

from watchkeeper_detection.checking import check_policies
from watchkeeper_detection.joining import spanning
from watchkeeper_detection.policy_loading import load_policies

EXEC = {"on": ["process.exec"], "when": "process.uid == 0"}


def spans(rule):
    checked = check_policies(load_policies(json.dumps(a_policy(rule)).encode(), "policy.json").documents)
    assert not checked.errors
    return spanning(checked.program) == {one.state_key for one in checked.program.rules}


def a_threshold(*by):
    return a_rule(**EXEC, threshold={"count": 3, "within": "5m", "by": list(by)})


@pytest.mark.parametrize(
    ("rule", "does"),
    [
        (a_rule(**EXEC), False),
        (a_threshold("process.uid"), False),
        (a_threshold("container.id", "node.name"), False),
        (a_threshold("pod.uid", "identity.id"), True),
        (a_threshold("identity.id"), True),
        (a_rule(**EXEC, suppress={"by": ["container.image_digest"], "for": "1h"}), False),
        (a_rule(**EXEC, suppress={"by": ["identity.id"], "for": "1h"}), True),
        (a_rule(on=None, when=None, sequence=a_sequence(a_step("one", **EXEC, by=["node.name"]), a_step("two", **EXEC, by=["identity.id"]))), True),
    ],
    ids=[
        "a plain rule",
        "of a process",
        "of a container",
        "of an identity as well",
        "of an identity",
        "quiet by container",
        "quiet by identity",
        "one step elsewhere",
    ],
)
def test_windows_span_nodes_when_a_key_does(rule, does):
    assert spans(rule) is does
