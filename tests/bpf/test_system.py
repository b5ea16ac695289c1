"""The kernel's own interfaces: modules, kexec, BPF, perf, keys, page faults, the clock, terminals."""

import contextlib
import ctypes
import fcntl
import os
import pty
import socket
import struct
import time

import pytest

NR_INIT_MODULE, NR_FINIT_MODULE, NR_DELETE_MODULE = 175, 313, 176
NR_KEXEC_LOAD, NR_KEXEC_FILE_LOAD = 246, 320
NR_BPF, NR_PERF, NR_USERFAULTFD = 321, 298, 323
NR_ADD_KEY, NR_REQUEST_KEY, NR_KEYCTL = 248, 249, 250
NR_CLOCK_SETTIME, NR_ADJTIMEX = 227, 159
TIOCSTI, TIOCSCTTY, USERFAULTFD_IOC_NEW = 0x5412, 0x540E, 0xAA00
SO_ATTACH_BPF, SO_ATTACH_FILTER = 50, 26
ENOSYS = 38
HERE = 2**32 - 100  # AT_FDCWD

libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    return libc.syscall(number, *(ctypes.c_uint64(each) if isinstance(each, int) else each for each in arguments))


def bpf(command, attributes):
    held = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    return call(NR_BPF, command, held, 128)


def load_program(name=b"sneaky", program_type=1):
    """A program that returns 0: r0 = 0; exit."""
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack("<IIQQIIQII16s", program_type, 2, ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0, 0, 0, name)
    number = bpf(5, attributes)
    assert number >= 0, os.strerror(ctypes.get_errno())
    return number


def test_a_program_and_a_map_tell_what_the_kernel_made_of_them(watch, in_child):
    watching = watch("bpf.load")

    def act():
        load_program()
        assert bpf(0, struct.pack("<IIIIIII16s", 1, 4, 8, 10, 0, 0, 0, b"loot")) >= 0

    pid, status = in_child(act)
    assert status == 0
    program, made_map = watching.events("bpf.load", process=pid, count=2)
    told = program.bpf
    assert (told.command, told.program_type, told.program_name) == ("BPF_PROG_LOAD", "socket_filter", "sneaky")
    assert told.program_id > 0
    assert len(told.program_tag) == 16
    assert told.program_tag != "0" * 16
    assert (told.of_sensor, told.map_type, told.helpers) == (False, None, None)
    assert program.syscall.name == "bpf"
    assert (made_map.bpf.command, made_map.bpf.map_type, made_map.bpf.map_name) == ("BPF_MAP_CREATE", "hash", "loot")
    assert made_map.bpf.program_id is None


def test_a_program_that_the_kernel_refuses_is_told_as_it_was_asked_for(watch, in_child):
    watching = watch("bpf.load")
    pid, _ = in_child(lambda: bpf(5, struct.pack("<IIQQIIQII16s", 6, 0, 0, 0, 0, 0, 0, 0, 0, b"refused")))
    (event,) = watching.events("bpf.load", process=pid)
    assert (event.bpf.program_type, event.bpf.program_name, event.bpf.program_id) == ("xdp", "refused", None)
    assert event.syscall.error is not None


def test_other_bpf_calls_are_quiet(watch, in_child):
    watching = watch("bpf.load", "bpf.attach")
    pid, _ = in_child(lambda: bpf(11, struct.pack("<I", 0)))
    watching.nothing("bpf.load", process=pid)
    watching.nothing("bpf.attach", process=pid)


def test_attaching_pinning_and_detaching_tell_the_program_and_the_place(watch, in_child):
    watching = watch("bpf.attach")
    cgroup = next(path for path in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(f"{path}/cgroup.controllers"))
    pinned = f"/sys/fs/bpf/watchkeeper-test-{os.getpid()}"
    own = f"{cgroup}/watchkeeper-test-{os.getpid()}"
    os.mkdir(own)

    def act():
        program = load_program(b"egress", 8)
        folder = os.open(own, os.O_RDONLY)
        link = bpf(28, struct.pack("<IIII", program, folder, 1, 0))
        assert link >= 0
        path = ctypes.create_string_buffer(pinned.encode())
        bpf(6, struct.pack("<QII", ctypes.addressof(path), program, 0))
        assert bpf(34, struct.pack("<I", link)) == 0

    try:
        pid, status = in_child(act)
    finally:
        os.rmdir(own)
        if os.path.exists(pinned):
            os.unlink(pinned)
    assert status == 0
    linked, pin, detached = watching.events("bpf.attach", process=pid, count=3)
    assert (linked.bpf.command, linked.bpf.attach_type, linked.bpf.program_name) == ("BPF_LINK_CREATE", "cgroup_inet_egress", "egress")
    assert (linked.bpf.attach_target, linked.bpf.program_type) == (own, "cgroup_skb")
    assert (pin.bpf.command, pin.bpf.pinned_path, pin.bpf.program_id) == ("BPF_OBJ_PIN", pinned, linked.bpf.program_id)
    assert (detached.bpf.command, detached.bpf.program_id) == ("BPF_LINK_DETACH", linked.bpf.program_id)


