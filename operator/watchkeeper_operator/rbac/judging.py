"""Records of the watch judged by the policies in force: detections of plain rules, matches of those that keep state."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from watchkeeper_detection.logs.provider import RecordPlace
from watchkeeper_detection.logs.rbac import KINDS, event_of
from watchkeeper_detection.matcher import Matcher
from watchkeeper_detection.program import Program, narrowed_to

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.match import Match
    from watchkeeper_detection.program import Rule
    from watchkeeper_operator.rbac.telling import Record

STREAM = "watch"


class Judged(NamedTuple):
    detections: list[Detection]
    matches: list[Match]


class Judge:
    """Of one program. A detection keeps the event's own words as evidence: no log has them."""

    def __init__(self, program: Program) -> None:
        self.program = narrowed_to(program, KINDS)
        self._matcher = Matcher(self.program)
        self._reads = self._matcher.reads

    def judge(self, records: Iterable[Record]) -> Judged:
        judged = Judged([], [])
        for record in records:
            found, matches = self._matcher.match(event_of(record, RecordPlace(STREAM, 0, -1), self._reads))
            if found:
                line = zlib.compress(msgspec.json.encode(record))
                judged.detections.extend(msgspec.structs.replace(one, event=line) for one in found)
            judged.matches.extend(matches)
        return judged

    def of_new_rules(self, asked: Collection[str]) -> Judge | None:
        """By the rules that were not asked yet; None where there are none."""
        rules = tuple(rule for rule in self.program.rules if identity_of(rule) not in asked)
        return Judge(msgspec.structs.replace(self.program, rules=rules)) if rules else None

    @property
    def rules(self) -> set[str]:
        return {identity_of(rule) for rule in self.program.rules}


def identity_of(rule: Rule) -> str:
    """The same as long as it asks the same."""
    return f"{rule.namespace}/{rule.name}:{rule.state_key}"
