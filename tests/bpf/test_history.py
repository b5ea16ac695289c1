"""`watchkeeper detections` and `detections show`, of acts that were really performed."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("watchkeeper")
POLICY = """
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {{name: test-history, namespace: watchkeeper}}
spec:
  title: Program of the test
  runbook: |
    What it means: a test.
    What to check: nothing at all.
  blindSpots: ["Other programs"]
  rules:
  - name: ran
    "on": [process.exec]
    when: process.exe == "{program}"
    severity: P2
    attack: ["T1059.004"]
    message: "{{process.exe}} ran"
  - name: thrice
    "on": [process.exec]
    when: process.exe == "{program}"
    threshold: {{count: 3, within: 1h, by: [process.uid]}}
    severity: P3
    message: "{{process.exe}} ran often"
"""
HOSTILE = b"\x1b[2J\xe2\x80\xae\xffpassword=hunter2hunter2"


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Folder of a history with three runs of a program."""
    folder = tmp_path_factory.mktemp("history")
    program = shutil.copy("/bin/true", folder / "program")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY.format(program=program))
    command = [COMMAND, "up", "--no-library", "--policies", policy, "--state", folder / "state", "--severity", "P4", "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert "watching" in up.stderr.readline()
        for number in range(3):
            subprocess.run([program, str(number), HOSTILE], check=True)
        rows = []
        end = time.monotonic() + 20
        while not any(row["rule"] == "thrice" for row in rows):
            assert time.monotonic() < end
            rows.append(json.loads(up.stdout.readline()))
        up.terminate()
        up.stdout.read()
        assert up.wait() == 0
    return folder / "state"


def detections(state, *options):
    return subprocess.run([COMMAND, "detections", *options, "--state", state], capture_output=True, text=True, check=False)


def rows(state, *options):
    return [json.loads(line) for line in detections(state, "-o", "json", *options).stdout.splitlines()]


def test_they_are_chosen_by_rule_severity_time_and_container(state):
    assert sorted(row["rule"] for row in rows(state)) == ["ran", "ran", "ran", "thrice"]
    assert [row["rule"] for row in rows(state, "--rule", "thrice")] == ["thrice"]
    assert len(rows(state, "--rule", "test-history/ran")) == 3
    assert len(rows(state, "--severity", "P2")) == 3
    assert len(rows(state, "--rule", "ran", "--last", "2")) == 2
    assert rows(state, "--since", "2030-01-01") == []
    assert rows(state, "--container", "web") == []
    assert len(rows(state, "--since", "1h")) == 4


def test_the_table_names_ids_that_show_takes(state):
    table = detections(state).stdout
    line = next(line for line in table.splitlines() if "test-history/ran" in line)
    assert "×3" in line
    shown = detections(state, "show", line.rpartition("(show ")[2].rstrip(")"))
    assert shown.returncode == 0
    assert "P2 Program of the test" in shown.stdout


def test_show_tells_the_tree_the_runbook_and_the_event(state):
    row = rows(state, "--rule", "ran")[0]
    text = detections(state, "show", row["id"][:10]).stdout
    assert f"id           {row['id']}\n" in text
    assert f"[{os.getpid()}]\n" in text
    assert f"[{row['act']['process_id']}] as root: " in text
    assert "What to check: nothing at all." in text
    assert "blind to     Other programs" in text
    assert '    kind = "process.exec"' in text
    assert f"    process.process_id = {row['act']['process_id']}" in text
    assert "    process.capabilities.effective = [" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "hunter2hunter2" not in text.partition("event ")[2]


def test_show_has_the_event_of_a_threshold_too(state):
    row = rows(state, "--rule", "thrice")[0]
    found = json.loads(detections(state, "show", row["id"], "-o", "json").stdout)
    assert found["event"]["kind"] == "process.exec"
    assert found["event"]["id"] == found["event_ids"][-1]
    assert found["event"]["process"]["args"][1] == "2"


def test_an_id_that_is_none_or_not_there_is_refused(state):
    for given, status, words in (("xyz1", 2, "is no id"), ("abc", 2, "at least 4"), ("ffffffffffffffffff", 3, "no detection's id begins")):
        done = detections(state, "show", given)
        assert done.returncode == status
        assert words in done.stderr
