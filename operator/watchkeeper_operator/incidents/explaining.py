"""In words: what happened, why these detections belong together, why the incident is as grave as it is, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchkeeper_detection.attack import TACTICS, TECHNIQUES
from watchkeeper_operator.incidents.summary import DEPLOYING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchkeeper_detection.detection import Severity
    from watchkeeper_operator.incidents.summary import Line, Summary

RAISED_BY_AIMS = 3  # aims of an attacker, by as many rules, that make the same things one step graver together than each is alone
RAISED: dict[Severity, Severity] = {"P4": "P4", "P3": "P2", "P2": "P1", "P1": "P1"}
MEANS = {"P1": "page someone now", "P2": "look today", "P3": "look in working hours", "P4": "record"}
SHOWN_SHARES = 3
STEPS = 5
STEP_CHARACTERS = 1024
MINUTE_NS, HOUR_NS = 60_000_000_000, 3_600_000_000_000


class Judged(NamedTuple):
    """How grave an incident is, and why."""

    severity: Severity
    because: str


def judged(summary: Summary) -> Judged:
    """The gravest detection's severity; one step more when several rules saw an attack go on from aim to aim."""
    gravest = _gravest(summary)
    because = f"{summary.severity} ({MEANS[summary.severity]}): the gravest detection is {gravest.policy} {gravest.rule}, {gravest.severity} with {gravest.confidence} confidence."
    telling = [line for line in summary.lines.values() if line.confidence != "low" and line.severity <= "P3"]
    rules, aims = {(line.policy, line.rule) for line in telling}, aims_of(telling)
    raised = RAISED[summary.severity]
    if raised == summary.severity or len(aims) < RAISED_BY_AIMS:
        return Judged(summary.severity, because)
    return Judged(
        raised,
        f"{raised} ({MEANS[raised]}): {len(rules)} rules saw {len(aims)} aims of an attacker ({_listed(aims)}) with the same subjects, "
        f"which is one step graver than the gravest detection alone, {gravest.policy} {gravest.rule} ({gravest.severity}).",
    )


def tactics_of(summary: Summary) -> tuple[str, ...]:
    """Names of the tactics, in the order of the matrix; of a technique of several the first."""
    found = {TECHNIQUES[technique].tactics[0] for technique in summary.attack if technique in TECHNIQUES}
    return tuple(tactic.name for tactic in TACTICS.values() if tactic.short_name in found)


def aims_of(lines: Iterable[Line]) -> list[str]:
    """Names, in the order of the matrix. A rule sees one aim, so that as many rules as aims saw them."""
    found = {line.aim for line in lines}
    return [*(["Deploying"] if DEPLOYING in found else []), *(tactic.name for tactic in TACTICS.values() if tactic.short_name in found)]


def togetherness(summary: Summary) -> str:
    """Why these detections are one incident."""
    if summary.detections == 1:
        return "It is one detection."
    shared = sorted(((count, share) for share, count in summary.shares.items() if count > 1), key=lambda row: (-row[0], row[1]))[:SHOWN_SHARES]
    words = _listed([f"{count} of them share {share}" for count, share in shared]) if shared else "each shares a workload or an identity with another"
    return f"These {summary.detections} detections within {span_of(summary.last - summary.first)} belong together: {words}, never more than half an hour apart."


def span_of(nanoseconds: int) -> str:
    """`12 minutes`: for people, so rounded up to whole ones."""
    if nanoseconds < MINUTE_NS:
        return f"{max(1, -(-nanoseconds // 1_000_000_000))} s"
    if nanoseconds < 2 * HOUR_NS:
        return f"{-(-nanoseconds // MINUTE_NS)} min"
    return f"{-(-nanoseconds // HOUR_NS)} h"


def title_of(summary: Summary) -> str:
    """The gravest thing that happened, to what, and that there is more."""
    gravest = _gravest(summary)
    others = len({(line.policy, line.rule) for line in summary.lines.values()}) - 1
    more = f" and {others} more" if others else ""
    return f"{gravest.title}: {gravest.subject}{more}"


def next_steps(summary: Summary) -> list[str]:
    """The runbooks of the gravest policies, each once."""
    policies = dict.fromkeys(line.policy for line in by_gravity(summary.lines.values()))
    steps = [f"{policy}: {summary.runbooks[policy]}" for policy in policies if policy in summary.runbooks]
    return [step if len(step) <= STEP_CHARACTERS else step[: STEP_CHARACTERS - 1] + "…" for step in steps[:STEPS]]


def by_gravity(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: (line.severity, line.first, line.detection))


def _gravest(summary: Summary) -> Line:
    return by_gravity(summary.lines.values())[0]


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
