"""Judging logs from paths to exit status: this module reads as the pipeline."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import typer

from watchkeeper_cli.blind_spots import blind_lines, some_of
from watchkeeper_cli.ending import FAILED, INTERRUPTED, SUCCEEDED, UNREADABLE, USAGE, CommandError
from watchkeeper_cli.interruption import Interruption
from watchkeeper_cli.match_store import MatchStore
from watchkeeper_cli.output.summary import Tally, print_summary
from watchkeeper_cli.output.text import plural, shown
from watchkeeper_cli.output.writers import writer_for
from watchkeeper_cli.parts import Batch, Counts, Part, PartJudge, Setup, Unreadable
from watchkeeper_cli.policy_set import program_of
from watchkeeper_cli.progress import Progress
from watchkeeper_detection.joiner import FirstSeenMode, Joiner
from watchkeeper_detection.program import narrowed
from watchkeeper_operator.transports import files

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable

    from watchkeeper_cli.output.writers import Writer
    from watchkeeper_detection.detection import Detection, Severity
    from watchkeeper_detection.program import Program

CLOSE_EVERY = 10_000  # matches between two looks for windows that can't fill any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for."""

    paths: tuple[str, ...]
    source: str | None
    policies: tuple[Path, ...]
    with_library: bool
    severity: Severity
    since_ns: int | None
    until_ns: int | None
    learn_to: Path | None
    baseline: Path | None
    jobs: int
    fail_on: str | None
    output: str
    rejects: Path | None
    show_secrets: bool


class Judgement:
    """Takes batches, in any order, and at the end joins what waited."""

    def __init__(self, request: Request, program: Program, writer: Writer) -> None:
        self.program = program
        self.tally = Tally()
        self.counts = Counts()
        self.joiner = Joiner(program, first_seen=first_seen_mode(request))
        self._writer = writer
        self._matches = MatchStore()
        self._rejects = opened(request.rejects) if request.rejects else None

    def take(self, result: Batch | Counts | Unreadable) -> None:
        if isinstance(result, Counts):
            self.counts.add(result)
        elif isinstance(result, Unreadable):
            self.tally.unreadable.append(result)
        else:
            self.tally.events += result.events
            self.tally.outside += result.outside
            self.tally.read_bytes += result.read_bytes
            if result.detections:
                self._write(result.detections)
                self._writer.flush()
            self._matches.add(result.matches)
            for rejected in result.rejected:
                self.tally.reject(rejected)
                if self._rejects:
                    self._rejects.write(msgspec.json.encode(rejected) + b"\n")

    def _write(self, detections: Iterable[Detection]) -> None:
        for detection in detections:
            self.tally.detections[detection.severity] += 1
            self._writer.add(detection)

    def join(self) -> None:
        """Thresholds, sequences, first-seen and suppressed rules, in the order in which things happened."""
        for number, match in enumerate(self._matches.in_order(), 1):
            if detection := self.joiner.join(match):
                self._write((detection,))
            if not number % CLOSE_EVERY:
                self.joiner.close(match.observed_at - 1)

    def finish(self) -> None:
        self._writer.finish()
        if self._rejects:
            self._rejects.close()

    def notes(self) -> list[str]:
        """What the state of rules held back or gave up."""
        suppressed = self.joiner.suppressed()
        held = self.joiner.held()
        notes = []
        if suppressed:
            notes.append(f"suppressed as repeats: {plural(sum(suppressed.values()), 'detection')} of {plural(len(suppressed), 'rule')}")
        notes += [f"held back: {rule} by {guard} {count}" for (rule, guard, _), count in sorted(held.items())]
        used = {guard for _, guard in self.counts.held_by_exception} | {guard for _, guard, exception in held if exception}
        ended = {guard.name for rule in self.program.rules for guard in rule.exceptions if guard.until_ns and guard.until_ns <= time.time_ns()}
        if ended:
            notes.append(f"exceptions that have ended: {', '.join(sorted(ended))}")
        unused = {guard.name for rule in self.program.rules for guard in rule.exceptions} - used - ended
        if unused:
            notes.append(f"exceptions that held nothing back: {', '.join(sorted(unused))}")
        return notes

    def blind(self, unlearned: Collection[str]) -> list[str]:
        """What could not be seen; `unlearned` are rules that were left out for lack of a baseline."""
        reasons: dict[str, list[str]] = {}
        for rule, reason in self.joiner.blind().items():
            reasons.setdefault(reason, []).append(rule)
        lines = [f"{reason}: {some_of(rules)}" for reason, rules in reasons.items()]
        if unlearned:
            lines.append(f"without a baseline nothing is known to be new (--learn makes one, --baseline reads it): {some_of(unlearned)} could not fire")
        if self.tally.interrupted and not self.counts.events:  # the workers' counts were lost
            return lines
        return [*lines, *blind_lines(self.program, self.counts.events, self.counts.seen, self.counts.levels)]


