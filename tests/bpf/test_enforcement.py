"""Policies that kill: decided in the kernel, before the new program's first instruction."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tests.bpf.conftest import OBJECT
from tests.support.events import a_policy, a_program

from watchkeeper_sensor.agent import Agent
from watchkeeper_sensor.kernel.enforcement import enforcement_of

SIGKILLED = -9


def killing(when, *, mode="Enforce", unless=""):
    rules = f"""
    - name: no-such-program
      "on": [process.exec]
      when: '{when}'
      severity: P2
      kill: true
    """
    return a_policy(rules.rstrip() + (f"\n      unless: [{{name: held, when: '{unless}'}}]" if unless else ""), spec=f"mode: {mode}\n")


@pytest.fixture
def agent():
    started = []

    def start(policy):
        started.append(Agent(OBJECT, a_program(policy)))
        return started[-1]

    yield start
    for one in started:
        one.close()


def seen(agent, kind, seconds=3):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = [event for event in agent.events(0.1) if event.kind == kind]
        if found:
            return found
    pytest.fail(f"no {kind} came in {seconds} s")


@pytest.fixture
def payload(tmp_path):
    """A program that leaves a mark when its first instructions run."""
    script = tmp_path / "payload"
    shutil.copy("/usr/bin/touch", script)
    return script, tmp_path / "mark"


def test_a_program_that_is_killed_never_runs(agent, payload):
    program, mark = payload
    running = agent(killing(f'process.exe == "{program}"'))
    for _ in range(20):
        assert subprocess.run([program, mark], check=False).returncode == SIGKILLED
    assert not mark.exists()
    (event, *_) = seen(running, "sensor.enforced")
    assert (event.process.exe, event.sensor.rule, event.sensor.act) == (str(program), "no-such-program", "kill")


def test_other_programs_run(agent, payload):
    program, mark = payload
    agent(killing(f'process.exe == "{program}x"'))
    assert subprocess.run([program, mark], check=False).returncode == 0
    assert mark.exists()


def test_in_mode_detect_nothing_is_killed(agent, payload):
    program, mark = payload
    running = agent(killing(f'process.exe == "{program}"', mode="Detect"))
    assert subprocess.run([program, mark], check=False).returncode == 0
    assert not running.enforcement.rules


def test_a_prefix_a_list_and_a_negation_decide(agent, payload, tmp_path):
    program, mark = payload
    agent(killing(f'process.exe.startsWith("{tmp_path}/") && process.uid in [0, 7] && !process.exe_memfd'))
    assert subprocess.run([program, mark], check=False).returncode == SIGKILLED
    assert subprocess.run(["/usr/bin/touch", mark], check=False).returncode == 0


def test_an_unless_holds_the_kernel_back_too(agent, payload):
    program, mark = payload
    agent(killing(f'process.exe == "{program}"', unless="process.uid == 65534"))
    assert subprocess.run([program, mark], check=False).returncode == SIGKILLED
    mark.parent.chmod(0o777)
    for parent in mark.parents[1:4]:
        parent.chmod(parent.stat().st_mode | 0o011)
    assert subprocess.run([program, mark], check=False, user=65534).returncode == 0


def test_a_fileless_program_is_killed(agent, tmp_path):
    agent(killing("process.exe_memfd"))
    number = os.memfd_create("payload", 0)
    os.write(number, Path("/usr/bin/touch").read_bytes())
    assert subprocess.run([f"/proc/self/fd/{number}", tmp_path / "mark"], pass_fds=[number], check=False).returncode == SIGKILLED
    assert not (tmp_path / "mark").exists()


def test_the_protected_programs_are_never_killed(agent):
    shell = Path("/usr/bin/docker-init")
    if shell.exists():
        pytest.skip("this host has a docker-init of its own")
    shutil.copy("/bin/true", shell)
    try:
        running = agent(killing('process.exe == "/usr/bin/docker-init"'))
        assert subprocess.run([shell], check=False).returncode == 0
        (event, *_) = seen(running, "sensor.not_enforced")
        assert event.sensor.cause == "protected process"
    finally:
        shell.unlink()


@pytest.mark.parametrize(
    ("kind", "when", "reason"), [("file.open", 'file.path == "/x"', "process.exec only"), ("process.exec", 'process.tty == "pts0"', "process.tty")]
)
def test_what_the_kernel_can_not_enforce_is_named(kind, when, reason):
    rules = f"""
    - name: r
      "on": [{kind}]
      when: '{when}'
      severity: P2
      kill: true
    """
    found = enforcement_of(a_program(a_policy(rules, spec="mode: Enforce\n")))
    assert not found.rules
    assert reason in found.refused["policy/r"]
