"""A policy's cases: raw records that must fire, and records that look similar and must not. Judged through the real readers and engine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from watchkeeper_cli.ending import USAGE, CommandError
from watchkeeper_detection.joiner import Joiner
from watchkeeper_detection.logs.stream import StreamReader
from watchkeeper_detection.match import Match
from watchkeeper_detection.matcher import Matcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.event import Event
    from watchkeeper_detection.program import Program

Expectation = Literal["fires", "quiet"]


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a case file.

    case        a sentence that states the rule
    rule        the rule it is about; any of the policy's when not given
    source      log type of the events, recognised when not given
    events      raw provider records: JSON objects, or text lines
    learned     what a first-seen rule's baseline was made from
    detections  exact number, where it matters
    """

    case: str
    events: list[Any]
    rule: str | None = None
    source: str | None = None
    learned: list[Any] = []
    detections: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case gave. `problem` is empty when it is as expected."""

    case: Case
    expectation: Expectation
    detections: tuple[Detection, ...]
    problem: str


def case_file(policy_file: Path, expectation: Expectation) -> Path:
    """`<policy>.fires.jsonl` or `<policy>.quiet.jsonl` beside the policy."""
    return policy_file.with_name(f"{policy_file.stem}.{expectation}.jsonl")


def cases_beside(policy_file: Path) -> list[tuple[Expectation, Case]]:
    """Every case of a policy."""
    expectations: tuple[Expectation, ...] = ("fires", "quiet")
    return [(expectation, case) for expectation in expectations for case in read_cases(case_file(policy_file, expectation))]


def read_cases(path: Path) -> list[Case]:
    """The file's cases; none when there is no such file."""
    if not path.exists():
        return []
    cases = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.strip():
            try:
                cases.append(msgspec.json.decode(line, type=Case))
            except msgspec.DecodeError as error:
                raise CommandError(f"{path}:{number} is no case: {error}", USAGE) from None
    return cases


def events_of(records: Iterable[Any], source: str | None, stream: str, reads: Any = None) -> Iterator[Event]:
    """Events of raw records. Each JSON record is a stream of its own, lines of text that stand together are one (it may begin with a header)."""
    number = 0
    for is_text, grouped in groupby(records, key=lambda record: isinstance(record, str)):
        run = list(grouped)
        contents = ["".join(f"{line}\n" for line in run).encode()] if is_text else [msgspec.json.encode(record) + b"\n" for record in run]
        for content in contents:
            number += 1
            reader = StreamReader(f"{stream}#{number}", source=source, reads=reads)
            yield from reader.feed(content)
            yield from reader.close()


class CaseJudge:
    """Judges the cases of one policy."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._matcher = Matcher(program)

    def outcome(self, case: Case, expectation: Expectation) -> Outcome:
        events = list(events_of(case.events, case.source, "case", self._matcher.reads))
        rejected = [str(event.log.reason) for event in events if event.kind == "log.rejected"]
        detections = tuple(self._detections(case, events))
        concerned = [one for one in detections if case.rule in (None, one.rule)]
        return Outcome(case, expectation, detections, self._problem(case, expectation, len(concerned), events, rejected))

    def _problem(self, case: Case, expectation: Expectation, count: int, events: list[Event], rejected: list[str]) -> str:
        if case.rule is not None and case.rule not in {rule.rule for rule in self.program.rules}:
            return f"the policy has no rule {case.rule}"
        if rejected and "log.rejected" not in {kind for rule in self.program.rules for kind in rule.kinds}:
            return f"a record was rejected: {rejected[0]}"
        if not events:
            return "its records made no event"
        if expectation == "quiet":
            return f"expected no detection, got {count}" if count else ""
        if case.detections is not None and count != case.detections:
            return f"expected {case.detections} detections, got {count}"
        return "" if count else "expected a detection, got none"

    def _detections(self, case: Case, events: list[Event]) -> Iterator[Detection]:
        joiner = Joiner(self.program, first_seen="baseline" if case.learned else "live")
        if case.learned:
            joiner.restore(self._learned(case))
        yield from self._judged(events, joiner)

    def _judged(self, events: Iterable[Event], joiner: Joiner) -> Iterator[Detection]:
        matches: list[Match] = []
        for event in events:
            detections, found = self._matcher.match(event)
            yield from detections
            matches += found
        for match in sorted(matches, key=Match.order):
            if detection := joiner.join(match):
                yield detection

    def _learned(self, case: Case) -> bytes:
        joiner = Joiner(self.program, first_seen="learn")
        for _ in self._judged(events_of(case.learned, case.source, "learned", self._matcher.reads), joiner):
            pass
        joiner.finish_learning()
        return joiner.snapshot()