def test_a_raw_tracepoint_and_a_socket_filter_are_told(watch, in_child):
    watching = watch("bpf.attach")

    def act():
        program = load_program(b"spy", 17)
        name = ctypes.create_string_buffer(b"sys_enter")
        assert bpf(17, struct.pack("<QI", ctypes.addressof(name), program)) >= 0
        with socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, load_program(b"filter"))
            code = ctypes.create_string_buffer(struct.pack("<HBBI", 6, 0, 0, 0))
            plain.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("<HxxxxxxQ", 1, ctypes.addressof(code)))
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    pid, status = in_child(act)
    assert status == 0
    raw, extended, classic = watching.events("bpf.attach", process=pid, count=3)
    assert (raw.bpf.command, raw.bpf.attach_target, raw.bpf.program_name) == ("BPF_RAW_TRACEPOINT_OPEN", "sys_enter", "spy")
    assert (extended.bpf.command, extended.bpf.program_name, extended.syscall.name) == ("SO_ATTACH_BPF", "filter", "setsockopt")
    assert (classic.bpf.command, classic.bpf.program_id) == ("SO_ATTACH_FILTER", None)


def test_modules_and_other_kernels_are_told_also_when_the_kernel_refuses(watch, in_child, tmp_path):
    watching = watch("module.load", "module.unload", "kexec.load")
    file = tmp_path / "rootkit.ko"
    file.write_bytes(b"\x7fELF")

    def act():
        number = os.open(file, os.O_RDONLY)
        call(NR_FINIT_MODULE, number, b"hide=1", 3)
        call(NR_INIT_MODULE, b"\x7fELF", 4, b"port=1")
        call(NR_DELETE_MODULE, b"watchkeeper_absent", 0)
        call(NR_KEXEC_FILE_LOAD, number, number, 9, b"init=/sh\0", 4)
        call(NR_KEXEC_LOAD, 0, 0, 0, 1)

    pid, status = in_child(act)
    assert status == 0
    from_file, from_memory = watching.events("module.load", process=pid, count=2)
    assert (from_file.file.path, from_file.module.from_memory, from_file.module.ignores_version) == (str(file), False, True)
    assert (from_file.module.parameters, from_file.syscall.name) == ("hide=1", "finit_module")
    assert from_file.syscall.error is not None
    assert (from_memory.module.from_memory, from_memory.module.parameters, from_memory.file.path) == (True, "port=1", None)
    (unload,) = watching.events("module.unload", process=pid)
    assert unload.module.name == "watchkeeper_absent"
    by_file, by_segments = watching.events("kexec.load", process=pid, count=2)
    assert (by_file.kexec.flags, by_file.kexec.command_line, by_file.file.path) == (["KEXEC_FILE_NO_INITRAMFS"], "init=/sh", str(file))
    assert by_segments.kexec.flags == ["KEXEC_ON_CRASH"]


def test_a_performance_event_tells_type_and_whom_it_watches(watch, in_child):
    watching = watch("perf.open")
    watched = os.getpid()

    def act():
        software = ctypes.create_string_buffer(struct.pack("<IIQQQQQ", 1, 112, 0, 0, 0, 0, 1 << 5).ljust(112, b"\0"), 112)
        assert libc.syscall(NR_PERF, software, watched, -1, -1, 0) >= 0
        everyone = ctypes.create_string_buffer(struct.pack("<IIQQQQQ", 1, 112, 0, 0, 0, 0, 0).ljust(112, b"\0"), 112)
        assert libc.syscall(NR_PERF, everyone, -1, 0, -1, 0) >= 0

    pid, status = in_child(act)
    if status != 0:
        pytest.skip("this kernel has no performance events")
    one, whole = watching.events("perf.open", process=pid, count=2)
    assert (one.perf.type, one.perf.whole_cpu, one.perf.includes_kernel) == ("software", False, False)
    assert (one.target_process.process_id, one.target_process.exe) == (watched, os.path.realpath("/proc/self/exe"))
    assert (whole.perf.whole_cpu, whole.perf.includes_kernel, whole.target_process.process_id) == (True, True, None)


