"""Events per second on one core, from file bytes to detections with the whole library, as a multiple of plain
`orjson.loads` per event of the same file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import orjson
from tests.bench.corpus_files import corpus_events, write_lines, write_records
from tests.bench.measure import best_of

from watchkeeper_cli.policy_set import library_program
from watchkeeper_detection.logs.stream import StreamReader
from watchkeeper_detection.matcher import Matcher
from watchkeeper_detection.program import narrowed

EVENTS = 40_000
CHUNK = 1 << 20


def judged(path: Path, source: str, matcher: Matcher) -> int:
    reader = StreamReader(str(path), source=source, reads=matcher.reads)
    found = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            for event in reader.feed(chunk):
                detections, matches = matcher.match(event)
                found += len(detections) + len(matches)
    for event in reader.close():
        detections, matches = matcher.match(event)
        found += len(detections) + len(matches)
    return found


def loaded(path: Path) -> None:
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)


def main() -> None:
    matcher = Matcher(narrowed(library_program(), severity="P3", first_seen=False))  # what `judge` runs when nothing else is asked for
    print(
        f"{'input':24} {'events/s':>10} {'orjson.loads/s':>15} {'ratio':>6} {'candidates/event':>17} {'detections+matches/event':>25}   (library: {len(matcher.program.rules)} rules)"
    )
    with tempfile.TemporaryDirectory() as folder:
        for log in ("k8s-audit", "cloudtrail"):
            events = corpus_events(log)
            lines, records = Path(folder, f"{log}.jsonl"), Path(folder, f"{log}.json")
            write_lines(lines, events, EVENTS)
            write_records(records, events, EVENTS)
            for path, shape in ((lines, "lines"), (records, "Records")):
                if shape == "Records" and log != "cloudtrail":
                    continue
                before, tried, found = sum(matcher.statistics.events.values()), matcher.statistics.candidates, 0

                def run(path: Path = path, log: str = log) -> None:
                    nonlocal found
                    found = judged(path, log, matcher)

                plain, ours = best_of(lambda lines=lines: loaded(lines), run)
                seen = sum(matcher.statistics.events.values()) - before
                print(
                    f"{log + ' ' + shape:24} {EVENTS / ours:10,.0f} {EVENTS / plain:15,.0f} {plain / ours:6.2f}"
                    f" {(matcher.statistics.candidates - tried) / seen:17.2f} {found / EVENTS:25.3f}"
                )


if __name__ == "__main__":
    main()
