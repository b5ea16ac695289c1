"""What processes do to others and to themselves."""

import ctypes
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.bpf.calls import Compat, call

PTRACE_TRACEME, PTRACE_POKETEXT, PTRACE_CONT, PTRACE_ATTACH, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_SETREGS = 0, 4, 7, 16, 17, 0x4206, 13
PTRACE_PEEKTEXT, PTRACE_GETREGS = 1, 12
PR_SET_NAME, PR_SET_MM, PR_SET_MM_ARG_START = 15, 35, 8
ADDR_NO_RANDOMIZE = 0x0040000
CLONE_NEWPID = 0x20000000
SI_TIMER = -2
NOBODY = 65534


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["/bin/sleep", "60"])
    while Path(f"/proc/{process.pid}/stat").read_text().split()[1:3] != ["(sleep)", "S"]:  # its stack is moved once more after the exec is seen
        time.sleep(0.001)
    yield process.pid
    process.kill()
    process.wait()


def is_sleeper(target, pid):
    """Every field of the object `target_process` is that of the test's /bin/sleep."""
    assert target.process_id == pid
    assert target.id.split(":")[1] == str(pid)
    assert target.exe == os.path.realpath("/bin/sleep")
    assert target.exe_inode == os.stat("/bin/sleep").st_ino
    assert (target.name, target.uid, target.container_id) == ("sleep", 0, None)
    assert (target.is_self, target.is_child, target.is_sensor) == (False, False, False)
    return True


def traces(pid, *requests):
    """Attach, then make requests of (number, address, value)."""

    def act():
        call("ptrace", PTRACE_ATTACH, pid, 0, 0)
        os.waitpid(pid, 0x40000000)
        for request, address, value in requests:
            try:
                call("ptrace", request, pid, address, value)
            except OSError:
                continue
        call("ptrace", PTRACE_DETACH, pid, 0, 0)

    return act


def test_attaching_and_writing_by_ptrace_tell_the_request_and_the_target(watch, in_child, sleeper):
    registers = ctypes.create_string_buffer(512)
    place = stack_of(sleeper)
    watching = watch("process.ptrace")
    requests = [(PTRACE_PEEKTEXT, place, ctypes.addressof(registers)), (PTRACE_GETREGS, 0, ctypes.addressof(registers))]
    requests += [(PTRACE_POKETEXT, place, 0), (PTRACE_SETREGS, 0, ctypes.addressof(registers))]
    pid, status = in_child(traces(sleeper, *requests))
    assert status == 0
    events = watching.events("process.ptrace", process=pid, count=3)
    assert [event.ptrace.request for event in events] == ["PTRACE_ATTACH", "PTRACE_POKETEXT", "PTRACE_SETREGS"]
    assert all(is_sleeper(event.target_process, sleeper) for event in events)
    assert (events[0].syscall.name, events[0].syscall.error) == ("ptrace", None)


def test_who_asks_to_be_traced_is_its_own_target(watch, in_child):
    watching = watch("process.ptrace")
    pid, status = in_child(lambda: call("ptrace", PTRACE_TRACEME, 0, 0, 0))
    assert status == 0
    (event,) = watching.events("process.ptrace", process=pid)
    assert (event.ptrace.request, event.target_process.process_id, event.target_process.is_self) == ("PTRACE_TRACEME", pid, True)


def test_a_denied_attach_tells_whom_it_was_meant_for(watch, in_child, sleeper):
    watching = watch("process.ptrace")

    def act():
        os.setresuid(NOBODY, NOBODY, NOBODY)
        with pytest.raises(PermissionError):
            call("ptrace", PTRACE_SEIZE, sleeper, 0, 0)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("process.ptrace", process=pid)
    assert (event.ptrace.request, event.syscall.error) == ("PTRACE_SEIZE", "EPERM")
    assert is_sleeper(event.target_process, sleeper)


