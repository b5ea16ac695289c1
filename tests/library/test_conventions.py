"""What policies for hosts and containers have in common, so that a reader who knows one knows them all."""

from __future__ import annotations

import re
from functools import cache

import pytest

from watchkeeper_cli.policy_set import library, library_program
from watchkeeper_detection.cel.requirements import conjuncts
from watchkeeper_detection.cel.spelling import spell
from watchkeeper_detection.policy_loading import load_policies

POLICIES = {path.stem: path for path in sorted(library().rglob("*.yaml")) if path.stem.startswith(("linux-", "container-")) and path.parent.name != "lists"}
HEADINGS = ["What it means:", "What to check:", "How to contain:", "How to tune:"]
WITHOUT_A_PROCESS = {"container.start", "bpf.discovered", "sensor.stopped", "sensor.lost", "sensor.tampered"}
PROCESS = re.compile(r"process\.(parent\.|)(exe|command_line)$")


@cache
def spec_of(policy: str):
    (document,) = load_policies(POLICIES[policy].read_bytes(), policy).documents
    return document.object.spec


@cache
def program():
    return library_program()


def rules_of(policy: str):
    return [rule for rule in program().rules if rule.policy == policy]


def paths_of(rule):
    return [word.path for word in rule.message if word.path]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_runbook_says_what_it_means_what_to_check_and_how_to_contain_and_tune(policy):
    lines = (spec_of(policy).runbook or "").splitlines()
    assert [next((heading for heading in HEADINGS if line.startswith(heading)), line) for line in lines] == HEADINGS


@pytest.mark.parametrize("policy", POLICIES)
def test_a_message_names_the_process_and_the_container_of_a_rule_for_containers(policy):
    for rule in rules_of(policy):
        paths = paths_of(rule)
        if not WITHOUT_A_PROCESS.intersection(rule.kinds):
            assert any(PROCESS.search(path) for path in paths), f"{rule.name} names no process"
        conditions = [rule.when] if rule.when is not None else [step.when for step in rule.sequence.steps]
        if any(spell(part) == "has(container.id)" for condition in conditions for part in conjuncts(condition)):
            assert any(path.endswith("container.name") for path in paths), f"{rule.name} names no container"


@pytest.mark.parametrize("policy", POLICIES)
def test_what_pages_somebody_is_not_a_guess(policy):
    assert [rule.name for rule in rules_of(policy) if rule.severity == "P1" and rule.confidence == "low"] == []
