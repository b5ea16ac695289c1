"""Files to measure on: the corpus's mix of events, repeated until there are enough."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"


def corpus_events(log: str, *, ordinary: bool = False) -> list[bytes]:
    """The raw events of one log type, each as one line of JSON without its end; `ordinary`: only those that nobody labelled."""
    path = next(path for path in (CORPUS / f"{log}.jsonl.gz", CORPUS / f"{log}.jsonl") if path.exists())
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        samples = [json.loads(line) for line in file]
    chosen = [sample["event"] for sample in samples if not ordinary or sample["label"] == "background"]
    return [json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() for event in chosen]


def write_lines(path: Path, events: list[bytes], count: int) -> None:
    with path.open("wb") as file:
        for event in itertools.islice(itertools.cycle(events), count):
            file.write(event + b"\n")


def write_records(path: Path, events: list[bytes], count: int) -> None:
    """One document `{"Records":[…]}`, as CloudTrail delivers."""
    with path.open("wb") as file:
        file.write(b'{"Records":[')
        for number, event in enumerate(itertools.islice(itertools.cycle(events), count)):
            file.write((b"," if number else b"") + event)
        file.write(b"]}")
