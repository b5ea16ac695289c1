"""The commands for people who write policies."""

import json
import subprocess
import sys

import pytest
from tests.support.commands import watchkeeper
from tests.support.raw_records import an_audit_event

from watchkeeper_cli.explaining import rule_lines
from watchkeeper_cli.policy_set import library_program

POLICY = """
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {name: secret-read, namespace: watchkeeper}
spec:
  title: Secret read
  runbook: Ask who it was.
  blindSpots: ["Secrets read from etcd"]
  rules:
  - name: read
    "on": [audit.request]
    when: audit.objectRef.resource == "secrets" && audit.verb == "get"
    unless:
    - {name: backup, when: identity.id == "system:serviceaccount:backup:backup"}
    severity: P2
    attack: ["T1552.007"]
    message: "{identity.id} read {audit.objectRef.name}"
"""


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "secret-read.yaml"
    path.write_text(POLICY)
    return path


def cases(policy, fires=(), quiet=()):
    for expectation, rows in (("fires", fires), ("quiet", quiet)):
        policy.with_name(f"secret-read.{expectation}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_test_passes_when_cases_come_out_as_they_say(policy):
    cases(
        policy,
        fires=[{"case": "a secret is read", "rule": "read", "events": [an_audit_event()]}],
        quiet=[{"case": "a list", "events": [an_audit_event(verb="list")]}],
    )
    done = watchkeeper("test", policy)
    assert done.returncode == 0
    assert "2 passed, 0 failed" in done.stdout


def test_test_says_what_was_expected_and_which_part_did_not_hold(policy):
    cases(policy, fires=[{"case": "a configmap is read", "events": [an_audit_event(resource="configmaps")]}])
    done = watchkeeper("test", policy)
    assert done.returncode == 1
    assert "secret-read: fires: a configmap is read" in done.stdout
    assert "expected a detection, got none" in done.stdout
    assert 'false    audit.objectRef.resource == "secrets"' in done.stdout
    assert 'audit.objectRef.resource = "configmaps"' in done.stdout


def test_test_says_what_fired_where_nothing_should(policy):
    cases(policy, quiet=[{"case": "nobody minds", "events": [an_audit_event()]}])
    done = watchkeeper("test", policy)
    assert done.returncode == 1
    assert "expected no detection, got 1" in done.stdout
    assert "alice read db" in done.stdout


def test_a_record_that_no_reader_takes_fails_its_case(policy):
    cases(policy, quiet=[{"case": "nonsense", "events": [{"no": "log"}]}])
    done = watchkeeper("test", policy)
    assert done.returncode == 1
    assert "a record was rejected" in done.stdout


def test_a_case_with_an_unknown_word_is_refused(policy):
    policy.with_name("secret-read.fires.jsonl").write_text('{"case": "x", "events": [], "rul": "read"}\n')
    done = watchkeeper("test", policy)
    assert done.returncode == 2
    assert "secret-read.fires.jsonl:1" in done.stderr


def test_lint_fails_on_errors_and_passes_without(policy):
    assert watchkeeper("lint", policy).returncode == 1
    cases(
        policy,
        fires=[{"case": "a secret is read", "rule": "read", "events": [an_audit_event()]}],
        quiet=[{"case": "a list", "events": [an_audit_event(verb="list")]}],
    )
    done = watchkeeper("lint", policy)
    assert done.returncode == 0, done.stdout


def test_lint_tells_all_errors_at_once(policy):
    policy.write_text(POLICY.replace("audit.verb", "audit.verbb").replace("T1552.007", "T9999").replace("severity: P2", "severity: P7"))
    done = watchkeeper("lint", policy)
    assert done.returncode == 1
    assert "P7" in done.stdout


def test_explain_says_what_a_rule_matches_where_its_state_lives_and_where_it_is_blind():
    done = watchkeeper("explain", "vpc-mining-pool")
    assert done.returncode == 0
    for word in ("vpc-mining-pool/pool-session", "vpcflow.flow", "vpcflow.dstport is", "5 within 2h", "kept in the operator", "blind to", "What it means"):
        assert word in done.stdout


def test_explain_can_say_all_of_every_policy_that_ships():
    program = library_program()
    for rule in program.rules:
        lines = list(rule_lines(rule, program))
        assert any(line.startswith("  state ") for line in lines)
        assert not any("None" in line for line in lines if line.startswith("  index"))


def test_explain_names_the_nearest_policy():
    done = watchkeeper("explain", "vpc-mining-pol")
    assert done.returncode == 2
    assert "did you mean vpc-mining-pool" in done.stderr


def test_explain_shows_each_part_for_an_event_and_an_exception_to_paste(policy, tmp_path):
    log = tmp_path / "audit.log"
    log.write_text(json.dumps(an_audit_event(resource="pods")) + "\n" + json.dumps(an_audit_event(user="system:serviceaccount:backup:backup")) + "\n")
    quiet = watchkeeper("explain", "secret-read", "--policies", policy, "--event", f"{log}:1")
    assert "the condition does not hold" in quiet.stdout
    assert 'audit.objectRef.resource = "pods"' in quiet.stdout
    held = watchkeeper("explain", "secret-read/read", "--policies", policy, "--event", f"{log}:2")
    assert "the condition holds" in held.stdout
    assert "unless backup: holds it back" in held.stdout
    pasted = tmp_path / "exception.yaml"
    pasted.write_text(watchkeeper("explain", "secret-read", "--policies", policy, "--event", f"{log}:2", "--except").stdout)
    judged = watchkeeper("judge", "--no-library", "--policies", policy, "--policies", pasted, log)
    assert judged.returncode == 0, judged.stderr


def test_an_exception_to_paste_is_for_the_rules_that_the_record_meets(policy, tmp_path):
    policy.write_text(POLICY + POLICY.partition("  rules:\n")[2].replace("name: read", "name: listed").replace('"get"', '"list"'))
    log = tmp_path / "audit.log"
    log.write_text(json.dumps(an_audit_event(verb="list")) + "\n")
    assert "rules: [listed]" in watchkeeper("explain", "secret-read", "--policies", policy, "--event", f"{log}:1", "--except").stdout
    assert "rules: [read, listed]" in watchkeeper("explain", "secret-read", "--policies", policy, "--except").stdout


def test_lint_knows_the_shipped_policies_that_an_exception_is_for(tmp_path):
    exception = tmp_path / "exception.yaml"
    text = watchkeeper("explain", "vpc-mining-pool", "--except").stdout
    exception.write_text(text)
    assert watchkeeper("lint", exception).returncode == 0
    exception.write_text(text.replace("policy: vpc-mining-pool", "policy: vpc-minning-pool"))
    done = watchkeeper("lint", exception)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{exception}:5: error: ")
    assert "did you mean vpc-mining-pool?" in done.stdout


def test_explain_says_when_there_is_no_such_event(tmp_path):
    log = tmp_path / "audit.log"
    log.write_text(json.dumps(an_audit_event()) + "\n")
    assert watchkeeper("explain", "vpc-mining-pool", "--event", f"{log}:9").returncode == 3
    assert watchkeeper("explain", "vpc-mining-pool", "--event", f"{tmp_path}/missing:1").returncode == 3


def test_a_shell_completes_policies_and_kinds(monkeypatch):
    monkeypatch.setenv("_WATCHKEEPER_COMPLETE", "complete_bash")
    for words, word in (("watchkeeper explain vpc-min", "vpc-mining-pool"), ("watchkeeper fields audit", "audit.request")):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", "2")
        assert watchkeeper().stdout.split() == [word]


def test_the_version_is_told():
    assert watchkeeper("--version").stdout.startswith("watchkeeper ")


def test_fields_lists_kinds_and_their_fields():
    assert "audit.request" in watchkeeper("fields").stdout
    listed = watchkeeper("fields", "audit.request").stdout
    assert "audit.objectRef.resource" in listed
    assert "cloudtrail.eventName" not in listed
    assert "did you mean audit.request" in watchkeeper("fields", "audit.requets").stderr


def test_coverage_is_a_table_or_a_layer():
    assert "Privilege Escalation" in watchkeeper("coverage").stdout
    layer = json.loads(watchkeeper("coverage", "--output", "layer").stdout)
    assert layer["domain"] == "enterprise-attack"
    assert {"T1611", "T1552.007"} <= {row["techniqueID"] for row in layer["techniques"]}


SLOW_TO_IMPORT = ("celpy", "lark", "pydantic", "pyarrow", "rich", "yaml")


def imported_by(*arguments):
    """Which of the modules that are slow to import a command imports; how long it takes is for the benchmarks to say."""
    script = f"import sys\nfrom watchkeeper_cli.main import main\nsys.argv = ['watchkeeper', *{list(map(str, arguments))!r}]\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
    script += f"print([name for name in {SLOW_TO_IMPORT!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stderr.strip().splitlines()[-1]


def test_help_imports_nothing_that_is_slow():
    assert imported_by("--help") == "[]"


def test_judging_with_a_warm_cache_needs_no_parser_and_no_models(tmp_path):
    log = tmp_path / "audit.log"
    log.write_text(json.dumps(an_audit_event()) + "\n")
    watchkeeper("judge", log)
    assert imported_by("judge", log) == "[]"


@pytest.mark.parametrize("command", ["up", "trace", "replay", "doctor", "detections", "judge", "test", "lint", "explain", "fields", "coverage"])
def test_every_command_explains_itself_with_examples(command):
    done = watchkeeper(command, "--help")
    assert done.returncode == 0
    assert f"watchkeeper {command}" in done.stdout
