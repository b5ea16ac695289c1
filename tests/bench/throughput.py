"""Events per second on one core, from file bytes to detections with the whole library, as a multiple of plain
`orjson.loads` per event of the same file.

What is timed is what `watchkeeper judge` does, all but the printing: reading, judging, and joining matches in event-time
order. `all`: the corpus as it is, attacks and near misses included (a tenth of the audit events, a quarter of CloudTrail's);
`ordinary`: its everyday part.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import orjson
from tests.bench.corpus_files import corpus_events, write_lines, write_records
from tests.bench.measure import best_of

from watchkeeper_cli.match_store import MatchStore
from watchkeeper_cli.parts import Batch, Part, PartJudge, Setup
from watchkeeper_cli.policy_set import library_program
from watchkeeper_detection.joiner import Joiner
from watchkeeper_detection.program import Program, narrowed

EVENTS = 40_000


def judged(path: Path, judge: PartJudge, program: Program) -> int:
    """How many detections the file gives."""
    store, joiner, found = MatchStore(), Joiner(program, first_seen="blind"), 0
    for batch in judge.judge(Part(str(path))):
        if isinstance(batch, Batch):
            found += len(batch.detections)
            store.add(batch.matches)
    return found + sum(joiner.join(match) is not None for match in store.in_order())


def loaded(path: Path) -> None:
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)


def main() -> None:
    program = narrowed(library_program(), severity="P3", first_seen=False)  # what `judge` runs when nothing else is asked for
    print(f"{'input':32} {'events/s':>10} {'orjson.loads/s':>15} {'ratio':>6} {'candidates/event':>17} {'detections/event':>17}   ({len(program.rules)} rules)")
    with tempfile.TemporaryDirectory() as folder:
        for log in ("k8s-audit", "cloudtrail"):
            for part in ("all", "ordinary"):
                events = corpus_events(log, ordinary=part == "ordinary")
                lines, records = Path(folder, f"{log}.jsonl"), Path(folder, f"{log}.json")
                write_lines(lines, events, EVENTS)
                write_records(records, events, EVENTS)
                measure(f"{log} lines, {part}", log, lines, lines, program)
                if log == "cloudtrail":
                    measure(f"{log} Records, {part}", log, records, lines, program)


def measure(name: str, log: str, path: Path, lines: Path, program: Program) -> None:
    judge = PartJudge(Setup(program, log))
    found = 0

    def run() -> None:
        nonlocal found
        found = judged(path, judge, program)

    plain, ours = best_of(lambda: loaded(lines), run)
    statistics = judge._matcher.statistics
    candidates, seen = statistics.candidates, sum(statistics.events.values())
    print(f"{name:32} {EVENTS / ours:10,.0f} {EVENTS / plain:15,.0f} {plain / ours:6.2f} {candidates / seen:17.2f} {found / EVENTS:17.3f}", flush=True)


if __name__ == "__main__":
    main()
