"""What `watchkeeper up` promises when it is killed, stopped or robbed of its disk: performed on the running process, with a state folder of its own."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.bpf.conftest import OBJECT
from tests.bpf.test_dns import question
from tests.bpf.test_system import bpf
from tests.bpf.test_up import COMMAND, PATIENCE, Up, asked

from watchkeeper_cli.notifying import SECRET
from watchkeeper_operator.store.detections import DetectionStore, StoreError
from watchkeeper_sensor.decoding import PROGRAMS
from watchkeeper_sensor.kernel.libbpf import BpfUnavailableError
from watchkeeper_sensor.kernel.privileges import KEPT
from watchkeeper_sensor.kernel.programs import KernelSensor

LINK_GET_FD_BY_ID, LINK_DETACH = 30, 34  # enum bpf_cmd
POLICY = """
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {{name: test-promises, namespace: watchkeeper}}
spec:
  title: Program of the test
  rules:
  - name: ran
    "on": [process.exec]
    when: process.exe == "{program}"
    severity: P2
    message: "{{process.command_line}}"
  - name: often
    "on": [process.exec]
    when: process.exe == "{program}"
    threshold: {{count: 3, within: 1h, by: [process.uid]}}
    severity: P3
  - name: first-then-second
    sequence:
      within: 1h
      steps:
      - {{name: first, on: [process.exec], when: 'process.exe == "{program}" && "first" in process.args', by: [process.uid]}}
      - {{name: second, on: [process.exec], when: 'process.exe == "{program}" && "second" in process.args', by: [process.uid]}}
    severity: P3
  - name: restarted
    "on": [sensor.stopped]
    when: sensor.cause == "killed"
    severity: P3
    message: "nobody watched from {{sensor.since}} to {{sensor.until}}"
  - name: tampered
    "on": [sensor.tampered]
    when: has(sensor.act)
    severity: P3
    message: "{{sensor.act}} {{sensor.hook}}"
  - name: asked
    "on": [dns.question]
    when: dns.question == "watchkeeper.example"
    severity: P4
  - name: lost
    "on": [sensor.lost]
    when: sensor.count > 0
    severity: P4
"""


@pytest.fixture
def program(tmp_path):
    copy = tmp_path / "program"
    shutil.copy("/bin/true", copy)
    return copy


@pytest.fixture
def up(tmp_path, program):
    """`up(…)` starts the command on the test's state folder."""
    started = []

    def start(*options, state=None, **process):
        started.append(Up(tmp_path, program, *options, state=state, policy=POLICY, **process))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGCONT)
            one.end(signal.SIGKILL)