def test_keys_tell_operation_type_and_description(watch, in_child):
    watching = watch("keyring.call")

    def act():
        key = libc.syscall(NR_ADD_KEY, b"user", b"stolen", b"x", 1, -2)
        if key < 0 and ctypes.get_errno() == ENOSYS:
            os._exit(3)
        libc.syscall(NR_REQUEST_KEY, b"user", b"absent", None, 0)
        libc.syscall(NR_KEYCTL, 11, key, 0, 0, 0)
        libc.syscall(NR_KEYCTL, 10, -2, b"user", b"stolen", 0)

    pid, status = in_child(act)
    if status == 3:
        (event,) = watching.events("keyring.call", process=pid)
        assert (event.keyring.operation, event.syscall.error) == ("add_key", "ENOSYS")
        return
    assert status == 0
    added, asked, read, searched = watching.events("keyring.call", process=pid, count=4)
    assert (added.keyring.operation, added.keyring.key_type, added.keyring.description) == ("add_key", "user", "stolen")
    assert added.keyring.key_id > 0
    assert (asked.keyring.operation, asked.keyring.description) == ("request_key", "absent")
    assert asked.syscall.error == "ENOKEY"
    assert (read.keyring.operation, read.keyring.key_id) == ("KEYCTL_READ", added.keyring.key_id)
    assert (searched.keyring.operation, searched.keyring.key_type, searched.keyring.description) == ("KEYCTL_SEARCH", "user", "stolen")


def test_handling_of_page_faults_is_told_by_call_and_by_device(watch, in_child):
    watching = watch("userfaultfd.create")

    def act():
        call(NR_USERFAULTFD, 0)
        call(NR_USERFAULTFD, 1)
        if os.path.exists("/dev/userfaultfd"):
            fcntl.ioctl(os.open("/dev/userfaultfd", os.O_RDWR), USERFAULTFD_IOC_NEW, 1)

    pid, _ = in_child(act)
    whole, user_only = watching.events("userfaultfd.create", process=pid, count=2)[:2]
    assert (whole.userfaultfd.user_mode_only, user_only.userfaultfd.user_mode_only) == (False, True)
    if os.path.exists("/dev/userfaultfd"):
        by_device = watching.events("userfaultfd.create", process=pid, count=3)[2]
        assert (by_device.userfaultfd.user_mode_only, by_device.syscall.name) == (True, "ioctl")


def test_a_clock_that_is_set_tells_the_time_and_the_step(watch, in_child):
    """The call fails for want of the capability, so the machine's clock stays as it is; what was asked for is told all the same."""
    watching = watch("clock.set")
    moment = int(time.time()) - 3600

    def act():
        os.setresuid(65534, 65534, 65534)
        call(NR_CLOCK_SETTIME, 0, struct.pack("<qq", moment, 5))
        timex = ctypes.create_string_buffer(struct.pack("<I", 0x0100 | 0x2000).ljust(72, b"\0") + struct.pack("<qq", -7, 0), 208)
        libc.syscall(NR_ADJTIMEX, timex)
        slewed = ctypes.create_string_buffer(struct.pack("<I", 2), 208)
        libc.syscall(NR_ADJTIMEX, slewed)

    pid, status = in_child(act)
    assert status == 0
    at_once, stepped = watching.events("clock.set", process=pid, count=2)
    assert (at_once.clock.id, at_once.syscall.error) == ("CLOCK_REALTIME", "EPERM")
    assert -3700 < float(at_once.clock.step.removesuffix("s")) < -3590
    assert at_once.clock.new_time.startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)))
    assert (stepped.clock.step, stepped.syscall.name) == ("-7.000000000s", "adjtimex")
    watching.nothing("clock.set", process=pid, where=lambda event: event not in (at_once, stepped))


def test_input_that_is_pushed_into_a_terminal_tells_which(watch, in_child):
    watching = watch("tty.inject")
    leader, terminal = pty.openpty()
    device = os.ttyname(terminal)

    def pushes(own):
        def act():
            os.setsid()
            if own:
                fcntl.ioctl(terminal, TIOCSCTTY, 0)
            with contextlib.suppress(OSError):
                fcntl.ioctl(terminal, TIOCSTI, b"x")

        return act

    for own in (True, False):
        pid, _ = in_child(pushes(own))
        (event,) = watching.events("tty.inject", process=pid)
        assert event.tty.is_own is own
        assert device == f"/dev/pts/{event.tty.device.removeprefix('pts')}"
        assert event.tty.bytes == (1 if event.syscall.error is None else 0)
    os.close(leader)
    os.close(terminal)
