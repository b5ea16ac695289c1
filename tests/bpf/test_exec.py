"""exec, fork, exit: the lifecycle of processes."""

import ctypes
import os
import shutil
import subprocess

import pytest

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2

libc = ctypes.CDLL(None, use_errno=True)


def run(*args, **options):
    process = subprocess.Popen(args, **options)
    process.wait()
    return process.pid


def test_an_exec_tells_the_program_by_its_file_and_the_arguments_in_full(watch, tmp_path):
    watching = watch("process.exec")
    pid = run("/bin/echo", "one", "two words", cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    (event,) = watching.events("process.exec", process=pid)
    process = event.process
    assert process.exe == os.path.realpath("/bin/echo")
    assert process.args == ["/bin/echo", "one", "two words"]
    assert (process.args_count, process.args_truncated) == (3, False)
    assert process.cwd == str(tmp_path)
    assert process.exe_inode == os.stat("/bin/echo").st_ino
    assert (process.exe_memfd, process.exe_unlinked, process.exe_setuid) == (False, False, False)
    assert (process.uid, process.euid) == (0, 0)
    assert process.parent.process_id == os.getpid()
    assert process.ancestors.ids[0] == process.parent.id
    assert process.namespaces.mount == os.stat("/proc/self/ns/mnt").st_ino
    assert (process.stdin.type, process.stdout.type) == ("null", "null")
    assert event.exec.path == "/bin/echo"
    assert event.syscall.error is None


def test_long_arguments_are_cut_and_say_so(watch):
    watching = watch("process.exec")
    pid = run("/bin/true", "x" * 20_000)
    (event,) = watching.events("process.exec", process=pid)
    assert event.process.args_truncated is True
    assert event.process.args_count == 2


def test_a_deleted_program_and_a_memfd_say_so(watch, tmp_path):
    watching = watch("process.exec")
    copy = tmp_path / "copy"
    shutil.copy("/bin/true", copy)
    number = os.open(copy, os.O_RDONLY)
    copy.unlink()
    pid = run(f"/proc/self/fd/{number}", pass_fds=[number])
    memory = os.memfd_create("payload", 0)
    with open("/bin/true", "rb") as true:
        os.write(memory, true.read())
    fileless = run(f"/proc/self/fd/{memory}", pass_fds=[memory])
    (deleted,) = watching.events("process.exec", process=pid)
    (in_memory,) = watching.events("process.exec", process=fileless)
    assert (deleted.process.exe_unlinked, deleted.process.exe_memfd) == (True, False)
    assert (in_memory.process.exe_unlinked, in_memory.process.exe_memfd) == (True, True)
    assert in_memory.process.exe == "/memfd:payload"


def test_a_script_tells_its_interpreter(watch, tmp_path):
    watching = watch("process.exec")
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    pid = run(str(script))
    (event,) = watching.events("process.exec", process=pid)
    assert event.exec.script == str(script)
    assert event.exec.interpreter == os.path.realpath("/bin/sh")
    assert event.process.exe == os.path.realpath("/bin/sh")


def test_a_failed_exec_tells_the_path_and_the_error(watch):
    watching = watch("process.exec_failed")
    with pytest.raises(FileNotFoundError):
        run("/nonexistent/program")
    (event,) = watching.events("process.exec_failed", where=lambda event: event.exec.path == "/nonexistent/program")
    assert event.syscall.error == "ENOENT"
    assert event.syscall.name == "execve"


def test_a_fork_and_an_exit_tell_child_code_and_signal(watch, in_child):
    watching = watch("process.fork", "process.exit")
    pid, _ = in_child(lambda: os._exit(7))
    (fork,) = watching.events("process.fork", where=lambda event: event.fork.child_process_id == pid)
    (end,) = watching.events("process.exit", process=pid)
    assert fork.process.process_id == os.getpid()
    assert fork.fork.child_id == end.process.id
    assert (end.exit.code, end.exit.signal) == (7, 0)
    killed, _ = in_child(lambda: os.kill(os.getpid(), 9))
    (end,) = watching.events("process.exit", process=killed)
    assert (end.exit.code, end.exit.signal) == (0, 9)


def test_a_user_that_is_not_root_and_its_capabilities_are_told(watch):
    watching = watch("process.exec")
    pid = run("/bin/true", user=65534, group=65534)
    (event,) = watching.events("process.exec", process=pid)
    assert (event.process.uid, event.process.euid, event.process.gid) == (65534, 65534, 65534)
    assert event.process.capabilities.effective == []


def test_a_program_in_a_mount_that_was_taken_out_of_the_tree_has_the_path_of_its_file_system(watch, in_child, tmp_path):
    """As container runtimes run themselves: bind, open, unmount, execute by descriptor."""
    program, place = tmp_path / "program", tmp_path / "place"
    shutil.copy("/bin/true", program)
    place.touch()

    def act():
        libc.unshare(CLONE_NEWNS)
        libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
        libc.mount(os.fsencode(program), os.fsencode(place), None, MS_BIND, None)
        file = os.open(place, os.O_PATH)
        libc.umount2(os.fsencode(place), MNT_DETACH)
        os.execve(file, ["program"], {})

    watching = watch("process.exec")
    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("process.exec", process=pid)
    assert event.process.exe_inode == program.stat().st_ino
    assert event.process.exe.endswith("/" + program.relative_to(tmp_path.parents[1]).as_posix())