@pytest.fixture
def receiver():
    """A webhook on loopback that takes its time; URL and the ids that it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(0.003)
            got.append(json.loads(body))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the agent was killed meanwhile
                self.send_response(204)
                self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def wait_for(holds):
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def fill(folder):
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    return filler


def history(state):
    """Detections and blind intervals of the history."""
    with DetectionStore(state / "detections.db", read_only=True) as store:
        return list(store.find(most=1_000_000)), store.blind(most=1_000_000)


def kept(state, rule):
    """Detections of a rule; none while there is no history."""
    with contextlib.suppress(StoreError):
        return [one for one in history(state)[0] if one.rule == rule]
    return []


def test_kills_amid_a_stream_lose_nothing_that_was_shown_and_all_else_is_stated_as_blind(up, program, tmp_path, receiver):
    url, posted = receiver
    state, outputs, acts, is_over = tmp_path / "state", [], [], threading.Event()

    def stream():
        while not is_over.is_set():
            begin = time.time_ns()
            subprocess.run([program, str(len(acts))], check=True)
            acts.append((begin, time.time_ns()))
            time.sleep(0.01)

    def start():
        running = up("--notify", url, env={**os.environ, SECRET: "secret"})
        outputs.append(running.output)
        return running

    running = start()
    acting = threading.Thread(target=stream)
    acting.start()
    try:
        for seconds in (0.7, 1.1):
            running.seen("ran", 20)
            time.sleep(seconds)
            running.end(signal.SIGKILL)
            running = start()
        running.seen("ran", 50)
    finally:
        is_over.set()
        acting.join()
    running.wait_for(lambda: any(row["message"].endswith(f" {len(acts) - 1}") for row in running.detections("ran")))
    assert running.end() == 0
    running = start()  # for what the webhook was too slow to take before the end
    shown = [json.loads(line) for path in outputs for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    while not {row["id"] for row in shown} <= {row.get("id") for row in posted}:
        before = len(posted)
        wait_for(lambda before=before: len(posted) > before)  # it goes on, however slowly
    assert running.end() == 0

    detections, blind = history(state)
    ids = [one.id for one in detections]
    assert len(ids) == len(set(ids))
    assert {row["id"] for row in shown} <= set(ids)
    ran = [int(one.message.rpartition(" ")[2]) for one in detections if one.rule == "ran"]
    assert len(ran) == len(set(ran))  # ids of events were never given twice
    assert [one.cause for one in blind] == ["killed", "killed", "stopped"]
    unseen = [acts[number] for number in range(len(acts)) if number not in set(ran)]
    assert all(any(begin <= one.until and end >= one.since for one in blind) for begin, end in unseen)
    assert len([one for one in detections if one.rule == "restarted"]) == 2
    assert all(one.until - one.since < 30e9 for one in blind)


@pytest.mark.parametrize("kills", [1, 2])
def test_windows_and_sequences_come_back_after_kills(up, program, kills):
    running = up()
    subprocess.run([program, "first"], check=True)
    for _ in range(kills):
        running.seen("ran")
        running.end(signal.SIGKILL)
        running = up()
        subprocess.run([program, "other"], check=True)
    assert len(running.seen("ran")) == 1
    if kills == 2:
        running.seen("often")
    assert not running.detections("first-then-second")
    subprocess.run([program, "second"], check=True)
    running.seen("first-then-second")
    running.seen("often")
    running.end()
    assert len(running.detections("often")) == 1


def test_acts_while_the_agent_is_stopped_are_told_or_counted_and_the_time_is_stated(up, program, tmp_path):
    running = up()
    running.process.send_signal(signal.SIGSTOP)
    begin = time.time_ns()
    for number in range(300):
        subprocess.run([program, str(number)], check=True)
    time.sleep(max(0.0, 4 - (time.time_ns() - begin) / 1e9))
    end = time.time_ns()
    running.process.send_signal(signal.SIGCONT)
    running.wait_for(lambda: "freeze" in " ".join(row["message"] for row in running.detections("tampered")))
    lost = sum(row["count"] for row in running.detections("lost"))
    running.seen("ran", 300 - lost)
    (who,) = [row for row in running.detections("tampered") if row["message"].startswith("signal")]
    assert who["act"]["process_id"] == os.getpid()
    assert running.end() == 0
    (frozen,) = [one for one in history(tmp_path / "state")[1] if one.cause == "frozen"]
    assert frozen.since <= begin + 1e9
    assert frozen.until >= end - 1e9
    listed = subprocess.run([COMMAND, "detections", "--state", tmp_path / "state"], check=True, capture_output=True, text=True)
    assert "the sensor was stopped or starved" in listed.stderr


def test_a_full_disk_is_said_and_when_there_is_room_again_everything_found_is_in_the_history(up, program, small_disk):
    address = small_disk.parent / "metrics.sock"
    running = up("--metrics", f"unix:{address}", state=small_disk)
    subprocess.run([program, "before"], check=True)
    running.wait_for(lambda: kept(small_disk, "ran"))
    filler = fill(small_disk)
    for number in range(30):
        subprocess.run([program, f"{number}" * 1000], check=True)
    running.seen("ran", 31)
    running.wait_for(lambda: "can't be kept on disk for the history" in running.errors.read_text())
    health = asked(address, "/healthz")
    assert health.startswith("HTTP/1.0 200")
    assert "No space left on device" in health
    filler.unlink()
    running.wait_for(lambda: "kept on disk for the history again" in running.errors.read_text())
    running.wait_for(lambda: len(kept(small_disk, "ran")) == 31)
    assert asked(address, "/healthz").endswith("\r\n\r\nok\n")
    assert running.end() == 0
    assert {one.id for one in kept(small_disk, "ran")} == {row["id"] for row in running.detections("ran")}


def test_a_folder_that_can_not_be_written_is_said_and_watching_goes_on(up, program, small_disk, receiver):
    url, posted = receiver
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    running = up("--notify", url, state=small_disk / "state", env={**os.environ, SECRET: "secret"})
    subprocess.run([program, "one"], check=True)
    running.seen("ran")
    running.wait_for(lambda: posted)
    assert "Read-only file system" in running.errors.read_text()
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    running.wait_for(lambda: len(kept(small_disk / "state", "ran")) == 1)
    assert running.end() == 0


def test_a_damaged_history_is_moved_aside_and_a_new_one_begins(up, program, tmp_path):
    state = tmp_path / "state"
    running = up()
    subprocess.run([program, "one"], check=True)
    running.wait_for(lambda: kept(state, "ran"))
    running.end()
    (state / "detections.db").write_bytes(b"no database at all" * 500)
    listed = subprocess.run([COMMAND, "detections", "--state", state], check=False, capture_output=True, text=True)
    assert (listed.returncode, "Traceback" in listed.stderr) == (3, False)
    running = up()
    subprocess.run([program, "two"], check=True)
    running.wait_for(lambda: "the history was damaged" in running.errors.read_text())
    running.wait_for(lambda: kept(state, "ran"))
    assert running.end() == 0
    assert [one.message for one in kept(state, "ran")] == [f"{program} two"]
    (aside,) = [path for path in state.glob("detections.db.damaged-*") if not path.name.endswith(("-wal", "-shm"))]
    assert aside.read_bytes().startswith(b"no database")


def test_a_history_that_another_process_holds_is_waited_for(up, program, tmp_path):
    running = up()
    state = tmp_path / "state"
    subprocess.run([program, "one"], check=True)
    running.wait_for(lambda: kept(state, "ran"))
    with contextlib.closing(sqlite3.connect(state / "detections.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for number in range(5):
            subprocess.run([program, str(number)], check=True)
        running.seen("ran", 6)
        running.wait_for(lambda: "database is locked" in running.errors.read_text())
        other.execute("ROLLBACK")
    running.wait_for(lambda: len(kept(state, "ran")) == 6)
    assert running.end() == 0


def test_a_damaged_state_is_said_and_the_next_start_watches(up, program, tmp_path):
    running = up()
    subprocess.run([program, "one"], check=True)
    running.seen("ran")
    running.end()
    (tmp_path / "state" / "agent.state").write_bytes(b"\xc1")
    running = up()
    running.wait_for(lambda: "windows begin anew" in running.errors.read_text())
    running.seen("restarted")
    subprocess.run([program, "two"], check=True)
    running.seen("ran")
    assert running.end() == 0


def test_a_program_that_is_detached_by_force_is_told_put_back_and_the_time_is_stated(up, tmp_path):
    running = up()
    ours = cgroup_links(running.process.pid)
    if not ours:
        running.end()
        pytest.skip("no cgroup v2 hierarchy: no program that can be detached by force")
    ask()
    running.seen("asked")
    begin = time.time_ns()
    for number in ours:
        fd = bpf(LINK_GET_FD_BY_ID, struct.pack("<I", number))
        bpf(LINK_DETACH, struct.pack("<I", fd))
        os.close(fd)
    ask()  # unseen: that is what the statement is for
    running.wait_for(lambda: {os.getpid(), None} <= {row["act"] and row["act"]["process_id"] for row in running.detections("tampered")})
    assert {row["message"] for row in running.detections("tampered")} == {"detach dns_egress"}
    running.wait_for(lambda: (ask(), running.detections("asked")[1:])[1])
    assert running.end() == 0
    (detached,) = [one for one in history(tmp_path / "state")[1] if one.cause == "detached"]
    assert detached.since <= begin <= detached.until


def cgroup_links(process_id):
    """Ids of the links by which a process holds programs to cgroups."""
    held = [path.read_text() for path in Path(f"/proc/{process_id}/fdinfo").iterdir()]
    return [int(re.search(r"link_id:\s*(\d+)", text)[1]) for text in held if re.search(r"link_type:\s*cgroup", text)]


def ask():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.sendto(question("watchkeeper.example"), ("127.0.0.1", 53))


def test_a_second_agent_on_the_same_folder_is_refused_and_told_by_whom(up, tmp_path):
    running = up()
    second = subprocess.run([COMMAND, "up", "--state", tmp_path / "state"], check=False, capture_output=True, text=True, timeout=60)
    assert second.returncode == 2
    assert f"in use by another watchkeeper (process {running.process.pid})" in second.stderr
    assert "--state" in second.stderr
    assert running.end() == 0


def test_policies_that_can_not_be_read_change_nothing_until_they_can(up, program, tmp_path):
    """By a user's hand: a broken file, a link to nowhere, a folder that is gone; each is said with its place, and the former policies judge on."""
    folder = tmp_path / "policies"
    folder.mkdir()
    running = up("--policies", folder)
    broken, missing = folder / "broken.yaml", folder / "missing.yaml"

    def reload():
        before = len(running.errors.read_text())
        running.process.send_signal(signal.SIGHUP)
        running.wait_for(lambda: "stay in force" in running.errors.read_text()[before:])
        subprocess.run([program, "one"], check=True)
        return running.errors.read_text()[before:]

    broken.write_text("kind: RuntimePolicy\nmetadata: {name: [")
    assert "broken.yaml" in reload()
    broken.unlink()
    missing.symlink_to("nowhere.yaml")
    assert f"{missing}: No such file or directory; mend it" in reload()
    missing.unlink()
    folder.rmdir()
    assert f"{folder}: No such file or directory; mend it" in reload()
    running.seen("ran", 3)
    folder.mkdir()
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(lambda: "read again" in running.errors.read_text())
    assert running.end() == 0