def test_a_target_inside_a_pid_namespace_is_told_by_the_hosts_number(watch, in_child):
    watching = watch("process.ptrace")

    def inner():
        victim = os.fork()
        if victim == 0:
            time.sleep(10)
            os._exit(0)
        assert victim == 2  # its number here
        call("ptrace", PTRACE_SEIZE, victim, 0, 0)
        os.kill(victim, signal.SIGKILL)

    def act():
        call("unshare", CLONE_NEWPID)
        child = os.fork()
        if child == 0:
            try:
                inner()
            finally:
                os._exit(0)
        os.waitpid(child, 0)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("process.ptrace", where=lambda event: event.process.parent.process_id == pid)
    assert event.target_process.process_id > 2
    assert event.target_process.is_child is True


def stack_of(pid):
    """An address of the process's stack."""
    with open(f"/proc/{pid}/maps") as maps:
        return next(int(line.split("-")[0], 16) for line in maps if "[stack]" in line) + 4096 * 8


def vm_call(name, pid, address, size):
    buffer = ctypes.create_string_buffer(size)
    ours = ctypes.create_string_buffer(struct.pack("<QQ", ctypes.addressof(buffer), size))
    theirs = ctypes.create_string_buffer(struct.pack("<QQ", address, size))
    return call(name, pid, ctypes.addressof(ours), 1, ctypes.addressof(theirs), 1, 0)


def test_reading_and_writing_anothers_memory_tell_how_much_and_whose(watch, in_child, sleeper):
    address = stack_of(sleeper)
    watching = watch("process.memory_read", "process.memory_write")

    def act():
        assert vm_call("process_vm_readv", sleeper, address, 100) == 100
        assert vm_call("process_vm_writev", sleeper, address, 8) == 8

    pid, status = in_child(act)
    assert status == 0
    (read,) = watching.events("process.memory_read", process=pid)
    (write,) = watching.events("process.memory_write", process=pid)
    assert (read.memory_access.method, read.memory_access.bytes, read.syscall.name) == ("process_vm", 100, "process_vm_readv")
    assert (write.memory_access.method, write.memory_access.bytes, write.syscall.name) == ("process_vm", 8, "process_vm_writev")
    assert is_sleeper(read.target_process, sleeper)
    assert is_sleeper(write.target_process, sleeper)


def test_a_denied_read_of_memory_is_told(watch, in_child, sleeper):
    address = stack_of(sleeper)
    watching = watch("process.memory_read")

    def act():
        os.setresuid(NOBODY, NOBODY, NOBODY)
        with pytest.raises(PermissionError):
            vm_call("process_vm_readv", sleeper, address, 8)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("process.memory_read", process=pid)
    assert (event.syscall.error, event.memory_access.bytes) == ("EPERM", 0)
    assert is_sleeper(event.target_process, sleeper)


def test_own_memory_and_an_ordinary_file_called_mem_are_quiet(watch, in_child, tmp_path):
    (tmp_path / "mem").write_text("x")
    watching = watch("process.memory_read", "process.memory_write")

    def act():
        own = ctypes.create_string_buffer(8)
        vm_call("process_vm_readv", os.getpid(), ctypes.addressof(own), 8)
        os.open("/proc/self/mem", os.O_RDWR)
        os.open(tmp_path / "mem", os.O_RDWR)
        os.open(f"/proc/{os.getppid()}/mem", os.O_PATH)
        os.open(f"/proc/{os.getppid()}/maps", os.O_RDONLY)

    pid, status = in_child(act)
    assert status == 0
    watching.nothing("process.memory_read", process=pid)
    watching.nothing("process.memory_write", process=pid)


def opens_by_path(pid, _):
    return os.open(f"/proc/{pid}/mem", os.O_RDWR)


def opens_by_directory(pid, _):
    return os.open("mem", os.O_RDWR, dir_fd=os.open(f"/proc/{pid}", os.O_PATH))


def opens_relative(pid, _):
    os.chdir(f"/proc/{pid}/task/{pid}")
    return os.open("../../mem", os.O_RDWR)


def opens_by_link(pid, tmp_path):
    link = tmp_path / "harmless"
    link.unlink(missing_ok=True)
    link.symlink_to(f"/proc/{pid}")
    return os.open(link / "mem", os.O_RDWR)


def opens_by_own_root(pid, _):
    return os.open(f"/proc/self/root/proc/{pid}/task/{pid}/mem", os.O_RDWR)


