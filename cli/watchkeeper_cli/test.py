"""`watchkeeper test`: do the policies fire and stay quiet as their cases say?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper_cli.ending import FAILED, USAGE, CommandError

if TYPE_CHECKING:
    from watchkeeper_cli.cases import CaseJudge, Outcome
    from watchkeeper_cli.policy_set import PolicySet
    from watchkeeper_detection.program import Program


def run_policies(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATHS]...", help="Policies: files or folders. The shipped library when not given.", show_default=False)
    ] = None,
) -> None:
    """Run the cases of policies: raw records that must fire, and near misses that must not.

    They stand beside the policy, one JSON object a line:

    \b
      k8s-pod-exec.yaml
      k8s-pod-exec.fires.jsonl   {"case": "kubectl exec into a pod", "rule": "exec-in-pod", "events": [{...}]}
      k8s-pod-exec.quiet.jsonl   {"case": "reading a pod's log", "events": [{...}]}

    \b
    A case may also name "source" (else the log type is recognised), "learned" (records of a first-seen rule's baseline)
    and "detections" (their exact number). Each failure says what was expected and why it came out differently.
    """
    from watchkeeper_cli.policy_set import PolicySet, library, load_set, read_files, refuse
    from watchkeeper_detection.checking import check_policies

    tested = load_set(read_files(paths or [library()]))
    shipped = load_set(read_files([library() / "lists"])) if paths else PolicySet()
    checked = check_policies([*shipped.documents, *tested.documents, *tested.salvaged])
    refuse([*tested.errors, *checked.errors])
    ran, failures, without = run_cases(tested, checked.program)
    for failure in failures:
        print_failure(*failure)
    if without:
        print(f"without cases: {', '.join(without[:10])}{', …' if len(without) > 10 else ''}", file=sys.stderr)
    print(f"{ran - len(failures)} passed, {len(failures)} failed")
    if failures:
        raise typer.Exit(FAILED)
    if not ran:
        raise CommandError("no cases were found", USAGE)


def run_cases(tested: PolicySet, program: Program) -> tuple[int, list[tuple[CaseJudge, Outcome]], list[str]]:
    """How many cases ran, those that failed, and the policies that have none."""
    import msgspec

    from watchkeeper_cli.cases import CaseJudge, cases_beside
    from watchkeeper_detection.policy import RuntimePolicy

    ran, failures, without = 0, [], []
    files = {document.object.name: document.place.file for document in tested.documents if isinstance(document.object, RuntimePolicy)}
    for name, file in sorted(files.items()):
        judge = CaseJudge(msgspec.structs.replace(program, rules=tuple(rule for rule in program.rules if rule.policy == name)))
        cases = cases_beside(Path(file))
        outcomes = [judge.outcome(case, expectation) for expectation, case in cases]
        failures += [(judge, outcome) for outcome in outcomes if outcome.problem]
        ran += len(cases)
        if not cases:
            without.append(name)
    return ran, failures, without


def print_failure(judge: CaseJudge, outcome: Outcome) -> None:
    """The case, what was wrong, and why, from the conditions' parts."""
    from watchkeeper_cli.cases import events_of
    from watchkeeper_cli.explaining import verdict_lines
    from watchkeeper_cli.output.text import shown

    policy = next(iter(judge.program.rules)).policy if judge.program.rules else "?"
    print(f"{policy}: {outcome.expectation}: {shown(outcome.case.case)}\n    {shown(outcome.problem)}")
    for detection in outcome.detections[:3]:
        print(f"    detection of {detection.rule}: {shown(detection.message)}")
    rules = [rule for rule in judge.program.rules if outcome.case.rule in (None, rule.rule)]
    if outcome.expectation == "fires":
        for event in list(events_of(outcome.case.events, outcome.case.source, "case"))[:2]:
            for rule in rules[:3]:
                for line in verdict_lines(rule, judge.program, event):
                    print(f"    {line}")
