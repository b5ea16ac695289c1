"""Shapes of streams: whatever carries the records, the same events come out, and nothing stops a run."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.raw_records import a_cloudtrail_event, an_audit_event
from tests.support.shapes import (
    aks_as_objects,
    aks_as_text,
    aks_diagnostics,
    aks_row,
    azure_diagnostics_row,
    containerd_line,
    docker_line,
    eks_export,
    eks_subscription,
    event_list,
    filebeat_record,
    fluent_bit_record,
    gke_entry,
    insights_row,
    v1beta1,
)
from tests.support.streams import events_of, json_lines, reasons

from watchkeeper_detection.logs import splitter, stream
from watchkeeper_detection.logs.stream import StreamReader, provider_named

A, B, C = (a_cloudtrail_event(number) for number in (1, 2, 3))
AUDIT = an_audit_event(9)


def names(events):
    return [(event.kind, event.number, event.cloudtrail.eventID) for event in events]


ONE_TWO_THREE = [("cloudtrail.event", number, trail["eventID"]) for number, trail in enumerate((A, B, C), 1)]

SHAPES = {
    "one event a line": json_lines(A, B, C),
    "the last line has no end": json_lines(A, B, C).rstrip(b"\n"),
    "lines end as on Windows": json_lines(A, B, C).replace(b"\n", b"\r\n"),
    "a byte order mark": b"\xef\xbb\xbf" + json_lines(A, B, C),
    "UTF-16": json_lines(A, B, C).decode().encode("utf-16"),
    "spaces before the records": json_lines(*("  " + json.dumps(one) for one in (A, B, C))),
    "a Records file": json.dumps({"Records": [A, B, C]}).encode(),
    "a Records file without spaces": json.dumps({"Records": [A, B, C]}, separators=(",", ":")).encode(),
    "a Records file with line ends in it": json.dumps({"Records": [A, B, C]}, indent=2).encode(),
    "Records with other members around": json.dumps({"owner": {"Records": "no"}, "Records": [A, B, C], "more": [1, {"x": "]}"}]}, indent=1).encode(),
    "a top-level array": json.dumps([A, B, C]).encode(),
    "a top-level array over lines": json.dumps([A, B, C], indent=4).encode(),
    "objects over several lines": b"\n".join(json.dumps(one, indent=2).encode() for one in (A, B, C)),
    "two Records files one after the other": json.dumps({"Records": [A]}).encode() + json.dumps({"Records": [B, C]}).encode(),
    "Records files, one a line": json_lines({"Records": [A, B]}, {"Records": [C]}),
    "an empty array first": json_lines({"Records": []}, {"Records": [A, B, C]}),
    "Event Hubs' records": json.dumps({"records": [A, B, C]}).encode(),
    "an API's answer": json.dumps({"value": [A, B, C]}).encode(),
}


@pytest.mark.parametrize("chunk", [1 << 20, 100, 7])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_events(shape, chunk):
    assert names(events_of(SHAPES[shape], chunk=chunk)) == ONE_TWO_THREE


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "UTF-16"])
def test_an_events_offset_is_where_its_record_begins(shape):
    content = SHAPES[shape]
    for event in events_of(content):
        found, _ = json.JSONDecoder().raw_decode(content[event.offset :].decode().lstrip())
        assert found["eventID"] == event.cloudtrail.eventID


ENVELOPES = {
    "EventBridge": {"version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.iam", "detail": A},
    "CloudWatch subscription": eks_subscription(A),
    "a CloudWatch export": eks_export({**A, "requestReceivedTimestamp": "2026-03-12T02:46:00.000000Z"}),
    "an array on a line": [A],
    "an envelope in an envelope": {"Records": [{"detail-type": "x", "detail": A}]},
    "Logs Insights": insights_row(A),
    "Logs Insights, decoded": insights_row(A, decoded=True),
    "Docker": docker_line(A),
    "containerd": containerd_line(A),
    "Fluent Bit": fluent_bit_record(A),
    "Filebeat": filebeat_record(A),
    "a subscription in Filebeat": filebeat_record(eks_subscription(A)),
}


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_envelopes_are_opened_and_the_line_number_kept(envelope):
    events = events_of(json_lines(B, ENVELOPES[envelope], C))
    assert [(event.kind, event.number) for event in events] == [("cloudtrail.event", 1), ("cloudtrail.event", 2), ("cloudtrail.event", 3)]
    assert events[1].cloudtrail.eventID == A["eventID"]


def in_messages(record, levels, *, text):
    for _ in range(levels):
        record = {"message": json.dumps(record) if text else record}
    return record


@pytest.mark.parametrize("text", [True, False])
def test_envelopes_in_envelopes_are_opened_to_a_depth_that_is_bounded(text):
    near, far = in_messages(A, 3, text=text), in_messages(A, 12, text=text)
    assert [(event.kind, event.number) for event in events_of(json_lines(near, far, B))] == [
        ("cloudtrail.event", 1),
        ("log.rejected", 2),
        ("cloudtrail.event", 3),
    ]


PLAIN_MESSAGES = {
    "a line that Filebeat read": {**filebeat_record(A), "message": "I0312 02:30:00.000000       1 server.go:42] started"},
    "a damaged line": {"log": json.dumps(A)[:200], "stream": "stdout"},
    "a number": {"log": 17},
    "a list": {"message": [A]},
    "another object": {"message": {"a": 1}},
}


@pytest.mark.parametrize("kind", PLAIN_MESSAGES)
def test_a_message_that_is_no_record_is_one_reject(kind):
    assert [number for number, _ in reasons(events_of(json_lines(PLAIN_MESSAGES[kind], A)))] == [1]


def test_a_row_of_logs_insights_may_be_a_text_line():
    flow = "2 492817365042 eni-0a1b2c3d4e5f60718 10.20.1.9 203.0.113.9 49152 443 6 10 840 1773282600 1773282660 ACCEPT OK"
    (event,) = events_of(json_lines({"@timestamp": "2026-03-12 02:30:00.000", "@message": flow}))
    assert (event.kind, event.vpcflow.dstport) == ("vpcflow.flow", 443)


def test_several_events_of_one_line_have_ids_of_their_own():
    events = events_of(json_lines(B, eks_subscription(AUDIT, an_audit_event(10), an_audit_event(11))))
    assert [event.number for event in events] == [1, 2, 2, 2]
    assert len({event.id for event in events}) == 4


def test_objects_with_nothing_between_them_are_events_of_one_line():
    events = events_of(json.dumps(A).encode() + json.dumps(B).encode() + b"\n" + json.dumps(C).encode())
    assert [event.number for event in events] == [1, 1, 2]
    assert len({event.id for event in events}) == 3


AUDIT_SHAPES = {
    "native": AUDIT,
    "v1beta1": v1beta1(AUDIT),
    "EventList": event_list(AUDIT),
    "EKS subscription": eks_subscription(AUDIT),
    "EKS export": eks_export(AUDIT),
    "AKS": aks_diagnostics(AUDIT),
    "AKS, the event as an object": aks_as_objects(AUDIT),
    "AKS, the properties as text": aks_as_text(AUDIT),
    "AKSAudit": aks_row(AUDIT),
    "AKSAudit, its objects as text": aks_row(AUDIT, text=True),
    "AzureDiagnostics": azure_diagnostics_row(AUDIT),
    "AzureDiagnostics in an API's answer": {"value": [azure_diagnostics_row(AUDIT)]},
    "Logs Insights": insights_row(AUDIT),
    "Logs Insights, decoded": insights_row(AUDIT, decoded=True),
    "Docker": docker_line(AUDIT),
    "containerd": containerd_line(AUDIT),
    "Fluent Bit": fluent_bit_record(AUDIT),
    "Fluent Bit, decoded": fluent_bit_record(AUDIT, decoded=True),
    "Filebeat": filebeat_record(AUDIT),
    "Filebeat around Docker": filebeat_record(docker_line(AUDIT)),
    "GKE": gke_entry(AUDIT),
}


@pytest.mark.parametrize("source", [None, "k8s-audit", "cloudtrail", "aks-audit", "gcp-audit"])
@pytest.mark.parametrize("shape", AUDIT_SHAPES)
def test_audit_events_come_out_of_every_providers_shape_whatever_source_is_named(shape, source):
    (event,) = events_of(json_lines(AUDIT_SHAPES[shape]), source=source)
    assert event.kind == "audit.request"
    assert (event.audit.verb, event.audit.objectRef.resource, event.audit.objectRef.namespace, event.audit.objectRef.name) == ("get", "secrets", "shop", "db")
    assert (event.identity.id, event.action.name, event.target.id) == ("alice", "get secrets", "namespaces/shop/secrets/db")
    assert (event.outcome.status, event.outcome.code, event.origin.ip) == ("success", "200", "10.20.1.9")
    assert event.observed_at == 1_773_282_600_000_009_000


def test_lines_of_several_logs_may_be_mixed():
    flow = "2 492817365042 eni-0a1b2c3d4e5f60718 10.20.1.9 203.0.113.9 49152 443 6 10 840 1773282600 1773282660 ACCEPT OK"
    mixed = [A, AUDIT, flow, gke_entry(AUDIT), B] * 40
    kinds = [event.kind for event in events_of(json_lines(*mixed))]
    assert kinds == ["cloudtrail.event", "audit.request", "vpcflow.flow", "audit.request", "cloudtrail.event"] * 40


BAD_LINES = {
    "cut off": (json.dumps(A)[:200], "not JSON"),
    "no JSON": ("hello world", "neither JSON nor a line of any log"),
    "another log": ('{"a": 1}', "not a record of any log"),
    "a number": ("17", "neither JSON nor"),
    "an array of numbers": ("[1, 2]", "not a record of any log"),
    "zero bytes": ("\x00\x00\x00", "neither JSON nor"),
    "zero bytes in JSON": ('{"eventName": \x00}', "not JSON"),
    "bytes that are no UTF-8": (b'{"eventName": "\xff\xfe", "eventSource": "x"}', "not UTF-8"),
    "text that is no UTF-8": (b"caf\xe9", "not UTF-8"),
    "nesting without end": ('{"a":' + "[" * 5000 + "]" * 5000 + "}", "nested too deeply"),
    "NaN": ('{"eventName": NaN}', "not JSON"),
    "a bracket too many": (json.dumps(A) + "}", "not JSON"),
}


@pytest.mark.parametrize("source", [None, "cloudtrail"])
@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_is_an_event_of_its_own_and_stops_nothing(kind, source):
    line, reason = BAD_LINES[kind]
    content = json_lines(A, line, B, C)
    events = events_of(content, source=source)
    assert [event.number for event in events] == [1, 2, 3, 4]
    bad = events[1]
    if kind == "another log" and source:  # the user said so
        assert bad.kind == "cloudtrail.event"
        return
    assert (bad.kind, bad.log.stream, bad.log.count) == ("log.rejected", "log", 1)
    assert reason in bad.log.reason
    assert bad.offset == content.index(b"\n") + 1
    assert bad.log.source == "cloudtrail"
    assert [event.kind for event in events if event is not bad] == ["cloudtrail.event"] * 3


def test_blank_lines_are_no_rejects_and_count_as_lines():
    events = events_of(json_lines("", A, "", "  ", "\r", B))
    assert [(event.kind, event.number) for event in events] == [("cloudtrail.event", 2), ("cloudtrail.event", 6)]


def test_an_excerpt_is_short_and_tells_no_secrets():
    (event,) = events_of(b"password=hunter2 " + b"x" * 3000)
    assert len(event.log.excerpt) == 200
    assert "hunter2" not in event.log.excerpt


def test_nothing_comes_out_of_an_empty_stream():
    assert events_of(b"") == []
    assert events_of(b"\n\n") == []


QUIET = {
    "a digest file": {"awsAccountId": "492817365042", "digestStartTime": "2026-03-12T01:46:00Z", "digestEndTime": "2026-03-12T02:46:00Z", "logFiles": []},
    "CloudWatch's test message": {
        "messageType": "CONTROL_MESSAGE",
        "owner": "CloudwatchLogs",
        "logEvents": [{"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE"}],
    },
    "another log of AKS's control plane": {"category": "kube-scheduler", "properties": {"log": "I0312 ..."}},
    "an empty Records file": {"Records": []},
}


@pytest.mark.parametrize("kind", QUIET)
def test_what_is_no_event_is_no_reject_either(kind):
    assert events_of(json_lines(QUIET[kind])) == []


def test_an_array_damaged_in_the_middle_loses_one_record(monkeypatch):
    monkeypatch.setattr(splitter, "RECORD_BYTES", 20_000)
    parts = [json.dumps(one) for one in (A, B, C) * 60]
    parts[90] = parts[90].replace('"eventVersion": "1.11"', '"eventVersion": 1.11.11', 1)
    events = events_of(('{"Records": [' + ", ".join(parts) + "]}").encode())
    assert len(events) == 180
    assert [event.number for event in events if event.kind == "log.rejected"] == [91]


@pytest.mark.parametrize("damage", ['"resources": [{', '"tlsDetails": {"x": "'])
def test_an_array_with_a_bracket_or_quote_missing_goes_on_at_the_next_record(monkeypatch, damage):
    monkeypatch.setattr(splitter, "RECORD_BYTES", 20_000)
    parts = [json.dumps(one) for one in (A, B, C) * 60]
    parts[90] = '{"eventVersion": "1.11", ' + damage
    events = events_of(('{"Records": [' + ", ".join(parts) + "]}").encode(), chunk=5000)
    kinds = [event.kind for event in events]
    assert kinds.count("cloudtrail.event") >= 178
    assert 1 <= kinds.count("log.rejected") <= 2
    assert events[-1].cloudtrail.eventID == C["eventID"]


def test_a_truncated_document_says_so():
    content = json.dumps({"Records": [A, B, C]}).encode()
    for cut in (len(content) - 2, len(content) - 40, len(content) - 1):
        events = events_of(content[:cut])
        assert [event.kind for event in events][:2] == ["cloudtrail.event"] * 2
        assert events[-1].kind == "log.rejected"
        assert "cut off" in events[-1].log.reason


def test_a_line_longer_than_a_record_may_be_is_rejected_and_skipped_in_constant_memory():
    reader = StreamReader("log", source=None, reads=None)
    events = list(reader.feed(json_lines(A)))
    largest = 0
    for _ in range(40):
        events += reader.feed(b"[" * (1 << 20))
        largest = max(largest, sum(map(len, reader._splitter._parts)) + len(reader._splitter._buffer))
    events += [*reader.feed(b"\n" + json_lines(B)), *reader.close()]
    assert [(event.kind, event.number) for event in events] == [("cloudtrail.event", 1), ("log.rejected", 2), ("cloudtrail.event", 3)]
    assert "longer than 16 MiB" in events[1].log.reason
    assert largest <= (17 << 20) + 1024


def test_an_element_longer_than_a_record_may_be_is_rejected_and_skipped(monkeypatch):
    monkeypatch.setattr(splitter, "RECORD_BYTES", 200_000)
    big = {**B, "requestParameters": {"x": ["y" * 1000] * 2000}}
    events = events_of(json.dumps({"Records": [A, big, C]}).encode(), chunk=50_000)
    assert [(event.kind, event.number) for event in events] == [("cloudtrail.event", 1), ("log.rejected", 2), ("cloudtrail.event", 3)]


def test_a_large_records_file_is_cut_into_runs_and_nothing_is_lost():
    records = [
        a_cloudtrail_event(number, requestParameters={"list": [{"a": 1}, {"eventVersion": number}], "text": '},{"eventVersion"'}) for number in range(3000)
    ]
    events = events_of(json.dumps({"Records": records}, separators=(",", ":")).encode(), chunk=100_000)
    assert [event.cloudtrail.eventID for event in events] == [record["eventID"] for record in records]
    assert [event.number for event in events] == list(range(1, 3001))


def test_memory_does_not_grow_with_a_document():
    reader = StreamReader("log", source=None, reads=None)
    list(reader.feed(b'{"Records":['))
    element = json.dumps(A).encode() + b","
    largest = 0
    for _ in range(200):
        for _event in reader.feed(element * 200):
            pass
        largest = max(largest, len(reader._splitter._buffer))
    assert largest < 200_000


def test_parquet_is_handed_over_as_a_whole():
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(pa.table({"srcaddr": ["10.0.0.1"], "dstaddr": ["10.0.0.2"], "dstport": [443], "action": ["ACCEPT"]}), file)
    for chunk in (1, 100, 1 << 20):
        (event,) = events_of(file.getvalue(), chunk=chunk)
        assert (event.kind, event.vpcflow.dstport) == ("vpcflow.flow", 443)
    assert "Parquet" in reasons(events_of(b"PAR1" + bytes(100)))[0][1]


def test_a_parquet_file_too_large_to_hold_is_rejected(monkeypatch):
    monkeypatch.setattr(stream, "PARQUET_BYTES", 1000)
    assert [number for number, _ in reasons(events_of(b"PAR1" + bytes(5000), chunk=100))] == [1]


def test_an_unknown_source_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="k8s-audit, cloudtrail, vpcflow"):
        provider_named("kubernetes")


@settings(deadline=None)
@given(st.lists(st.sampled_from([A, B, AUDIT, {"a": 1}, "", "x", json.dumps(A)[:50], event_list(AUDIT, AUDIT)]), max_size=12), st.integers(1, 400))
def test_chunks_do_not_matter(lines, chunk):
    def told(events):
        return [(event.kind, event.number, event.offset, event.id) for event in events]

    content = json_lines(*lines)
    assert told(events_of(content, chunk=chunk)) == told(events_of(content))


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_are_read_without_an_exception(content, chunk):
    numbers = [event.number for event in events_of(content, chunk=chunk)]
    assert numbers == sorted(numbers)
