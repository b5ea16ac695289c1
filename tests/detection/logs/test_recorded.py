import json

import pytest
from tests.support.events import a_policy, a_program

from watchkeeper_detection.logs.recorded import as_record
from watchkeeper_detection.logs.stream import StreamReader
from watchkeeper_detection.matcher import Matcher

EXEC = {
    "kind": "process.exec",
    "observed_at": "2026-03-01T10:00:00.123456789Z",
    "id": "boot:0:7",
    "process": {
        "id": "b:1:2",
        "process_id": 7,
        "exe": "/dev/shm/x",
        "args": ["x", "a b"],
        "uid": 0,
        "exe_upper_layer": True,
        "parent": {"args": ["sh", "-c", "x"]},
    },
    "container": {"id": "f" * 64, "name": "web"},
    "exec": {"path": "./x"},
}


def read(*records, reads=None):
    reader = StreamReader("recording", source="kernel", reads=reads)
    lines = "".join(json.dumps(record) + "\n" for record in records)
    return [*reader.feed(lines.encode()), *reader.close()]


def test_a_recorded_event_has_its_time_id_and_fields():
    (event,) = read(EXEC)
    assert (event.kind, event.source, event.id, event.observed_at) == ("process.exec", "kernel", "boot:0:7", 1772359200123456789)
    assert (event.process.exe, event.container.name, event.exec.path) == ("/dev/shm/x", "web", "./x")


def test_what_follows_from_other_fields_is_derived():
    (event,) = read(EXEC)
    assert event.process.command_line == "x 'a b'"
    assert event.process.parent.command_line == "sh -c x"
    assert event.process.args_count == 2
    assert event.container.drift is True
    (opened,) = read({"kind": "file.open", "observed_at": "2026-03-01T10:00:00Z", "file": {"path": "/etc/shadow"}})
    assert (opened.file.name, opened.file.directory, opened.target.id) == ("shadow", "/etc", "/etc/shadow")


@pytest.mark.parametrize(
    ("record", "reason"),
    [({**EXEC, "kind": "process.exex"}, "process.exec"), ({**EXEC, "connection": {}}, "carries no 'connection'")],
)
def test_a_record_that_no_sensor_makes_is_rejected_with_the_reason(record, reason):
    (event,) = read(record)
    assert event.kind == "log.rejected"
    assert reason in event.log.reason


def test_a_rule_over_derived_fields_fires_when_only_what_rules_read_is_decoded():
    program = a_program(
        a_policy("""
        - name: shm
          "on": [process.exec]
          when: process.exe.startsWith("/dev/shm/") && container.drift && process.command_line.contains("a b")
          severity: P2
          message: "{process.command_line} in {container.name}"
        """)
    )
    matcher = Matcher(program)
    (event,) = read(EXEC, reads=matcher.reads)
    ((detection,), _) = matcher.match(event)
    assert detection.message == "x 'a b' in web"
    assert (detection.actor, detection.identity) == ("/dev/shm/x[7]", "container:ffffffffffff/0")


def test_what_is_recorded_reads_back_as_the_same_event():
    (event,) = read(EXEC)
    again = read(json.loads(json.dumps(as_record(event))))
    assert as_record(again[0]) == as_record(event)
    assert again[0].process.parent.args == ["sh", "-c", "x"]
