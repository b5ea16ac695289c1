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
    {
        "a plain rule": (a_rule(**EXEC), False),
        "of a process": (a_threshold("process.uid"), False),
        "of a container": (a_threshold("container.id", "node.name"), False),
        "of a pod, and of an identity in it": (a_threshold("pod.uid", "identity.id"), False),
        "of a process, and of whom it talks to": (a_threshold("process.id", "process.exe", "identity.id"), False),
        "of an identity": (a_threshold("identity.id"), True),
        "of a namespace, whose pods are on many nodes": (a_threshold("pod.namespace"), True),
        "of a program and a namespace": (a_threshold("process.exe", "pod.namespace"), True),
        "of what is made of a container's id": (a_threshold('container.id.startsWith("a") ? "a" : "b"'), False),
        "of nothing": (a_threshold(), True),
        "quiet by container": (a_rule(**EXEC, suppress={"by": ["container.image_digest"], "for": "1h"}), False),
        "quiet by identity, on each node by itself": (a_rule(**EXEC, suppress={"by": ["identity.id"], "for": "1h"}), False),
        "counted here, quiet by identity": (
            a_rule(**EXEC, threshold={"count": 3, "within": "5m", "by": ["container.id"]}, suppress={"by": ["identity.id"], "for": "1h"}),
            True,
        ),
        "one step elsewhere": (
            a_rule(on=None, when=None, sequence=a_sequence(a_step("one", **EXEC, by=["node.name"]), a_step("two", **EXEC, by=["identity.id"]))),
            True,
        ),
    }.values(),
)
def test_windows_span_nodes_when_things_with_the_same_keys_can_be_on_several(rule, does):
    assert spans(rule) is does