def test_policies_that_can_not_be_read_refuse_the_start(program, tmp_path):
    folder = tmp_path / "policies"
    closed = folder / "closed"
    closed.mkdir(parents=True)
    (folder / "policy.yaml").write_text(POLICY.format(program=program))
    (closed / "policy.yaml").write_text("kind: RuntimePolicy")
    closed.chmod(0)
    os.chown(closed, 65534, 65534)
    without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search"]
    refused = subprocess.run(
        [*without, COMMAND, "up", "--no-library", "--policies", folder, "--state", tmp_path / "state"], check=False, capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert f"{closed}: Permission denied; mend it" in refused.stderr
    closed.chmod(0o700)
    refused = subprocess.run([COMMAND, "up", "--no-library", "--policies", folder, "--state", tmp_path / "state"], check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert f"{closed}/policy.yaml" in refused.stderr
    assert "watchkeeper lint" in refused.stderr


@pytest.mark.parametrize("whole", [0, 0.5, 0.999])
def test_an_object_that_was_not_built_whole_is_said_with_the_remedy(tmp_path, whole):
    content = OBJECT.read_bytes()
    torn = tmp_path / "sensor.bpf.o"
    torn.write_bytes(content[: int(len(content) * whole)])
    with pytest.raises(BpfUnavailableError, match="run make bpf"):
        KernelSensor(torn, {"process.exec"}, PROGRAMS)


def test_an_object_of_another_version_is_said_with_the_remedy():
    with pytest.raises(BpfUnavailableError, match=r"has no program .*: it was not built whole, or for another version"):
        KernelSensor(OBJECT.with_name("modules.o"), {"process.exec"}, PROGRAMS)


def test_no_thread_of_the_agent_keeps_a_privilege_that_it_does_not_need(up, program, tmp_path, receiver):
    running = up("--metrics", f"unix:{tmp_path / 'metrics.sock'}", "--notify", receiver[0], env={**os.environ, SECRET: "secret"})
    subprocess.run([program, "one"], check=True)
    running.wait_for(lambda: receiver[1])
    threads = list(Path(f"/proc/{running.process.pid}/task").iterdir())
    assert len(threads) >= 4
    kept = sum(1 << number for number in KEPT.values())
    for thread in threads:
        status = dict(line.split(":\t", 1) for line in (thread / "status").read_text().splitlines() if ":\t" in line)
        assert int(status["CapEff"], 16) & ~kept == 0, status["Name"]
    running.end()


def test_output_that_can_not_be_written_does_not_end_the_watch(up, program, tmp_path, small_disk):
    running = up(state=tmp_path / "state")
    running.end()
    out = small_disk / "out"
    with out.open("wb") as full:
        fill(small_disk)
        process = subprocess.Popen(
            [COMMAND, "up", "--no-library", "--policies", running.policy, "--severity", "P4", "--output", "json", "--state", tmp_path / "state"],
            stdout=full,
            stderr=subprocess.PIPE,
        )
        try:
            wait_for(lambda: (subprocess.run([program, "one"], check=True), kept(tmp_path / "state", "ran"))[1])
            for number in range(100):  # more than a buffer holds
                subprocess.run([program, "two", str(number)], check=True)
            wait_for(lambda: len(kept(tmp_path / "state", "ran")) > 100)
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=30)[1].decode()
    assert "No space left on device" in said
    assert "Traceback" not in said
    assert process.returncode == 1
