"""The command as a user runs it: real processes, real files, small policies."""

import contextlib
import json
import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest
from tests.support.commands import WATCHKEEPER, watchkeeper
from tests.support.raw_records import a_cloudtrail_event, an_audit_event

POLICIES = """
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {name: secret-read, namespace: watchkeeper}
spec:
  title: Secret read
  rules:
  - name: read
    on: [audit.request]
    when: audit.objectRef.resource == "secrets" && audit.verb == "get"
    severity: P2
    attack: ["T1552.007"]
    message: "{identity.id} read {audit.objectRef.name} with {audit.userAgent}"
  - name: many
    on: [audit.request]
    when: audit.objectRef.resource == "secrets" && audit.verb == "get"
    threshold: {count: 3, within: 5m, by: [identity.id]}
    severity: P1
    attack: ["T1552.007"]
    message: "{identity.id} read secrets"
  - name: patched
    on: [audit.request]
    when: audit.verb == "patch" && audit.requestObject.kind == "Secret"
    severity: P2
    message: "patched"
  - name: new-reader
    on: [audit.request]
    when: audit.objectRef.resource == "configmaps" && audit.verb == "get"
    firstSeen: {of: [identity.id], per: [audit.objectRef.namespace], learn: 1d}
    severity: P3
    message: "{identity.id} is new"
---
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {name: trail-stopped, namespace: watchkeeper}
spec:
  title: Trail stopped
  rules:
  - name: stopped
    on: [cloudtrail.event]
    when: cloudtrail.eventSource == "cloudtrail.amazonaws.com" && cloudtrail.eventName == "StopLogging"
    severity: P2
    attack: ["T1685.002"]
    message: "{identity.id} stopped a trail"
---
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {name: port-3333, namespace: watchkeeper}
spec:
  title: Port 3333
  rules:
  - name: flow
    on: [vpcflow.flow]
    when: vpcflow.dstport == 3333
    severity: P3
    message: "{vpcflow.srcaddr} to {vpcflow.dstaddr}"
"""
FLOWS = """version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status
2 492817365042 eni-0c93ab5d17 10.20.3.52 192.88.99.91 41234 3333 6 14 2210 1773282600 1773282659 ACCEPT OK
"""


@pytest.fixture
def judge(tmp_path):
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "policies.yaml").write_text(POLICIES)

    def run(*arguments, stdin=b""):
        return watchkeeper("judge", "--no-library", "--policies", policies, *arguments, stdin=stdin)

    return run


