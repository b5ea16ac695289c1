"""`watchkeeper up` as people see it: on a terminal, with real acts."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.terminals import OnTerminal

COMMAND = Path(sys.executable).with_name("watchkeeper")
POLICY = """
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {{name: test-screen, namespace: watchkeeper}}
spec:
  title: Program of the test
  runbook: |
    What it means: a test.
    What to check: nothing at all.
  rules:
  - name: ran
    "on": [process.exec]
    when: process.exe.startsWith("{folder}")
    severity: P2
    attack: ["T1059.004"]
    message: "{{process.exe}} ran: {{process.command_line}}"
"""
OURS = re.compile(rb"\x1b\[(?:[0-9;]*[mJKA]|\?(?:25|7)[hl])")
"""What we write ourselves to move the cursor, to erase and to colour."""


@pytest.fixture
def program(tmp_path):
    copy = tmp_path / "program"
    shutil.copy("/bin/true", copy)
    return copy


@pytest.fixture
def up(tmp_path):
    started = []
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.format(folder=tmp_path))

    def start(*options, sign="q quit", in_shell=None, **terminal):
        command = [str(word) for word in (COMMAND, "up", "--no-library", "--policies", policy, "--state", tmp_path / "state", *options)]
        if in_shell:
            command = ["bash", "-c", "set -m; " + in_shell.format(command=shlex.join(command))]
        started.append(OnTerminal(command, **terminal))
        started[-1].wait_for(sign)
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_a_detection_scrolls_above_the_status_with_its_tree_and_what_to_do(up, program):
    screen = up(columns=220)
    assert b"loading the sensor's programs into the kernel ..." in screen.raw  # and gone by now
    assert not any("loading" in row for row in screen.scrolled)
    child = subprocess.Popen([program, "-v"])
    child.wait()
    screen.wait_for("watchkeeper explain test-screen/ran")
    screen.wait_for(lambda: "1 P2" in "\n".join(screen.rows))
    text = "\n".join(screen.rows)
    assert re.search(r"P2 Program of the test  \[T1059\.004\]", text)
    assert f"{program} ran: {program} -v" in text
    assert re.search(rf"python3\S* \[{os.getpid()}\]\n +└ {program} \[{child.pid}\] as root: {program} -v", text)
    assert "→ check: nothing at all." in text
    status = [row for row in screen.rows[-5:] if not row.startswith("BLIND")]  # containers of other tests may have no runtime
    assert re.search(r"── watchkeeper on \S+", status[-4])
    assert re.search(r"^\d[\d,]* events/s +[▁-█]+  0 lost/s  \d+ MiB  act to detection p99 \d+ ms  \d+ containers?$", status[-3])
    assert re.search(r"^1 P2 .*1 rule of 1 policy, \d+ kinds of events  up 0:00:", status[-2])
    assert screen.rows[-1].startswith("q quit  p pause")
    screen.press("q")
    assert screen.ended() == 0
    assert screen.is_as_before()
    assert "q quit" not in "\n".join(screen.scrolled)
    assert any("; none lost" in row for row in screen.rows)


def test_repeats_are_counted_in_the_status_and_told_at_the_end(up, program):
    screen = up()
    for _ in range(5):
        subprocess.run([program], check=True)
    screen.wait_for("×4 test-screen/ran")
    assert sum("P2 Program of the test" in row for row in screen.scrolled) == 1
    assert screen.end() == 0
    assert any("×4 more: Program of the test, the last one:" in row for row in screen.scrolled)


def test_a_paused_screen_stands_still_and_shows_afterwards_what_came(up, program):
    screen = up()
    screen.press("p")
    screen.wait_for("PAUSED: 0 detections wait")
    subprocess.run([program], check=True)
    screen.wait_for("PAUSED: 1 detection waits")
    assert not any("P2 Program of the test" in row for row in screen.scrolled)
    screen.press("p")
    screen.wait_for("P2 Program of the test")


def test_keys_tell_blind_spots_help_details_and_leave_marks(up):
    screen = up()
    for keys, answer in (("b", "nothing that we know of"), ("?", "Scroll back, search and copy"), ("d", "whole texts from here on"), ("\r", "─── 20")):
        screen.press(keys)
        screen.wait_for(answer)
    screen.press("\x1b[A")  # the arrow up: not ours
    screen.read(0.5)
    assert screen.process.poll() is None


@pytest.mark.parametrize("columns", [60, 40])
def test_a_narrow_terminal_has_all_lines_and_no_torn_status(up, program, columns):
    screen = up(columns=columns, rows=24)
    subprocess.run([program], check=True)
    screen.wait_for("→ watchkeeper explain")
    screen.wait_for(lambda: "1 P2" in "\n".join(screen.rows[-5:]))
    assert any(row.startswith("── watchkeeper") and len(row) == columns - 1 for row in screen.rows[-5:])
    assert screen.rows[-1].startswith("q quit  p pause")


def test_a_resize_leaves_one_status(up):
    screen = up(columns=120, rows=30)
    for columns, rows in ((60, 20), (100, 40), (50, 10)):
        screen.resize(columns, rows)
        screen.read(1.5)
        assert sum("q quit" in row for row in screen.rows) == 1
        assert screen.rows[-1].startswith("q quit")
        assert sum("events/s" in row for row in screen.rows) == 1


@pytest.mark.parametrize(
    ("env", "has_colour", "marks"),
    [
        ({}, True, "└ "),
        ({"NO_COLOR": "1"}, False, "└ "),
        ({"LC_ALL": "C"}, True, "`- "),
        ({"PYTHONIOENCODING": "latin-1"}, True, "`- "),
    ],
)
def test_colours_and_marks_are_those_that_the_terminal_has(up, program, env, has_colour, marks):
    screen = up(env=env)
    subprocess.run([program], check=True)
    screen.wait_for("explain test-screen/ran")
    assert (b"\x1b[1;31mP2" in screen.raw) == has_colour
    assert any(f"{marks}{program}" in row for row in screen.scrolled)
    if marks != "└ ":
        assert screen.raw.isascii()


def test_a_dumb_terminal_gets_plain_lines(up, program):
    screen = up(env={"TERM": "dumb"}, sign="What matters follows")
    subprocess.run([program], check=True)
    screen.wait_for("check: nothing at all.")
    assert screen.end() == 0
    assert b"\x1b" not in screen.raw
    assert screen.is_as_before()


def test_bytes_that_an_attacker_chose_never_reach_the_terminal(up, program, tmp_path):
    hostile = os.fsencode(tmp_path) + b"/\x1b]0;owned\x07\x1b[2J\x1b[1;1H\xe2\x80\xaegpj\xc2\x9b31m\xff\nP1 false line"
    shutil.copy(program, hostile)
    screen = up(columns=80)
    subprocess.run([hostile, "東京", b"\x1b[8m" + b"\xe2\x80\x8b\r\n\x08\x7f" * 500], check=True)
    screen.wait_for("explain test-screen/ran")
    screen.press("d")
    subprocess.run([hostile, b"second\x1bc"], check=True)
    screen.wait_for("also: ")
    screen.end()
    left = OURS.sub(b"", screen.raw).replace(b"\r\n", b"").replace(b"\r", b"")
    assert not re.search(rb"[\x00-\x1f\x7f\xff]", left)
    assert "\u202e" not in (text := left.decode())
    assert "\u200b" not in text
    assert "\\x1b]0;owned\\x07\\x1b[2J" in text
    assert "東京" in text
    assert not any(row.startswith("P1 false line") for row in screen.scrolled)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_terminal_is_given_back_when_a_signal_ends_it(up, number):
    screen = up()
    assert not screen.is_as_before()
    began = time.monotonic()
    assert screen.end(number) == 0
    assert time.monotonic() - began < 3
    assert screen.is_as_before()


def test_ctrl_c_of_the_terminal_ends_it(up):
    screen = up()
    screen.press("\x03")
    assert screen.ended() == 0
    assert screen.is_as_before()


def test_stopping_gives_the_terminal_back_and_going_on_takes_it_again(program, up):
    screen = up(in_shell="{command}; echo in the shell; read line; fg >/dev/null; echo status $?")
    screen.press("\x1a")
    screen.wait_for("in the shell")
    assert screen.is_as_before()
    assert "stopped: nothing is judged until it goes on (fg)" in screen.rows
    subprocess.run([program], check=True)
    screen.press("\n")
    screen.wait_for("P2 Program of the test")
    screen.wait_for(lambda: screen.rows[-1].startswith("q quit"))
    assert screen.screen.cursor.hidden
    screen.press("q")
    screen.wait_for("status 0")
    assert screen.is_as_before()


def test_in_the_background_it_draws_no_status_and_takes_no_keys(program, up):
    screen = up(in_shell="{command} & sleep 1; read line; echo it said $line; fg >/dev/null; echo status $?", sign="watching")
    subprocess.run([program], check=True)
    screen.wait_for("P2 Program of the test")
    assert not any("q quit" in row for row in screen.scrolled)
    screen.press("q\n")
    screen.wait_for("it said q")
    screen.wait_for("q quit")
    screen.press("q")
    screen.wait_for("status 0")
    assert screen.is_as_before()


def test_a_terminal_that_is_gone_ends_it(up):
    screen = up()
    screen.hang_up()
    assert screen.process.wait(10) == 0


def test_a_terminal_that_takes_nothing_does_not_hold_up_the_sensor(up, program, tmp_path):
    up()
    for number in range(300):  # nobody reads the terminal meanwhile
        subprocess.run([program, f"{number:04}" + "x" * 1500], check=True)
        subprocess.run([shutil.copy(program, tmp_path / f"other-{number}"), "y" * 1500], check=True)
    subprocess.run([shutil.copy(program, tmp_path / "last")], check=True)
    kept = [COMMAND, "detections", "--state", tmp_path / "state", "-o", "json", "--last", "10000"]
    end = time.monotonic() + 20
    while f"{tmp_path}/last ran" not in subprocess.run(kept, check=True, capture_output=True, text=True).stdout:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_warning_scrolls_above_the_status(up, tmp_path):
    screen = up()
    (tmp_path / "policy.yaml").write_text("none: [")
    screen.process.send_signal(signal.SIGHUP)
    screen.wait_for("stay in force")
    assert screen.rows[-1].startswith("q quit")
    assert screen.end() == 0
    assert screen.is_as_before()
