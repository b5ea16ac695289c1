"""`watchkeeper up` as people run it: a process of its own, on this kernel."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.bpf.patience import SLOWER

from watchkeeper_sensor.kernel.privileges import KEPT, NICENESS

COMMAND = Path(sys.executable).with_name("watchkeeper")
PATIENCE = 30.0 * SLOWER
POLICY = """
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {{name: test-up, namespace: watchkeeper}}
spec:
  title: Program of the test
  rules:
  - name: ran
    "on": [process.exec]
    when: process.exe == "{program}"
    severity: P2
    message: "{{process.exe}} ran"
  - name: often
    "on": [process.exec]
    when: process.exe == "{program}"
    threshold: {{count: 3, within: 1h, by: [process.uid]}}
    severity: P3
  - name: restarted
    "on": [sensor.stopped]
    when: sensor.cause == "killed"
    severity: P3
    message: "nobody watched from {{sensor.since}} to {{sensor.until}}"
  - name: frozen
    "on": [sensor.tampered]
    when: sensor.act == "freeze"
    severity: P3
"""


OPENED = """
  - name: opened
    "on": [file.open]
    when: file.name == "program"
    severity: P4
"""


@pytest.fixture
def program(tmp_path):
    copy = tmp_path / "program"
    shutil.copy("/bin/true", copy)
    return copy


class Up:
    """The command, and what it prints."""

    def __init__(self, tmp_path, program, *options, state=None, policy=POLICY, **process):
        self.policy = tmp_path / "policy.yaml"
        self.policy.write_text(policy.format(program=program))
        self.state = state or tmp_path / "state"
        self.output = tmp_path / f"out-{time.monotonic_ns()}"
        self.errors = self.output.with_suffix(".err")
        with self.output.open("wb") as out, self.errors.open("wb") as err:
            self.process = subprocess.Popen(
                [COMMAND, "up", "--no-library", "--policies", self.policy, "--severity", "P4", "--output", "json", "--state", self.state, *options],
                stdout=out,
                stderr=err,
                **process,
            )
        self.wait_for(lambda: "watching" in self.errors.read_text())

    def wait_for(self, holds):
        end = time.monotonic() + PATIENCE
        while not (found := holds()):
            assert time.monotonic() < end, self.errors.read_text()
            assert self.process.poll() is None or holds(), self.errors.read_text()
            time.sleep(0.02)
        return found

    def detections(self, rule):
        rows = [json.loads(line) for line in self.output.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        return [row for row in rows if row["rule"] == rule]

    def seen(self, rule, count=1):
        return self.wait_for(lambda: found if len(found := self.detections(rule)) >= count else None)

    def end(self, number=signal.SIGTERM):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def up(tmp_path, program):
    started = []

    def start(*options, state=None, program=program):
        started.append(Up(tmp_path, program, *options, state=state))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGCONT)
            one.end(signal.SIGKILL)


def test_an_act_is_a_detection_with_who_did_it(up, program):
    running = up()
    child = subprocess.Popen([program, "one"])
    child.wait()
    (detection,) = running.seen("ran")
    assert detection["message"] == f"{program} ran"
    assert detection["act"]["process_id"] == child.pid
    assert detection["act"]["command_line"] == f"{program} one"
    assert os.getpid() in detection["act"]["ancestor_process_ids"]
    assert running.end(signal.SIGINT) == 0
    said = running.errors.read_text()
    assert "none lost" in said or (SLOWER > 1 and "BLIND" in said)  # an emulated kernel of 7.x leaves programs out while others wait for it, and that is said


def test_a_name_that_is_no_text_stops_nothing(up, tmp_path):
    """Bytes that are no UTF-8, in a program's path, name, arguments and environment: told, shown, and kept in windows and history."""
    hostile = os.fsencode(tmp_path / "program") + b"\xff\x1b[2J\n\xed\xa0\x80"
    shutil.copy("/bin/true", hostile)
    running = up(program=rf"{tmp_path}/program\\xff\x1b[2J\n\\xed\\xa0\\x80")
    for _ in range(3):
        subprocess.run([hostile, b"--\xff"], env={b"LD_PRELOAD": b"\xfe"}, check=True)
    first = running.seen("ran", 3)[0]
    running.seen("often")
    assert first["act"]["process"].endswith("program\\xff\x1b[2J\n\\xed\\xa0\\x80")
    assert first["act"]["command_line"].endswith(r" '--\xff'")
    assert running.end(signal.SIGTERM) == 0
    kept = subprocess.run([COMMAND, "detections", "--state", running.state, "--output", "json"], capture_output=True, check=True).stdout
    assert first["id"] in [json.loads(line)["id"] for line in kept.splitlines()]


