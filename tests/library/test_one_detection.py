"""One event of a host raises one detection, the best one; what joins several events may speak besides."""

from __future__ import annotations

import pytest

from watchkeeper_cli.cases import CaseJudge, cases_beside
from watchkeeper_cli.policy_set import library, library_program

POLICIES = {path.stem: path for path in sorted(library().rglob("*.yaml")) if path.stem.startswith(("linux-", "container-")) and path.parent.name != "lists"}
RECORDS = {
    "linux-exec-from-temporary-folder/temporary-folder",
    "linux-system-user-interactive/shell",
    "linux-hidden-file/in-a-temporary-folder",
    "exec-past-audit/entered",
    "exec-past-audit/entered-unknown-pod",
}
"""P4, said of where a program lies, as whom it runs or where it came from, whatever else its name and arguments say."""


@pytest.fixture(scope="module")
def judge():
    return CaseJudge(library_program())


def joins_events(rule):
    return rule.sequence is not None or rule.threshold is not None


@pytest.mark.parametrize("policy", POLICIES)
def test_an_event_that_a_policy_tells_is_told_by_no_other_rule(policy, judge):
    rules = {rule.name: rule for rule in judge.program.rules}
    repeated = {}
    for expectation, case in cases_beside(POLICIES[policy]):
        if expectation == "fires":
            told = {f"{one.policy}/{one.rule}" for one in judge.outcome(case, expectation).detections}
            assert told, f"{case.case}: the whole library does not tell what the policy alone tells"
            single = {name for name in told if not joins_events(rules[name])} - RECORDS
            if len(single) > 1 and len(case.events) == 1:
                repeated[case.case] = sorted(single)
    assert repeated == {}
