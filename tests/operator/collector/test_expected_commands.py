"""What a kubelet itself runs in a pod's containers is known word by word, as it runs it."""

from __future__ import annotations

import msgspec
import pytest

from watchkeeper_operator.collector.expected_commands import COMMANDS, Container, expanded, expected


def commands(*containers: dict) -> list[list[str]]:
    return [command.split("\x1f") for command in expected(msgspec.convert(containers, tuple[Container, ...]))]


def test_probes_and_hooks_of_all_containers_are_expected():
    first = {
        "name": "web",
        "livenessProbe": {"exec": {"command": ["cat", "/tmp/a b"]}, "periodSeconds": 5},
        "readinessProbe": {"httpGet": {"path": "/"}},
        "lifecycle": {"postStart": {"exec": {"command": ["/hook", "start"]}}, "preStop": {"sleep": {"seconds": 5}}},
    }
    second = {"name": "db", "startupProbe": {"exec": {"command": ["pg_isready"]}}}
    assert commands(first, second) == [["/hook", "start"], ["cat", "/tmp/a b"], ["pg_isready"]]


def test_a_probes_words_are_expanded_and_a_hooks_are_not():
    env = [{"name": "PORT", "value": "80"}, {"name": "SECRET", "valueFrom": {}}]
    probe, hook = {"exec": {"command": ["nc", "-z", "$(PORT)"]}}, {"postStart": {"exec": {"command": ["echo", "$(PORT)"]}}}
    assert commands({"env": env, "livenessProbe": probe, "lifecycle": hook}) == [["echo", "$(PORT)"], ["nc", "-z", "80"]]


@pytest.mark.parametrize(("word", "value"), [("$(A)", "1"), ("$$(A)", "$(A)"), ("x$(A)$(A)", "x11"), ("$(B)", "$(B)"), ("$A", "$A"), ("$(A", "$(A")])
def test_references_are_expanded_as_a_kubelet_does(word, value):
    assert expanded(word, {"A": "1"}) == value


def test_what_is_expected_is_bounded():
    many = [{"livenessProbe": {"exec": {"command": [f"probe-{number}"]}}} for number in range(COMMANDS + 5)]
    assert len(commands(*many)) == COMMANDS
    assert commands({"livenessProbe": {"exec": {"command": ["x" * 3000]}}}) == []