def lines_of(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def detections(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def named(done):
    return sorted(f"{one['policy']}/{one['rule']}" for one in detections(done))


def test_exits_with_0_when_it_judged_whatever_it_found(judge, tmp_path):
    log = write(tmp_path / "audit.log", lines_of(an_audit_event()))
    assert judge(log).returncode == 0
    assert judge(log, "--fail-on", "P1").returncode == 0


def test_exits_with_1_when_a_detection_is_as_bad_as_fail_on_says(judge, tmp_path):
    log = write(tmp_path / "audit.log", lines_of(an_audit_event()))
    assert judge(log, "--fail-on", "P2").returncode == 1
    assert judge(log, "--fail-on", "P3").returncode == 1


@pytest.mark.parametrize(
    "arguments",
    {
        "an unknown option": ["--no-such-option"],
        "an unknown log type": ["--source", "syslog-from-mars"],
        "a time that is none": ["--since", "yesterday-ish"],
        "a time that ends before it begins": ["--since", "2026-03-13", "--until", "2026-03-12"],
        "failing on what is left out": ["--severity", "P1", "--fail-on", "P3"],
        "rejects where none can be written": ["--rejects", "/there-is-no-such-folder/rejects.jsonl"],
        "a severity that is none": ["--severity", "P9"],
        "a folder of policies that is not there": ["--policies", "no/such/folder"],
        "secrets shown where no terminal is": ["--show-secrets"],
        "learning with an output of detections": ["--learn", "--output", "json"],
    }.values(),
)
def test_exits_with_2_on_wrong_usage(judge, tmp_path, arguments):
    done = judge(write(tmp_path / "audit.log", lines_of(an_audit_event())), *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_exits_with_2_when_a_policy_is_wrong_and_names_every_error(judge, tmp_path):
    wrong = write(
        tmp_path / "wrong.yaml",
        "apiVersion: watchkeeper.dev/v1alpha1\nkind: RuntimePolicy\nmetadata: {name: wrong}\nspec:\n  title: Wrong\n  rules:\n"
        '  - {name: one, on: [audit.request], when: audit.verbb == "get", severity: P2}\n'
        "  - {name: two, on: [audit.request], when: audit.verb == 3, severity: P2}\n",
    )
    done = judge("--policies", wrong, write(tmp_path / "audit.log", lines_of(an_audit_event())))
    assert done.returncode == 2
    assert "wrong / one" in done.stderr
    assert "audit.verb" in done.stderr
    assert "wrong / two" in done.stderr


def test_exits_with_3_when_input_can_not_be_read_and_judges_the_rest(judge, tmp_path):
    log = write(tmp_path / "audit.log", lines_of(an_audit_event()))
    done = judge("--output", "json", tmp_path / "missing.log", log)
    assert done.returncode == 3
    assert "missing.log" in done.stderr
    assert named(done) == ["secret-read/read"]


def test_piped_output_is_plain_aligned_text_without_escapes(judge, tmp_path):
    done = judge(write(tmp_path / "audit.log", lines_of(an_audit_event(1), an_audit_event(2, user="bob"))))
    assert "\x1b" not in done.stdout
    first, second = done.stdout.splitlines()
    assert first.index("secret-read/read") == second.index("secret-read/read")


def test_json_has_what_scripts_and_the_score_read(judge, tmp_path):
    log = write(tmp_path / "audit.log", lines_of(an_audit_event(7, resource="pods"), an_audit_event(8)))
    (row,) = detections(judge("--output", "json", log))
    assert row["file"] == str(log)
    assert row["line"] == 2
    assert row["event_id"] == "00000000-0000-4000-8000-000000000008"
    assert row["observed_at"] == "2026-03-12T02:30:00.000008Z"
    assert (row["policy"], row["rule"], row["title"], row["severity"]) == ("secret-read", "read", "Secret read", "P2")
    assert row["attack"] == ["T1552.007"]
    assert row["message"].startswith("alice read db with kubectl/")
    assert {"id", "actor", "target"} <= row.keys()
    assert "lines" not in row


def test_a_threshold_names_the_lines_of_all_its_events(judge, tmp_path):
    log = write(tmp_path / "audit.log", lines_of(*[an_audit_event(number) for number in (1, 2, 3)]))
    (row,) = [row for row in detections(judge("--output", "json", log)) if row["rule"] == "many"]
    assert row["lines"] == [1, 2, 3]
    assert row["line"] == 3
    assert row["count"] == 3


def test_attack_ids_are_v19_and_v18_is_given_where_it_differs(judge, tmp_path):
    (row,) = detections(judge("--output", "json", write(tmp_path / "trail.json", json.dumps({"Records": [a_cloudtrail_event()]}))))
    assert row["attack"] == ["T1685.002"]
    assert row["attack_v18"] == ["T1562.008"]


def test_a_folder_of_mixed_sources_is_told_apart_by_content(judge, tmp_path):
    logs = tmp_path / "logs"
    (logs / "deep").mkdir(parents=True)
    write(logs / "a.log", lines_of(an_audit_event()))
    write(logs / "deep" / "trail.json", json.dumps({"Records": [a_cloudtrail_event()]}))
    write(logs / "deep" / "flows.txt", FLOWS)
    done = judge("--output", "json", logs)
    assert named(done) == ["port-3333/flow", "secret-read/read", "trail-stopped/stopped"]
    assert "3 events in 3 files" in done.stderr


def test_standard_input_is_read_as_a_dash(judge):
    done = judge("--output", "json", "-", stdin=lines_of(an_audit_event()))
    assert named(done) == ["secret-read/read"]


def test_severity_leaves_out_what_is_less_serious(judge, tmp_path):
    log = write(tmp_path / "audit.log", lines_of(*[an_audit_event(number) for number in (1, 2, 3)]))
    assert named(judge("--output", "json", "--severity", "P1", log)) == ["secret-read/many"]


def test_since_and_until_choose_events_by_their_own_time(judge, tmp_path):
    log = write(tmp_path / "audit.log", lines_of(*[an_audit_event(number, minute=number) for number in (1, 2, 3)]))
    done = judge("--output", "json", "--since", "2026-03-12T02:02:00Z", "--until", "2026-03-12T02:03:00Z", log)
    assert [row["line"] for row in detections(done)] == [2]


def test_events_outside_the_time_asked_for_are_not_counted_as_judged(judge, tmp_path):
    log = write(tmp_path / "audit.log", lines_of(*(an_audit_event(number, minute=number) for number in range(4))))
    for jobs in ("1", "2"):
        done = judge("--since", "2026-03-12T02:01:00Z", "--until", "2026-03-12T02:02:00Z", "--jobs", jobs, log)
        assert done.stderr.startswith("1 event in 1 file")
        assert "not judged: 3 events outside --since and --until" in done.stderr


def test_a_line_that_no_reader_takes_is_counted_named_and_written_to_rejects(judge, tmp_path):
    log = write(tmp_path / "audit.log", lines_of(an_audit_event(1)) + b'{"kind": "Event", broken\n' + lines_of(an_audit_event(2)))
    rejects = tmp_path / "rejects.jsonl"
    done = judge("--output", "json", "--rejects", rejects, log)
    assert [row["line"] for row in detections(done)] == [1, 3]
    (row,) = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert (row["file"], row["line"], row["offset"]) == (str(log), 2, len(lines_of(an_audit_event(1))))
    assert row["reason"]
    assert "rejected: 1 record" in done.stderr


@pytest.mark.parametrize("content", [b"", b"not a log\n"])
def test_a_file_without_events_is_not_passed_over_as_clean(judge, tmp_path, content):
    assert "nothing was judged" in judge(write(tmp_path / "audit.log", content)).stderr
    assert "nothing was judged" not in judge(write(tmp_path / "audit.log", content + lines_of(an_audit_event(verb="list")))).stderr


def test_reasons_that_differ_by_a_number_are_one_line_of_the_summary(judge, tmp_path):
    log = write(tmp_path / "audit.log", lines_of(an_audit_event()) + b"\xffbad\nb\xffad\nba\xffd\n")
    assert "rejected: 3 records: not UTF-8 at its byte 0 (first" in judge(log).stderr


def test_hostile_text_reaches_no_terminal(judge, tmp_path):
    name = "eve\x1b[2J\u202e\x07[bold red]"
    log = write(tmp_path / "audit\x1b[31m.log", lines_of(an_audit_event(user=name)))
    done = judge(log)
    assert "\x1b" not in done.stdout + done.stderr
    assert "\u202e" not in done.stdout
    assert "[bold red]" in done.stdout


def test_what_could_not_be_seen_is_said(judge, tmp_path):
    done = judge(write(tmp_path / "audit.log", lines_of(an_audit_event())))
    assert "audit.requestObject never occurred: secret-read/patched could not fire" in done.stderr
    assert "without a baseline" in done.stderr
    assert "there were no events of these kinds: cloudtrail.event (1 rule), vpcflow.flow (1 rule)" in done.stderr


def test_many_events_of_one_kind_hide_no_field_of_another(judge, tmp_path):
    write(tmp_path / "logs-1.log", b"nonsense\n" * 1000)
    write(tmp_path / "logs-2.log", lines_of(an_audit_event()))
    done = judge("--severity", "P2", tmp_path / "logs-1.log", tmp_path / "logs-2.log")
    assert "1 P2" in done.stderr
    assert "audit.objectRef.resource never occurred" not in done.stderr


def test_a_learned_baseline_lets_first_seen_rules_speak(judge, tmp_path):
    usual = write(tmp_path / "usual.log", lines_of(an_audit_event(1, user="alice", resource="configmaps")))
    today = write(
        tmp_path / "today.log", lines_of(an_audit_event(2, user="alice", resource="configmaps"), an_audit_event(3, user="mallory", resource="configmaps"))
    )
    baseline = tmp_path / "usual.bin"
    learned = judge("--learn", "--baseline", baseline, usual)
    assert learned.returncode == 0
    done = judge("--output", "json", "--baseline", baseline, today)
    assert [(row["rule"], row["line"]) for row in detections(done)] == [("new-reader", 2)]
    assert "without a baseline" not in done.stderr
    assert named(judge("--output", "json", today)) == []


def test_a_file_that_is_no_baseline_is_refused(judge, tmp_path):
    log = write(tmp_path / "audit.log", lines_of(an_audit_event()))
    done = judge("--baseline", write(tmp_path / "baseline.bin", b"no baseline at all"), log)
    assert done.returncode == 3
    assert "baseline" in done.stderr


def test_exceptions_hold_back_and_are_counted(judge, tmp_path):
    exception = write(
        tmp_path / "exception.yaml",
        "apiVersion: watchkeeper.dev/v1alpha1\nkind: PolicyException\nmetadata: {name: backup, namespace: watchkeeper}\n"
        'spec: {policy: secret-read, rules: [read], when: identity.id == "alice", reason: The backup reads secrets., owner: storage}\n',
    )
    done = judge("--policies", exception, "--output", "json", write(tmp_path / "audit.log", lines_of(an_audit_event(1), an_audit_event(2, user="bob"))))
    assert [row["line"] for row in detections(done)] == [2]
    assert "held back by exceptions: 1 (secret-read/read by backup 1)" in done.stderr


def test_ctrl_c_ends_cleanly_with_what_was_found_so_far(tmp_path):
    write(tmp_path / "policies.yaml", POLICIES)
    command = [WATCHKEEPER, "judge", "--no-library", "--policies", str(tmp_path / "policies.yaml"), "--output", "json", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(lines_of(*[an_audit_event(number) for number in (1, 2, 3)]))
        process.stdin.flush()
        first = process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        rest, told = process.communicate(timeout=60)
    rows = [json.loads(line) for line in (first + rest).splitlines()]
    assert "many" in {row["rule"] for row in rows}
    assert process.returncode == 130
    assert b"Stopped early" in told
    assert b"Traceback" not in told


def test_a_reader_that_leaves_ends_the_command_quietly(tmp_path):
    write(tmp_path / "policies.yaml", POLICIES)
    log = write(tmp_path / "audit.log", lines_of(*[an_audit_event(number) for number in range(3000)]))
    command = [WATCHKEEPER, "judge", "--no-library", "--policies", str(tmp_path / "policies.yaml"), "--output", "json", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
    assert process.returncode == 141
    assert told == b""


def test_several_processes_give_the_same_detections_as_one(judge, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    for part in range(4):
        write(logs / f"audit-{part}.log", lines_of(*[an_audit_event(number, user=f"user-{number % 7}") for number in range(part * 50, part * 50 + 50)]))
    write(logs / "audit-4.log", lines_of(an_audit_event(300, level=None)) + b"no log at all\n")
    one, three = judge("--output", "json", logs), judge("--output", "json", "--jobs", "3", logs)
    assert (one.returncode, three.returncode) == (0, 0)
    assert one.stderr.splitlines()[1:] == three.stderr.splitlines()[1:]
    assert sorted(one.stdout.splitlines()) == sorted(three.stdout.splitlines())
    assert len(detections(one)) > 200


def test_ocsf_and_sarif_are_json(judge, tmp_path):
    log = write(tmp_path / "audit.log", lines_of(an_audit_event()))
    assert detections(judge("--output", "ocsf", log))[0]["class_uid"] == 2004
    assert json.loads(judge("--output", "sarif", log).stdout)["version"] == "2.1.0"


def on_a_terminal(*arguments):
    """What the command prints when standard output is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([WATCHKEEPER, *map(str, arguments)], stdout=theirs, stderr=subprocess.DEVNULL, env={**os.environ, "COLUMNS": "200"}) as process:
        os.close(theirs)
        printed = b""
        with contextlib.suppress(OSError):  # the terminal's end
            while block := os.read(ours, 65_536):
                printed += block
    os.close(ours)
    assert process.returncode == 0
    return printed.decode()


def test_secrets_are_redacted_unless_a_person_at_a_terminal_asks(tmp_path):
    policies = write(tmp_path / "policies.yaml", POLICIES)
    log = write(tmp_path / "audit.log", lines_of(an_audit_event(userAgent="tool --password=hunter2")))
    command = ("judge", "--no-library", "--policies", policies, log)
    assert "hunter2" not in watchkeeper(*command).stdout
    assert "hunter2" not in on_a_terminal(*command)
    assert "hunter2" in on_a_terminal(*command, "--show-secrets")


def test_a_terminal_gets_a_table_in_which_hostile_text_is_escaped(tmp_path):
    policies = write(tmp_path / "policies.yaml", POLICIES)
    log = write(tmp_path / "audit.log", lines_of(an_audit_event(user="eve\x1b[2J[link=evil]x[/link]")))
    printed = on_a_terminal("judge", "--no-library", "--policies", policies, log)
    assert "what happened" in printed
    assert "\x1b[2J" not in printed
    assert "[link=evil]" in printed


def test_exceptions_that_have_ended_are_reported(judge, tmp_path):
    exception = write(
        tmp_path / "exception.yaml",
        "apiVersion: watchkeeper.dev/v1alpha1\nkind: PolicyException\nmetadata: {name: migration, namespace: watchkeeper}\n"
        'spec: {policy: secret-read, when: identity.id == "alice", reason: The migration reads secrets., owner: storage, until: "2026-01-01T00:00:00Z"}\n',
    )
    done = judge("--policies", exception, "--output", "json", write(tmp_path / "audit.log", lines_of(an_audit_event(1))))
    assert named(done) == ["secret-read/read"]
    assert "exceptions that have ended: migration" in done.stderr
