"""`watchkeeper trace` and `replay`, with acts that were really performed."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.terminals import OnTerminal

from watchkeeper_detection.logs.recorded import as_record
from watchkeeper_detection.logs.stream import StreamReader

COMMAND = Path(sys.executable).with_name("watchkeeper")
KINDS = ("process.exec", "process.exit", "file.open", "network.connect")
POLICY = """
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {{name: test-trace, namespace: watchkeeper}}
spec:
  title: Acts of the test
  rules:
  - name: ran
    "on": [process.exec]
    when: process.exe == "{program}"
    severity: P2
    message: "{{process.command_line}} ran as {{process.user}} below {{process.parent.exe}}"
  - name: opened
    "on": [file.open]
    when: file.path == "{program}" && file.for_read && process.exe.endsWith("/cat")
    severity: P3
    message: "{{process.exe}} opened {{file.path}}"
  - name: thrice
    "on": [process.exec]
    when: process.exe == "{program}"
    threshold: {{count: 3, within: 1h, by: [process.uid]}}
    severity: P3
    message: "often"
"""
HOSTILE = b"\x1b[2J\xe2\x80\xae\xff\n"


@pytest.fixture
def program(tmp_path):
    return shutil.copy("/bin/true", tmp_path / "program")


@contextmanager
def running(sign, *command, env=None, read_after=0.0):
    """The command, once it has said `sign`; ended by Ctrl-C. What it prints is read so many seconds after that."""
    with subprocess.Popen([COMMAND, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env and {**os.environ, **env}) as process:
        while sign not in (line := process.stderr.readline()):
            assert line, process.poll()
        yield process
        process.send_signal(2)
        time.sleep(read_after)
        process.rest, process.errors = process.communicate(timeout=30)
        assert process.returncode == 0


def test_a_recording_replays_to_the_same_events_and_detections(program, tmp_path):
    policy, recording = tmp_path / "policy.yaml", tmp_path / "events.jsonl"
    policy.write_text(POLICY.format(program=program))
    judged = ("up", "--no-library", "--policies", policy, "--state", tmp_path / "state", "-o", "json")
    with running("watching", *judged) as up, running("tracing", "trace", *KINDS, "--record", recording) as trace:
        for number in range(3):
            subprocess.run([program, str(number), HOSTILE], check=True)
        subprocess.run(["/bin/cat", program], check=True, stdout=subprocess.DEVNULL)
    seen = [json.loads(line) for line in up.rest.splitlines()]
    assert sorted(row["rule"] for row in seen) == ["opened", "ran", "ran", "ran", "thrice"]

    reader = StreamReader(str(recording), source="kernel", reads=None)
    lines = recording.read_bytes().splitlines(keepends=True)
    events = [*reader.feed(b"".join(lines)), *reader.close()]
    assert [as_record(event) for event in events] == [json.loads(line) for line in lines]
    assert trace.rest.splitlines() == [line.decode().rstrip("\n") for line in lines]

    replayed = subprocess.run([COMMAND, "replay", recording, "--no-library", "--policies", policy, "-o", "json"], capture_output=True, check=True)
    again = [json.loads(line) for line in replayed.stdout.splitlines()]
    what = ("rule", "severity", "message", "actor", "identity", "target", "count", "kind", "confidence")
    assert sorted([row[name] or "" for name in what] for row in again) == sorted([row[name] or "" for name in what] for row in seen)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_signal_while_the_reader_is_slow_cuts_no_line(program, unbuffered):
    with running("tracing", "trace", "process.exec", "--where", f'process.exe == "{program}"', env={"PYTHONUNBUFFERED": unbuffered}, read_after=0.3) as trace:
        for number in range(60):
            subprocess.run([program, str(number), "x" * 4000], check=True)
        end = time.monotonic() + 10
        while "pipe_write" not in Path(f"/proc/{trace.pid}/wchan").read_text():  # nobody reads, so the pipe is full before all is written
            assert time.monotonic() < end
            time.sleep(0.02)
    assert [json.loads(line)["process"]["args"][1] for line in trace.rest.splitlines()] == [str(number) for number in range(60)]


def test_a_condition_chooses_events_and_a_pattern_kinds(program):
    with running("tracing", "trace", "process.e*", "--where", f'process.exe == "{program}"', "--count", "2") as trace:
        subprocess.run(["/bin/true"], check=True)
        child = subprocess.Popen([program])
        child.wait()
        trace.wait(20)
    rows = [json.loads(line) for line in trace.rest.splitlines()]
    assert [row["kind"] for row in rows] == ["process.exec", "process.exit"]
    assert {row["process"]["process_id"] for row in rows} == {child.pid}
    assert "2 events; none lost" in trace.errors


def test_on_a_terminal_events_are_lines_without_anything_hostile(program):
    screen = OnTerminal([COMMAND, "trace", "process.exec", "--where", f'process.exe == "{program}"'], columns=800)
    try:
        screen.wait_for("tracing process.exec")
        subprocess.run([program, HOSTILE], check=True)
        row = screen.wait_for(lambda: next((row for row in screen.scrolled if str(program) in row), None))
        assert re.match(rf"\d\d:\d\d:\d\d\.\d{{3}} process\.exec {program}\[\d+\] root \$ {program} '.*x1b\[2J.*u202e.*xff.*exec\.path={program}", row)
        assert screen.end() == 0
        left = re.sub(rb"\x1b\[[0-9;]*m", b"", screen.raw)
        assert b"\x1b" not in left
        assert "\u202e".encode() not in left
    finally:
        screen.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    {
        "a kind that is not there has the nearest one": (("process.exe",), ["process.exe is nothing that the sensor tells; did you mean process.exec?"]),
        "a kind like none has the families": (("zzzzzz",), ["there are process.*, credentials.*,"]),
        "a mistake is pointed at": (
            ("process.exec", "--where", "process.uidd == 0"),
            [
                "  process.uidd == 0\n          ^ there is no field process.uidd\n            did you mean process.uid?\n",
                "watchkeeper fields process.exec lists",
            ],
        ),
        "an unfinished condition is pointed at": (
            ("process.exec", "--where", "process.uid =="),
            ["  process.uid ==\n                ^ the expression ends too early"],
        ),
        "what can't be written is named": (("process.exec", "--record", "/nowhere/events"), ["can't write to /nowhere/events"]),
    }.values(),
)
def test_mistakes_are_told_with_their_place(arguments, words):
    done = subprocess.run([COMMAND, "trace", *arguments], capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "300"})
    assert done.returncode == 2
    for text in words:
        assert text in done.stderr


def test_kinds_are_completed():
    asked = {**os.environ, "_WATCHKEEPER_COMPLETE": "complete_bash", "COMP_WORDS": "watchkeeper trace network.s", "COMP_CWORD": "2"}
    done = subprocess.run([COMMAND], env=asked, capture_output=True, text=True, check=False)
    assert {"network.send", "network.socket"} <= set(done.stdout.split())
