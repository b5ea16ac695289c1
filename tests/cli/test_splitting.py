import json

import pytest
from tests.support.raw_records import an_audit_event

from watchkeeper_cli.parts import Part, PartJudge, Setup
from watchkeeper_cli.splitting import holds_json_lines, parts_of
from watchkeeper_detection.checking import check_policies
from watchkeeper_detection.policy_loading import load_policies


def write_lines(path, count):
    path.write_text("".join(json.dumps(an_audit_event(number)) + "\n" for number in range(count)))
    return path


def test_parts_begin_at_line_starts_and_leave_nothing_out(tmp_path):
    path = write_lines(tmp_path / "audit.log", 200)
    content = path.read_bytes()
    parts = list(parts_of(str(path), len(content), part_bytes=10_000))
    assert len(parts) > 5
    assert parts[0].start == 0
    assert [part.end for part in parts[:-1]] == [part.start for part in parts[1:]]
    assert parts[-1].end == len(content)
    assert all(content[part.start - 1 : part.start] == b"\n" for part in parts[1:])


def test_parts_know_the_number_of_their_first_line(tmp_path):
    path = write_lines(tmp_path / "audit.log", 200)
    content = path.read_bytes()
    for part in parts_of(str(path), len(content), part_bytes=10_000):
        assert part.number == content[: part.start].count(b"\n") + 1


def test_a_line_longer_than_a_part_stays_whole(tmp_path):
    path = tmp_path / "audit.log"
    long = json.dumps(an_audit_event(1, requestObject={"data": "x" * 50_000}))
    short = json.dumps(an_audit_event(2))
    path.write_text(f"{short}\n{long}\n{short}\n")
    content = path.read_bytes()
    lines = [content[part.start : part.end] for part in parts_of(str(path), len(content), part_bytes=8_000)]
    assert b"".join(lines) == content
    assert all(line.startswith(b"{") and line.endswith(b"}\n") for line in lines)


def detections_of(parts):
    judge = PartJudge(Setup(judged_program()))
    return [detection for part in parts for batch in judge.judge(part) for detection in batch.detections]


def judged_program():
    written = """
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {name: any, namespace: watchkeeper}
spec:
  title: Any
  rules:
  - {name: any, "on": [audit.request], when: audit.verb == "get", severity: P3, message: "{audit.auditID} {audit.stage}"}
"""
    return check_policies(load_policies(written, "any.yaml").documents).program


def test_parts_give_the_detections_of_the_whole_file(tmp_path):
    path = write_lines(tmp_path / "audit.log", 200)
    parts = list(parts_of(str(path), path.stat().st_size, part_bytes=10_000))
    assert detections_of(parts) == detections_of([Part(str(path))])
    assert len(detections_of(parts)) == 200


def test_a_request_that_an_earlier_part_judged_when_it_started_is_not_judged_again_when_it_ends(tmp_path):
    path = tmp_path / "audit.log"
    records = [an_audit_event(number, stage="ResponseStarted") for number in range(5)]
    records += [an_audit_event(number) for number in range(5, 60)]
    records += [an_audit_event(number) for number in range(5)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    parts = list(parts_of(str(path), path.stat().st_size, part_bytes=10_000))
    assert len(parts) > 3
    assert detections_of(parts) == detections_of([Part(str(path))])
    assert len(detections_of(parts)) == 60


def test_a_small_file_is_one_part(tmp_path):
    path = write_lines(tmp_path / "audit.log", 3)
    assert list(parts_of(str(path), path.stat().st_size)) == [Part(str(path))]


@pytest.mark.parametrize(
    "content",
    {
        "an archive": b"\x1f\x8b\x08\x00" + b"x" * 100,
        "a document over several lines": b'{\n  "Records": [\n  ]\n}\n',
        "an array": b'[{"a": 1},\n{"a": 2}]\n',
        "text with a header": b"version account-id\n2 492817365042\n",
        "one line": b'{"Records": []}',
        "nothing": b"",
    }.values(),
)
def test_what_is_no_json_lines_is_not_cut(tmp_path, content):
    path = tmp_path / "log"
    path.write_bytes(content)
    assert not holds_json_lines(str(path))
