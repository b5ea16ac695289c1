"""The typed path and the general path give equal events, whatever the record."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.raw_records import a_cloudtrail_event, an_audit_event
from tests.support.streams import events_of

from watchkeeper_detection.cel.functions import opened
from watchkeeper_detection.fields import Field, fields
from watchkeeper_detection.logs import cloudtrail, kubernetes_audit
from watchkeeper_detection.logs.pieces import Piece
from watchkeeper_detection.logs.provider import RecordPlace
from watchkeeper_detection.record_types import is_raw

COMMON = ("observed_at", "identity", "actor", "action", "target", "outcome", "origin")
PROVIDERS = {"audit": kubernetes_audit, "cloudtrail": cloudtrail}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8)
FITTING: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "timestamp": st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    "int": st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
    "list(string)": st.lists(TEXT, max_size=3),
    "map(string)": st.dictionaries(TEXT, TEXT, max_size=3),
}


def values(row: Field) -> st.SearchStrategy[Any]:
    """Mostly what the vocabulary says, sometimes anything."""
    fitting = JSON if is_raw(row) else FITTING[row.type]
    return st.integers(0, 19).flatmap(lambda chance: JSON if not chance else fitting)


def nested(pairs: list[tuple[Field, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for row, value in pairs:
        *branches, _ = row.path.split(".")[1:]
        node = record
        for word in branches:
            node = node.setdefault(word, {})
        node[row.key] = value
    return record


@st.composite
def records(draw: st.DrawFn, root: str) -> dict[str, Any]:
    rows = [row for row in fields().values() if row.root == root]
    chosen = draw(st.lists(st.sampled_from(rows), max_size=25, unique_by=lambda row: row.path))
    record = nested([(row, draw(values(row))) for row in chosen])
    whole = an_audit_event() if root == "audit" else a_cloudtrail_event()
    for key in draw(st.sets(st.sampled_from(sorted(whole)))):
        record.setdefault(key, whole[key])
    return {**record, **draw(st.dictionaries(TEXT, JSON, max_size=2))}


def told(event: Any, root: str) -> dict[str, Any]:
    """Everything that rules can read of an event."""
    found: dict[str, Any] = {}
    for row in fields().values():
        if row.root == root:
            *branches, _leaf = row.path.split(".")
            struct = event
            for word in branches:
                struct = getattr(struct, word)
            names = {encoded: name for name, encoded in zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)}
            found[row.path] = opened(struct, names[row.key])
    common = {name: getattr(event, name) for name in COMMON}
    return {**found, **{name: value if isinstance(value, int) else msgspec.structs.asdict(value) for name, value in common.items()}}


@pytest.mark.parametrize("root", PROVIDERS)
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_both_paths_give_equal_events(root, data):
    record = data.draw(records(root))
    provider = PROVIDERS[root]
    content = json.dumps(record).encode()
    path = provider.typed_path(None)
    try:
        typed = path.events([path.record_decoder.decode(content)], "log", 1, Piece(1, 0, content))[0]
    except msgspec.ValidationError:
        return  # the general path's alone
    if typed is None:
        return
    assert provider.recognise(record), "what the typed path takes, the general path would give to the same provider"
    (general,) = provider.events(record, RecordPlace("log", 1, 0), None)
    assert told(typed, root) == told(general, root)
    assert (typed.kind, typed.id, typed.number, typed.offset) == (general.kind, general.id, general.number, general.offset)


ODD = {
    "a lone surrogate": ('"userAgent": "', '"userAgent": "\\ud800'),
    "a number past a double": ('"readOnly": false', '"readOnly": false, "requestParameters": {"n": 1e999}'),
    "a number past a double where nobody looks": ('"readOnly": false', '"readOnly": false, "x": 1e999'),
    "a number for text": ('"awsRegion": "eu-central-1"', '"awsRegion": 7'),
    "null for an object": ('"tlsDetails": {', '"userIdentity": null, "tlsDetails": {'),
    "a number of 5,000 digits": ('"readOnly": false', '"requestParameters": {"n": ' + "9" * 5000 + "}"),
    "the same key twice": ('"readOnly": false', '"readOnly": true, "readOnly": false'),
}


@pytest.mark.parametrize("what", ODD)
def test_what_json_allows_is_read(what):
    line = json.dumps(a_cloudtrail_event())
    odd = line.replace(*ODD[what], 1)
    assert odd != line
    events = events_of(f"{line}\n{odd}\n{line}".encode())
    assert [event.kind for event in events] == ["cloudtrail.event"] * 3
    assert events[1].cloudtrail.eventName == "StopLogging"
    opened(events[1].cloudtrail, "requestParameters")
    for name in COMMON:
        getattr(events[1], name)


def test_bytes_that_are_no_utf_8_in_a_field_that_is_opened_are_replaced():
    line = json.dumps(a_cloudtrail_event(requestParameters={"name": "??"})).encode().replace(b'"??"', b'"\xff\xfe"')
    (event,) = events_of(line, source="cloudtrail")
    assert opened(event.cloudtrail, "requestParameters") == {"name": "\ufffd\ufffd"}


def test_a_run_with_records_of_many_kinds_is_read_record_by_record():
    trail = a_cloudtrail_event()
    lines = [{"eventName": "X", "awsRegion": "eu-central-1"}, trail, {**trail, "readOnly": 7}, {**trail, "eventName": None, "insightDetails": {}}] * 50
    events = events_of("\n".join(map(json.dumps, lines)).encode())
    assert [event.number for event in events] == list(range(1, 201))
    assert {event.kind for event in events} == {"cloudtrail.event"}
