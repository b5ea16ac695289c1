"""Recorded kernel events: one JSON object a line, as `watchkeeper trace --record` writes and `watchkeeper replay` reads them.

    {"kind": "process.exec", "observed_at": "2026-03-01T10:00:00.123Z", "id": "…", "process": {…}, "container": {…}, "exec": {…}}

One key per root of the kind, fields under the vocabulary's names; what is not there is absent. What follows from other fields need not be
written: names and directories of paths, command lines, counts of arguments, drift.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.event import Event
from watchkeeper_detection.fields import attribute_name, kinds, nearest, roots_of
from watchkeeper_detection.logs.kernel_event import SOURCE, base_name, command_line, directory, fills, is_drift
from watchkeeper_detection.logs.provider import Provider, RecordPlace, RecordRejected, event_id, time_ns, time_text
from watchkeeper_detection.logs.records import build
from watchkeeper_detection.record_types import record_type
from watchkeeper_detection.vocabulary import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_detection.logs.provider import Reads

KINDS = frozenset(kind.name for kind in kernel.KINDS)
PLAIN_KEYS = frozenset({"kind", "observed_at", "id"})
FILLS = fills(observed_at=lambda event: time_ns(event.event_time), derived={"id": lambda event: event.recorded_id or event_id(event)})


@cache
def _struct(root: str, reads: frozenset[str] | None) -> type[msgspec.Struct]:
    return record_type(root, None if reads is None else reads | DERIVED_FROM.get(root, frozenset()))


DERIVED_FROM = {
    root: frozenset(f"{root}.{name}" for name in names.split())
    for root, names in {
        "file": "path name directory new_path new_name claimed_path",
        "process": "id process_id exe name user uid args args_count command_line exe_upper_layer exe_memfd exe_unlinked parent.args parent.command_line",
        "container": "id name drift",
        "pod": "namespace name service_account",
        "syscall": "error",
        "connection": "remote_ip remote_port unix_path unix_abstract",
        "target_process": "process_id exe name",
        "setns": "types",
        "unshare": "types",
        "chroot": "path",
        "mount": "target",
        "module": "name",
        "bpf": "program_name",
        "dns": "question",
        "node": "name",
    }.items()
}
"""What the normalised fields and the derivations read."""


def recognise(record: dict[str, Any]) -> bool:
    kind = record.get("kind")
    return isinstance(kind, str) and kind in KINDS and "observed_at" in record


def events(record: dict[str, Any], place: RecordPlace, reads: Reads) -> Iterable[Event]:
    kind = record.get("kind")
    if kind not in KINDS:
        raise RecordRejected(f"{kind!r} is no kind of event that the sensor makes; the nearest is {nearest(str(kind), KINDS)}")
    event = Event(kind, SOURCE, place.stream, place.number, place.offset, FILLS)
    event.__dict__["event_time"] = record.get("observed_at")
    event.__dict__["recorded_id"] = record.get("id")
    roots = roots_of(kind)
    for key, value in record.items():
        if key in PLAIN_KEYS:
            continue
        if key not in roots:
            raise RecordRejected(f"a {kind} carries no {key!r}; it carries {', '.join(sorted(kinds()[kind].roots))}")
        if isinstance(value, dict) and (reads is None or key in reads or key in DERIVED_FROM):
            event.__dict__[attribute_name(key)] = build(_struct(key, None if reads is None else reads.get(key, frozenset())), value)
    _derive(event)
    return (event,)


def _derive(event: Event) -> None:
    """Set what follows from other fields and was not recorded."""
    made = event.__dict__
    if "file" in made:
        file = made["file"]
        for name, path in (("name", file.path or file.claimed_path), ("new_name", file.new_path)):
            if getattr(file, name) is None:
                setattr(file, name, base_name(path))
        if file.directory is None:
            file.directory = directory(file.path)
    if "process" in made:
        process = made["process"]
        for one in (process, process.parent):
            if one.command_line is None:
                one.command_line = command_line(one.args)
        if process.args_count is None and process.args:
            process.args_count = len(process.args)
        container = made.get("container")
        if container is not None and container.drift is None:
            container.drift = is_drift(container.id, process)


def as_record(event: Event) -> dict[str, Any]:
    """The event as a recording holds it: what is absent is left out."""
    record: dict[str, Any] = {"kind": event.kind, "observed_at": time_text(event.observed_at), "id": event.id}
    for root in kinds()[event.kind].roots:
        if found := _present(getattr(event, attribute_name(root))):
            record[root] = found
    return record


def _present(struct: Any) -> dict[str, Any]:
    if not isinstance(struct, msgspec.Struct):  # an object that makes its fields when they are read
        struct = struct.whole()
    found = {}
    for name, key in _keys(struct.__class__):
        value = getattr(struct, name)
        if isinstance(value, msgspec.Struct):
            value = _present(value) or None
        if value is not None:
            found[key] = value
    return found


@cache
def _keys(struct: Any) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(struct))


PROVIDER = Provider(source=SOURCE, aliases=("sensor", "recorded"), recognise=recognise, events=events)