def judge_logs(request: Request) -> int:
    """Judge, print, and say how it ended."""
    if request.show_secrets and not sys.stdout.isatty():
        raise typer.BadParameter("secrets are shown on a terminal only", param_hint="--show-secrets")
    if request.source is not None:
        require_source(request.source)
    whole = program_of(request.policies, with_library=request.with_library)
    program = in_force(whole, request)
    found = files.find(request.paths)
    judgement = Judgement(request, program, writer_for(request.output))
    if request.baseline:
        read_baseline(judgement.joiner, request.baseline)
    for path, reason in found.unreadable:
        judgement.take(Unreadable(path, reason))
    judgement.tally.files = len(found.files)
    progress = Progress(found.total_bytes)
    setup = Setup(program, request.source, request.since_ns, request.until_ns)
    here = PartJudge(setup) if request.jobs == 1 else None
    interruption = Interruption()
    with interruption.watched(), closing(judged_here(here, found) if here else judged_in_processes(setup, found, request.jobs)) as results:
        for result in interruption.until_asked(results):
            judgement.take(result)
            if isinstance(result, Batch):
                progress.advance(result.read_bytes, result.events, len(result.detections))
    judgement.tally.interrupted = interruption.is_asked
    if here:
        judgement.take(here.counts())
    judgement.join()
    progress.clear()
    if request.learn_to:
        write_baseline(judgement.joiner, request.learn_to)
    else:
        judgement.finish()
    sys.stdout.flush()
    print_summary(judgement.tally, judgement.counts, judgement.blind(unlearned(whole, request)), judgement.notes(), progress.seconds)
    return status_of(judgement.tally, request.fail_on)


def require_source(source: str) -> None:
    from watchkeeper_detection.logs.stream import provider_named

    try:
        provider_named(source)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--source") from None


def in_force(program: Program, request: Request) -> Program:
    """The rules that can say something that was asked for."""
    if request.learn_to:
        return msgspec.structs.replace(program, rules=tuple(rule for rule in program.rules if rule.first_seen))
    chosen = narrowed(program, severity=request.severity, first_seen=request.baseline is not None)
    if not request.show_secrets:
        return chosen
    return msgspec.structs.replace(chosen, rules=tuple(msgspec.structs.replace(rule, reveals=True) for rule in chosen.rules))


def unlearned(program: Program, request: Request) -> list[str]:
    """Rules that would ask a baseline, where none is given."""
    if request.learn_to or request.baseline:
        return []
    return [rule.name for rule in program.rules if rule.first_seen and rule.severity <= request.severity]


def first_seen_mode(request: Request) -> FirstSeenMode:
    if request.learn_to:
        return "learn"
    return "baseline" if request.baseline else "blind"


def judged_here(judge: PartJudge, found: files.Found) -> Generator[Batch | Unreadable]:
    for file in found.files:
        yield from judge.judge(Part(file.path))


def judged_in_processes(setup: Setup, found: files.Found, jobs: int) -> Generator[Batch | Counts | Unreadable]:
    from watchkeeper_cli.splitting import parts_of
    from watchkeeper_cli.workers import judge_in_processes

    return judge_in_processes(setup, (part for file in found.files for part in parts_of(file.path, file.size)), jobs)


def opened(rejects: Path) -> BinaryIO:
    try:
        return rejects.open("wb")
    except OSError as error:
        raise CommandError(f"can't write rejects to {rejects}: {error.strerror}", USAGE) from None


def read_baseline(joiner: Joiner, path: Path) -> None:
    try:
        joiner.restore(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CommandError(f"can't read the baseline {path}: {error}", UNREADABLE) from None


def write_baseline(joiner: Joiner, path: Path) -> None:
    """Write what was learned; readers of the file see the old or the new one."""
    import tempfile

    joiner.finish_learning()
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".watchkeeper-", delete=False) as file:
            file.write(joiner.snapshot())
        Path(file.name).replace(path)
    except OSError as error:
        raise CommandError(f"can't write the baseline {path}: {error.strerror}", USAGE) from None
    print(f"Learned what is usual for {plural(len(joiner.states), 'rule')}: {shown(str(path))}. Judge with --baseline {shown(str(path))}.")


def status_of(tally: Tally, fail_on: str | None) -> int:
    if tally.interrupted:
        return INTERRUPTED
    if tally.unreadable:
        return UNREADABLE
    if fail_on and any(count for severity, count in tally.detections.items() if severity <= fail_on):
        return FAILED
    return SUCCEEDED
