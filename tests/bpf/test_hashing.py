"""Hashes of programs that ran, as a late field of their events."""

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from watchkeeper_sensor.hashing import Hashes


@pytest.fixture
def hashing(watch):
    """The sensor with hashes."""
    watching = watch("process.exec", "process.exit")
    with Hashes() as hashes:
        watching.stream.around.hashes = hashes
        yield watching


def late(watching, event):
    """The event's hash, waited for."""
    end = time.monotonic() + 5
    while event.process.exe_hash is None and time.monotonic() < end:
        watching.drain()
        time.sleep(0.01)
    return event.process.exe_hash


def test_an_exec_gets_the_hash_of_its_program_late(hashing, tmp_path):
    program = tmp_path / "program"
    shutil.copy("/bin/sleep", program)
    os.stat(program)  # a change time that was asked for carries a mark in the kernel
    with subprocess.Popen([program, "5"]) as process:
        (event,) = hashing.events("process.exec", process=process.pid)
        assert event.image.exe_identity.changed_at == os.stat(program).st_ctime_ns
        assert late(hashing, event) == hashlib.sha256(program.read_bytes()).hexdigest()
        process.kill()
    (end,) = hashing.events("process.exit", process=process.pid)
    assert end.process.exe_hash == event.process.exe_hash


def test_a_process_that_is_gone_is_hashed_by_its_path(hashing, tmp_path):
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    process = subprocess.Popen([program])
    process.wait()
    (event,) = hashing.events("process.exec", process=process.pid)
    assert late(hashing, event) == hashlib.sha256(program.read_bytes()).hexdigest()


def test_a_program_without_a_name_is_hashed_while_it_runs(hashing):
    memory = os.memfd_create("payload", 0)
    os.write(memory, Path("/bin/sleep").read_bytes())
    with subprocess.Popen([f"/proc/self/fd/{memory}", "5"], pass_fds=[memory]) as process:
        (event,) = hashing.events("process.exec", process=process.pid)
        assert late(hashing, event) == hashlib.sha256(Path("/bin/sleep").read_bytes()).hexdigest()
        process.kill()
    os.close(memory)