@pytest.mark.parametrize("opens", [opens_by_path, opens_by_directory, opens_relative, opens_by_link, opens_by_own_root])
def test_a_memory_file_is_told_however_its_path_is_written(watch, in_child, sleeper, tmp_path, opens):
    watching = watch("process.memory_read", "process.memory_write")
    pid, status = in_child(lambda: opens(sleeper, tmp_path))
    assert status == 0
    (read,) = watching.events("process.memory_read", process=pid)
    (write,) = watching.events("process.memory_write", process=pid)
    assert (read.memory_access.method, read.memory_access.bytes) == ("proc_mem", None)
    assert write.memory_access.method == "proc_mem"
    assert read.id != write.id
    assert is_sleeper(write.target_process, sleeper)


def test_a_memory_file_opened_for_reading_only_is_no_write(watch, in_child, sleeper):
    watching = watch("process.memory_read", "process.memory_write")
    pid, _ = in_child(lambda: os.open(f"/proc/{sleeper}/mem", os.O_RDONLY))
    watching.events("process.memory_read", process=pid)
    watching.nothing("process.memory_write", process=pid)


def test_a_signal_tells_its_number_and_whom_it_goes_to(watch, in_child, sleeper):
    watching = watch("process.signal")

    def act():
        os.kill(sleeper, signal.SIGUSR1)

    pid, _ = in_child(act)
    (event,) = watching.events("process.signal", process=pid)
    assert (event.signal.number, event.signal.name) == (10, "SIGUSR1")
    assert (event.syscall.name, event.syscall.compat, event.syscall.error) == ("kill", False, None)
    assert is_sleeper(event.target_process, sleeper)


def test_every_way_to_send_a_signal_is_told(watch, in_child):
    def queued(code):
        return ctypes.create_string_buffer(struct.pack("<iii", signal.SIGURG, 0, code), 128)

    parent = os.getpid()
    ways = {
        "tkill": lambda: call("tkill", parent, signal.SIGURG),
        "tgkill": lambda: call("tgkill", parent, parent, signal.SIGURG),
        "rt_sigqueueinfo": lambda: call("rt_sigqueueinfo", parent, signal.SIGURG, queued(SI_TIMER)),  # forged: as if a timer sent it
        "rt_tgsigqueueinfo": lambda: call("rt_tgsigqueueinfo", parent, parent, signal.SIGURG, queued(-1)),
        "pidfd_send_signal": lambda: call("pidfd_send_signal", os.pidfd_open(parent), signal.SIGURG, 0, 0),
    }
    watching = watch("process.signal")
    for name, act in ways.items():
        pid, status = in_child(act)
        assert status == 0, name
        (event,) = watching.events("process.signal", process=pid)
        assert (event.signal.name, event.syscall.name, event.target_process.process_id) == ("SIGURG", name, parent)
        assert event.target_process.is_sensor is True  # the sensor of this test runs in its own process


def test_a_signal_to_a_group_is_told_for_each_of_its_processes(watch, in_child):
    watching = watch("process.signal")

    def act():
        os.setpgid(0, 0)
        for _ in range(2):
            if os.fork() == 0:
                time.sleep(10)
                os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.kill(0, signal.SIGTERM)

    pid, status = in_child(act)
    assert status == 0
    events = watching.events("process.signal", process=pid, count=2)
    assert all(event.target_process.is_child for event in events)
    assert len({event.target_process.process_id for event in events}) == 2


def test_signals_to_oneself_of_the_kernel_and_of_timers_are_quiet(watch, in_child):
    watching = watch("process.signal")

    def act():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.signal(signal.SIGALRM, lambda *_: None)
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        time.sleep(0.1)
        if os.fork() == 0:
            os._exit(0)  # SIGCHLD to the parent
        os.wait()
        reader, writer = os.pipe()
        os.close(reader)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        with pytest.raises(BrokenPipeError):
            os.write(writer, b"x")
        os.kill(os.getppid(), 0)  # asks whether it is there

    pid, status = in_child(act)
    assert status == 0
    watching.nothing("process.signal", process=pid)
    watching.nothing("process.signal", where=lambda event: event.process.parent.process_id == pid)