def test_the_agent_keeps_only_the_capabilities_that_it_needs_and_still_takes_up_new_policies(up, program):
    running = up()
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{running.process.pid}/status").read_text().splitlines() if ":\t" in line)
    kept = sum(1 << number for number in KEPT.values())
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[name], 16) & ~kept == 0
    assert status["NoNewPrivs"] == "1"
    running.policy.write_text(running.policy.read_text() + OPENED)
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(lambda: "read again" in running.errors.read_text())
    program.read_bytes()
    running.seen("opened")


def test_the_agent_has_processors_before_programs_of_usual_priority(up):
    running = up()
    assert os.getpriority(os.PRIO_PROCESS, running.process.pid) == NICENESS


def test_metrics_and_health_are_served_on_a_socket_that_only_root_may_use(up, program, tmp_path):
    address = tmp_path / "run" / "metrics.sock"
    running = up("--metrics", f"unix:{address}")
    subprocess.run([program], check=True)
    running.seen("ran")
    assert address.stat().st_mode & 0o077 == 0
    answer = asked(address, "/metrics")
    assert 'watchkeeper_sensor_detections_total{severity="P2"} 1.0' in answer
    assert "watchkeeper_sensor_records_lost" in answer
    assert asked(address, "/healthz").startswith("HTTP/1.0 200")
    running.end()
    assert not address.exists()


def asked(address, path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(address))
        client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        parts = []
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts).decode()


def test_history_and_windows_outlive_an_end_and_the_next_start_says_so(up, program, tmp_path):
    first = up()
    subprocess.run([program], check=True)
    subprocess.run([program], check=True)
    first.seen("ran", 2)
    assert first.end() == 0
    second = up(state=tmp_path / "state")
    subprocess.run([program], check=True)
    second.seen("often")
    assert second.end() == 0
    kept = subprocess.run([COMMAND, "detections", "--state", tmp_path / "state", "-o", "json"], check=True, capture_output=True, text=True).stdout
    assert [json.loads(line)["rule"] for line in kept.splitlines()].count("ran") == 3


def test_a_kill_is_stated_by_the_next_start_and_nothing_found_is_lost(up, program, tmp_path):
    first = up()
    subprocess.run([program], check=True)
    first.seen("ran")
    time.sleep(5.5)  # the state is kept every five seconds
    first.end(signal.SIGKILL)
    second = up(state=tmp_path / "state")
    (detection,) = second.seen("restarted")
    assert detection["message"].startswith("nobody watched from 20")
    kept = subprocess.run([COMMAND, "detections", "--state", tmp_path / "state", "-o", "json"], check=True, capture_output=True, text=True).stdout
    assert "ran" in [json.loads(line)["rule"] for line in kept.splitlines()]


def test_what_happens_while_the_agent_is_stopped_is_seen_when_it_goes_on(up, program):
    running = up()
    running.process.send_signal(signal.SIGSTOP)
    subprocess.run([program], check=True)
    time.sleep(4)
    running.process.send_signal(signal.SIGCONT)
    running.seen("ran")
    running.seen("frozen")


def test_policies_are_read_again_and_wrong_ones_change_nothing(up, program, tmp_path):
    running = up()
    other = tmp_path / "other"
    shutil.copy("/bin/true", other)
    good = running.policy.read_text()
    running.policy.write_text(good.replace("process.exe ==", "process.exx =="))
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(lambda: "stay in force" in running.errors.read_text())
    subprocess.run([program], check=True)
    running.seen("ran")
    running.policy.write_text(good.replace(str(program), str(other)))
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(lambda: "read again" in running.errors.read_text())
    subprocess.run([program], check=True)
    subprocess.run([other], check=True)
    assert [one["message"] for one in running.seen("ran", 2)] == [f"{program} ran", f"{other} ran"]


def test_a_full_disk_is_said_and_detections_are_shown_all_the_same(up, program, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", full], check=True)
    try:
        filler = full / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as file:
            file.write(b"x" * (1 << 20))
        running = up(state=full)
        subprocess.run([program], check=True)
        running.seen("ran")
        running.wait_for(lambda: "can't be kept on disk for the history" in running.errors.read_text())
        running.end()
    finally:
        subprocess.run(["umount", "-l", full], check=True)
