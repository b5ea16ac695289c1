"""The systemd unit: what it takes away is nothing that the sensor needs. There is no systemd here, so its means are used without it."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from watchkeeper_sensor.kernel.privileges import KEPT

COMMAND = Path(sys.executable).with_name("watchkeeper")
UNIT = Path(__file__).parents[2] / "manifests" / "systemd" / "watchkeeper.service"
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1  # linux/prctl.h: what MemoryDenyWriteExecute asks for


def setting(name):
    return [line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith(f"{name}=")]


def test_the_capabilities_are_those_that_the_agent_keeps():
    assert set(setting("CapabilityBoundingSet")[0].split()) == KEPT.keys()


def test_the_demo_passes_with_the_capabilities_and_restrictions_of_the_unit():
    """Without writable code, new privileges, or any other capability."""
    names = [name.removeprefix("CAP_").lower() for name in setting("CapabilityBoundingSet")[0].split()]
    assert setting("NoNewPrivileges") == setting("MemoryDenyWriteExecute") == ["yes"]
    held = capabilities()
    allowed = ",".join(f"+{name}" for name in names if held >> KEPT[f"CAP_{name.upper()}"] & 1)
    done = subprocess.run(
        ["setpriv", f"--bounding-set=-all,{allowed}", "--ambient-caps=-all", "--no-new-privs", COMMAND, "up", "--demo"],
        preexec_fn=no_writable_code,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 of 5 acts were seen" in done.stdout


def capabilities():
    """Of the bounding set of this machine: it may lack some that the unit names."""
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd")).split()[1], 16)


def no_writable_code():
    ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0)


def test_every_address_family_that_it_uses_is_allowed():
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} <= set(setting("RestrictAddressFamilies")[0].split())


def test_systemd_finds_nothing_wrong_with_it(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    program = tmp_path / "watchkeeper"
    program.symlink_to(COMMAND)
    unit = tmp_path / "watchkeeper.service"
    unit.write_text(UNIT.read_text().replace("/opt/watchkeeper/bin/watchkeeper", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, env={**os.environ, "SYSTEMD_COLORS": "0"})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_what_it_starts_is_a_command_that_there_is():
    words = setting("ExecStart")[0].split()
    for option in (word for word in words if word.startswith("--")):
        assert option in subprocess.run([COMMAND, words[1], "--help"], capture_output=True, text=True, check=True).stdout
