"""`watchkeeper doctor` on this kernel, and where something is taken away from it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from watchkeeper_detection.vocabulary import kernel
from watchkeeper_sensor.decoding import PROGRAMS
from watchkeeper_sensor.kernel.programs import unified_cgroup

COMMAND = str(Path(sys.executable).with_name("watchkeeper"))


def doctor(*options, around=()):
    done = subprocess.run([*around, COMMAND, "doctor", *options], capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def examined():
    done = doctor("-o", "json")
    return done.returncode, json.loads(done.stdout)


def test_every_program_is_named_with_its_hook_and_state(examined):
    _, found = examined
    hooks = {hook["name"]: hook for hook in found["hooks"]}
    assert {program.name for program in PROGRAMS} <= hooks.keys()
    assert hooks["process_exec"]["hook"] == "tp_btf/sched_process_exec"
    assert hooks["process_exec"]["state"] == "attached"
    assert all(hook["reason"] for hook in found["hooks"] if hook["state"] != "attached")


def test_the_exit_status_says_whether_something_cannot_be_seen(examined):
    status, found = examined
    is_blind = bool(found["blind"]) or any(one["state"] == "blind" for one in [*found["hooks"], *found["findings"]])
    assert (status, found["status"]) == ((1, "partly blind") if is_blind else (0, "sees everything"))
    assert {*found["seen"], *found["blind"]} == {kind.name for kind in kernel.KINDS}


def test_what_is_not_right_has_a_remedy(examined):
    _, found = examined
    assert {one["about"] for one in found["findings"]} >= {"kernel", "rights", "types", "options", "lockdown", "security", "tracefs", "cgroups", "clock"}
    assert all(one["remedy"] for one in found["findings"] if one["state"] != "ok")


def test_the_text_tells_the_same_for_people(examined):
    status, found = examined
    done = doctor("-v")
    assert done.returncode == status
    assert f"kernel      {os.uname().release}" in done.stdout
    assert f"{len(found['seen'])} of {len(kernel.KINDS)} kinds of events" in done.stdout
    for program in PROGRAMS:
        assert program.name in done.stdout


def test_without_rights_it_cannot_run_and_says_which_are_missing():
    done = doctor(around=("setpriv", "--bounding-set=-sys_admin,-bpf,-perfmon"))
    assert done.returncode == 3
    assert "MISSING  rights      root without CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN" in done.stdout
    assert "CapabilityBoundingSet=" in done.stdout
    assert "the sensor can't run here" in done.stdout


def test_without_cgroup_v2_what_needs_it_is_blind_by_name_with_a_remedy():
    hide = f"umount {unified_cgroup()} && exec {COMMAND} doctor"
    done = doctor_in(hide)
    if done.returncode == 32:
        pytest.skip(f"the hierarchy can't be unmounted here: {done.stderr}")
    assert done.returncode == 1
    assert "BLIND    cgroups     version 1 alone" in done.stdout
    assert "→ mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2" in done.stdout
    assert "BLIND    hook        dns_egress (cgroup_skb/egress):" in done.stdout
    assert "BLIND    dns.question: no program here tells it" in done.stdout
    assert done.stdout.count("falls back") == 2  # connections are told by the socket's state as well


def doctor_in(command):
    return subprocess.run(["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, check=False, timeout=120)