def test_a_process_that_renames_itself_is_known_by_the_new_name(watch, in_child):
    watching = watch("process.prctl")

    def act():
        call("prctl", PR_SET_NAME, b"kworker/0:1", 0, 0, 0)
        threading.Thread(target=lambda: call("prctl", PR_SET_NAME, b"worker", 0, 0, 0)).start()
        call("prctl", PR_SET_NAME, b"a name of more than fifteen", 0, 0, 0)

    pid, status = in_child(act)
    assert status == 0
    first, second = watching.events("process.prctl", process=pid, count=2)
    assert (first.prctl.option, first.prctl.name, first.process.name) == ("PR_SET_NAME", "kworker/0:1", "kworker/0:1")
    assert (second.prctl.name, second.before.name) == ("a name of more ", "kworker/0:1")


def test_moving_the_arguments_of_a_process_is_told(watch, in_child):
    watching = watch("process.prctl")
    held = ctypes.create_string_buffer(b"/usr/sbin/sshd")
    pid, status = in_child(lambda: call("prctl", PR_SET_MM, PR_SET_MM_ARG_START, ctypes.addressof(held), 0, 0))
    (event,) = watching.events("process.prctl", process=pid)
    assert (event.prctl.option, event.prctl.name) == ("PR_SET_MM_ARG_START", None)
    assert event.syscall.error == (None if status == 0 else "EPERM")  # CAP_SYS_RESOURCE is not everywhere


def test_a_changed_execution_domain_is_told_and_asking_for_it_is_not(watch, in_child):
    watching = watch("process.personality")

    def act():
        before = call("personality", 0xFFFFFFFF)
        call("personality", before)
        call("personality", ADDR_NO_RANDOMIZE)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("process.personality", process=pid)
    assert (event.personality.value, event.personality.no_randomisation) == (ADDR_NO_RANDOMIZE, True)
    assert event.syscall.name == "personality"


def test_the_first_32_bit_call_of_a_64_bit_process_is_told_once(watch, in_child):
    compat = Compat()
    watching = watch("process.compat_call")

    def act():
        compat.call(20, 0, 0)  # getpid
        compat.call(20, 0, 0)
        os.getppid()

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("process.compat_call", process=pid)
    assert (event.syscall.name, event.syscall.compat) == ("getpid", True)
    watching.nothing("process.compat_call", process=pid, where=lambda other: other is not event)
    assert watching.events("process.compat_call", process=pid) == [event]


def test_a_32_bit_call_reaches_the_handlers_of_its_kind_as_well(watch, in_child, sleeper):
    compat = Compat()
    watching = watch("process.compat_call", "process.ptrace", "process.personality")

    def act():
        compat.call(26, PTRACE_ATTACH, sleeper)
        compat.call(136, ADDR_NO_RANDOMIZE, 0)
        compat.call(7, 0, 0)  # waitpid: has no 64-bit twin

    pid, status = in_child(act)
    assert status == 0
    (first,) = watching.events("process.compat_call", process=pid)
    (traced,) = watching.events("process.ptrace", process=pid)
    (changed,) = watching.events("process.personality", process=pid)
    assert (first.syscall.name, traced.syscall.compat, traced.target_process.process_id) == ("ptrace", True, sleeper)
    assert (changed.syscall.compat, changed.personality.no_randomisation) == (True, True)


def test_64_bit_calls_alone_are_no_compat_calls(watch):
    watching = watch("process.compat_call")
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], check=True, capture_output=True)
    watching.nothing("process.compat_call", process=int(child.stdout))


def test_attempts_on_numbers_that_nobody_has_are_quiet(watch, in_child):
    watching = watch("process.ptrace", "process.memory_read")

    def act():
        with pytest.raises(ProcessLookupError):
            call("ptrace", PTRACE_SEIZE, 4_000_000, 0, 0)
        with pytest.raises(ProcessLookupError):
            vm_call("process_vm_readv", 4_000_000, 4096, 8)

    pid, status = in_child(act)
    assert status == 0
    watching.nothing("process.ptrace", process=pid)
    watching.nothing("process.memory_read", process=pid)
