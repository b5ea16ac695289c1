"""The run of `watchkeeper detections show`: one detection with everything that is known of it."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_cli.ending import UNREADABLE, USAGE, CommandError
from watchkeeper_cli.output.detection_lines import act_lines, unknown_words
from watchkeeper_cli.output.json_lines import as_object
from watchkeeper_cli.output.looks import BLIND, BOLD, DIM, SEVERITIES, stdout_look
from watchkeeper_cli.output.text import clock, plural, shown
from watchkeeper_detection.redact import MARK, is_secret_name, redact
from watchkeeper_operator.store.detections import DetectionStore, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchkeeper_cli.output.looks import Look
    from watchkeeper_detection.detection import Detection

SHORTEST = 4  # letters of an id
LONG = 4000  # letters of one text
HEX = frozenset("0123456789abcdef")
COLUMN = 13
MEMBERS = 8  # of a list; -o json has all
EVENT_BYTES = 1 << 20


def show(path: Path, beginning: str, output: str) -> None:
    """Print the detection whose id begins like this."""
    detection = found(path, beginning.lower())
    if output == "json":
        row = as_object(detection) | {"runbook": detection.runbook, "event_ids": detection.event_ids, "event": event_of(detection)}
        print(json.dumps(msgspec.to_builtins(row), indent=1))
        return
    for line in lines_of(detection, stdout_look()):
        print(line)


def found(path: Path, beginning: str) -> Detection:
    """Ends the command when there is none, or more than one."""
    if len(beginning) < SHORTEST or not HEX.issuperset(beginning):
        raise CommandError(f"{beginning!r} is no id: at least {SHORTEST} of its letters, as watchkeeper up and detections -o json show them", USAGE)
    try:
        with DetectionStore(path, read_only=True) as store:
            named = store.named(beginning)
    except StoreError as error:
        raise CommandError(str(error), UNREADABLE) from None
    if not named:
        raise CommandError(f"no detection's id begins with {beginning}: it was never kept here, or was among the oldest and went", UNREADABLE)
    if len(named) > 1:
        raise CommandError(f"several ids begin with {beginning}: {', '.join(one.id for one in named)}", USAGE)
    return named[0]


def event_of(detection: Detection) -> dict[str, Any] | None:
    """The event as a recording holds it; None where it was not kept."""
    if detection.event is None:
        return None
    record: dict[str, Any] = json.loads(zlib.decompressobj().decompress(detection.event, EVENT_BYTES))
    return record


def lines_of(detection: Detection, look: Look) -> Iterator[str]:
    severity = look.paint(detection.severity, SEVERITIES[detection.severity])
    yield f"{severity} {look.paint(shown(detection.title), BOLD)}"
    yield ""
    yield f"    {shown(detection.message, LONG)}"
    if detection.act is not None:
        yield ""
        yield from (f"    {line}" for line in act_lines(detection.act, look, width=LONG, indented=True, ancestors=len(detection.act.ancestors)))
    yield ""
    for name, text in facts(detection):
        yield f"{name:{COLUMN}}{shown(text, LONG)}"
    if unknown := unknown_words(detection):
        yield look.paint(shown(unknown), BLIND)
    yield from runbook_lines(detection, look)
    yield from event_lines(detection, look)
    yield ""
    yield f"{look.arrow} watchkeeper explain {detection.policy}/{detection.rule}            what the rule matches, and where it can be blind"
    yield f"{look.arrow} watchkeeper explain {detection.policy}/{detection.rule} --except   an exception, where your team does this on purpose"


def facts(detection: Detection) -> Iterator[tuple[str, str]]:
    yield "id", detection.id
    yield "when", f"{clock(detection.observed_at)} UTC"
    yield "rule", f"{detection.policy}/{detection.rule} (confidence {detection.confidence})"
    if detection.attack:
        yield "ATT&CK", " ".join(detection.attack)
    for name, text in (("actor", detection.actor), ("identity", detection.identity), ("target", detection.target), ("origin", detection.origin)):
        if text:
            yield name, text
    if detection.count > 1:
        yield "events", f"{plural(detection.count, 'event')} together; the latest: {', '.join(detection.event_ids[-5:])}"
    if detection.absent:
        yield "not there", f"fields that the rule asks for: {', '.join(detection.absent)}"
    for text in detection.blind_spots:
        yield "blind to", text


def runbook_lines(detection: Detection, look: Look) -> Iterator[str]:
    if detection.runbook:
        yield ""
        yield look.paint("runbook", BOLD)
        yield from (f"    {shown(line)}" for line in detection.runbook.splitlines())


def event_lines(detection: Detection, look: Look) -> Iterator[str]:
    """Field by field, under the names that rules use."""
    yield ""
    record = event_of(detection)
    if record is None:
        yield look.paint("the event was not kept: the rule joins several, or too many were found in that second", DIM)
        return
    yield look.paint(f"event {shown(str(record.pop('id', '')))}", BOLD)
    for path, value in flat(record):
        is_hidden = is_secret_name(path.rpartition(".")[2])
        yield f"    {path} = {MARK if is_hidden else shown(redact(value_text(value)), LONG)}"


def value_text(value: Any) -> str:
    """As JSON, a long list by its first members."""
    if isinstance(value, list) and len(value) > MEMBERS:
        return f"{json.dumps(value[:MEMBERS], ensure_ascii=False)[:-1]}, and {len(value) - MEMBERS} more]"
    return json.dumps(value, ensure_ascii=False)


def flat(record: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
