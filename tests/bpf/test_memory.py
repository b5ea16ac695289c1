"""Executable memory, and files that live in memory alone."""

import ctypes
import mmap
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from watchkeeper_sensor.kernel.filters import ALL_WAYS, Filters

READ, WRITE, EXECUTE = 1, 2, 4
PRIVATE, SHARED, ANONYMOUS = 2, 1, 0x20
PAGE = 4096
READ_IMPLIES_EXEC = 0x0400000
NR_MEMFD_CREATE, NR_MEMFD_SECRET = 319, 447
MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL = 1, 2, 8
FAILED = 2**64 - 1

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_uint64
libc.mmap.argtypes = (ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_uint64)
libc.mprotect.argtypes = (ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int)


def mapped(size, protection, flags=PRIVATE | ANONYMOUS, fd=-1, offset=0):
    address = libc.mmap(0, size, protection, flags, fd, offset)
    assert address != FAILED
    return address


def protected(address, size, protection):
    assert libc.mprotect(address, size, protection) == 0


def memfd(name="payload", size=PAGE, flags=0):
    number = os.memfd_create(name, flags)
    os.ftruncate(number, size)
    return number


def test_a_memfd_that_is_mapped_executable_is_told_with_its_identity(watch, in_child):
    watching = watch("memory.map")

    def act():
        mapped(PAGE, READ | EXECUTE, SHARED, memfd("loader"))

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("memory.map", process=pid)
    assert (event.file.memfd, event.file.unlinked, event.file.filesystem) == (True, True, "tmpfs")
    assert (event.file.path, event.file.path_trust, event.file.type) == ("/memfd:loader", "kernel", "regular")
    memory = event.memory
    assert (memory.size, memory.writable, memory.executable, memory.anonymous, memory.area) == (PAGE, False, True, False, "mapping")
    assert memory.huge_pages is False
    assert memory.address % PAGE == 0
    assert event.syscall.name == "mmap"
    assert event.syscall.error is None


def test_a_file_without_a_name_and_one_on_tmpfs_are_told(watch, in_child, tmp_path):
    watching = watch("memory.map")
    gone = tmp_path / "gone.so"
    shutil.copy("/bin/true", gone)

    def unlinked():
        number = os.open(gone, os.O_RDONLY)
        os.unlink(gone)
        mapped(PAGE, READ | EXECUTE, PRIVATE, number)

    def shared_memory():
        number = os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR, 0o600)
        os.ftruncate(number, PAGE)
        mapped(PAGE, READ | EXECUTE, PRIVATE, number)

    without_name, _ = in_child(unlinked)
    (event,) = watching.events("memory.map", process=without_name)
    assert (event.file.unlinked, event.file.memfd, event.file.name) == (True, False, "gone.so")
    on_tmpfs, _ = in_child(shared_memory)
    (event,) = watching.events("memory.map", process=on_tmpfs)
    assert event.file.filesystem == "tmpfs"


def test_a_library_of_the_system_is_quiet_unless_a_policy_names_it(watch, in_child):
    library = os.path.realpath(next(line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/libc.so.6" in line))

    def act():
        mapped(PAGE, READ | EXECUTE, PRIVATE, os.open(library, os.O_RDONLY))

    watching = watch("memory.map")
    pid, _ = in_child(act)
    watching.nothing("memory.map", process=pid)
    watching.sensor.set_filters(Filters(kinds={"memory.map"}, names={b"libc.so.6": {"memory.map": ALL_WAYS}}))
    pid, _ = in_child(act)
    (event,) = watching.events("memory.map", process=pid)
    assert event.file.path == library
    watching.sensor.set_filters(Filters(kinds={"memory.map"}, prefixes={os.fsencode(library) + b"\0": {"memory.map": ALL_WAYS}}))
    pid, _ = in_child(act)
    (event,) = watching.events("memory.map", process=pid)
    assert event.file.inode == os.stat(library).st_ino


def test_the_file_is_the_mapped_one_though_its_descriptor_is_gone(watch, in_child):
    """A second thread closes or replaces descriptors while calls run: what was mapped is read from the memory itself."""
    watching = watch("memory.map")

    def act():
        number = memfd("truth")
        address = mapped(PAGE, READ, SHARED, number)
        os.dup2(os.open("/bin/true", os.O_RDONLY), number)
        protected(address, PAGE, READ | EXECUTE)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("memory.map", process=pid)
    assert event.file.path == "/memfd:truth"
    assert event.syscall.name == "mprotect"


def test_memory_that_is_writable_and_executable_at_once_is_told(watch, in_child):
    watching = watch("memory.protect")

    def act():
        mapped(3 * PAGE, READ | WRITE | EXECUTE)

    pid, _ = in_child(act)
    (event,) = watching.events("memory.protect", process=pid)
    memory = event.memory
    assert (memory.size, memory.writable, memory.executable, memory.was_writable) == (3 * PAGE, True, True, False)
    assert (memory.anonymous, memory.area) == (True, "mapping")
    assert event.syscall.name == "mmap"


def test_memory_that_was_written_and_becomes_executable_is_told(watch, in_child):
    watching = watch("memory.protect")

    def act():
        address = mapped(PAGE, READ | WRITE)
        ctypes.memset(address, 0xC3, 16)
        protected(address, PAGE, READ | EXECUTE)

    pid, _ = in_child(act)
    (event,) = watching.events("memory.protect", process=pid)
    memory = event.memory
    assert (memory.writable, memory.executable, memory.was_writable, memory.anonymous) == (False, True, True, True)
    assert event.syscall.name == "mprotect"


def test_pkey_mprotect_and_the_heap_and_the_stack_are_told_apart(watch, in_child):
    watching = watch("memory.protect")

    def heap():
        address = libc.sbrk(0) & 0xFFFFFFFF
        libc.sbrk.restype = ctypes.c_uint64
        address = libc.sbrk(2 * PAGE)
        page = (address + PAGE - 1) // PAGE * PAGE
        ctypes.memset(page, 0, 8)
        assert libc.syscall(329, ctypes.c_uint64(page), PAGE, READ | WRITE | EXECUTE, -1) == 0

    def stack():
        start = next(int(line.split("-")[0], 16) for line in Path("/proc/self/maps").read_text().splitlines() if line.rstrip().endswith("[stack]"))
        end = next(int(line.split("-")[1].split()[0], 16) for line in Path("/proc/self/maps").read_text().splitlines() if line.rstrip().endswith("[stack]"))
        assert end > start
        protected(end - PAGE, PAGE, READ | WRITE | EXECUTE)

    on_heap, status = in_child(heap)
    assert status == 0
    (event,) = watching.events("memory.protect", process=on_heap)
    assert (event.memory.area, event.memory.writable, event.syscall.name) == ("heap", True, "pkey_mprotect")
    on_stack, status = in_child(stack)
    assert status == 0
    (event,) = watching.events("memory.protect", process=on_stack)
    assert event.memory.area == "stack"


def test_a_domain_that_makes_readable_memory_executable_hides_nothing(watch, in_child):
    watching = watch("memory.protect")

    def act():
        assert libc.personality(READ_IMPLIES_EXEC) >= 0
        mapped(PAGE, READ | WRITE)

    pid, status = in_child(act)
    assert status == 0
    events = watching.events("memory.protect", process=pid)
    assert any(event.memory.size == PAGE and event.memory.executable and event.memory.writable for event in events)


def test_a_range_that_begins_in_another_area_is_told_by_what_it_holds(watch, in_child):
    watching = watch("memory.protect")

    def act():
        address = mapped(4 * PAGE, READ)
        protected(address + 2 * PAGE, 2 * PAGE, READ | WRITE)
        ctypes.memset(address + 2 * PAGE, 0xC3, 16)
        protected(address, 4 * PAGE, READ | EXECUTE)

    pid, _ = in_child(act)
    (event,) = watching.events("memory.protect", process=pid)
    assert event.memory.was_writable is True


def test_shared_memory_that_becomes_executable_is_told_without_a_guess(watch, in_child):
    watching = watch("memory.protect", "memory.map")

    def act():
        address = mapped(PAGE, READ | WRITE, SHARED, memfd("twice"))
        ctypes.memset(address, 0xC3, 16)
        protected(address, PAGE, READ | EXECUTE)

    pid, _ = in_child(act)
    (event,) = watching.events("memory.protect", process=pid)
    assert (event.memory.was_writable, event.memory.anonymous) == (None, False)
    (event,) = watching.events("memory.map", process=pid)
    assert event.file.name == "memfd:twice"


def test_memory_of_system_v_that_is_attached_executable_is_told(watch, in_child):
    watching = watch("memory.protect")
    libc.shmat.restype = ctypes.c_uint64

    def act():
        number = libc.shmget(0, PAGE, 0o1700)
        address = libc.shmat(number, None, 0o100000)
        libc.shmctl(number, 0, None)
        assert address != FAILED

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("memory.protect", process=pid)
    assert (event.memory.size, event.memory.executable, event.syscall.name) == (PAGE, True, "shmat")


def test_ordinary_memory_and_the_start_of_a_program_are_quiet(watch, in_child):
    watching = watch("memory.protect", "memory.map")

    def act():
        address = mapped(PAGE, READ | WRITE)
        ctypes.memset(address, 1, 8)
        protected(address, PAGE, READ)
        fresh = mapped(PAGE, READ)
        protected(fresh, PAGE, READ | EXECUTE)
        mmap.mmap(-1, PAGE).close()

    pid, _ = in_child(act)
    watching.nothing("memory.protect", process=pid)
    watching.nothing("memory.map", process=pid)
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    watching.nothing("memory.map", process=process.pid)


def test_a_32_bit_call_is_told_as_well(watch, in_child):
    """Through `int 0x80`, as evasions of 64-bit-only sensors call: mmap2, and the oldest mmap with its arguments in memory."""
    watching = watch("memory.protect")
    low = 0x40  # MAP_32BIT: what 32-bit calls point at must lie there

    def compat(number, *arguments):
        page = mapped(PAGE, READ | WRITE | EXECUTE, PRIVATE | ANONYMOUS | low)
        # push rbx, rbp; the arguments into ebx, ecx, edx, esi, edi, ebp; int 0x80; back
        registers = (b"\xbb", b"\xb9", b"\xba", b"\xbe", b"\xbf", b"\xbd")
        code = b"\x53\x55" + b"".join(name + struct.pack("<I", value & 0xFFFFFFFF) for name, value in zip(registers, arguments, strict=False))
        code += b"\xb8" + struct.pack("<I", number) + b"\xcd\x80\x5d\x5b\xc3"
        ctypes.memmove(page, code, len(code))
        return ctypes.CFUNCTYPE(ctypes.c_uint32)(page)()

    def new():
        assert 0 < compat(192, 0, 5 * PAGE, READ | WRITE | EXECUTE, PRIVATE | ANONYMOUS, -1, 0) < 0xFFFFF000

    def old():
        arguments = mapped(PAGE, READ | WRITE, PRIVATE | ANONYMOUS | low)
        ctypes.memmove(arguments, struct.pack("<6I", 0, 5 * PAGE, READ | WRITE | EXECUTE, PRIVATE | ANONYMOUS, 0xFFFFFFFF, 0), 24)
        assert 0 < compat(90, arguments) < 0xFFFFF000

    for act in (new, old):
        pid, status = in_child(act)
        if status != 0:
            pytest.skip("this kernel has no 32-bit calls")
        events = watching.events("memory.protect", process=pid, count=2)
        (event,) = [event for event in events if event.syscall.compat]
        assert event.memory.size >= 5 * PAGE
        assert (event.memory.writable, event.memory.executable) == (True, True)


def test_a_memfd_tells_its_name_and_what_may_be_done_with_it(watch, in_child):
    watching = watch("memfd.create")

    def act():
        os.memfd_create("kworker", MFD_CLOEXEC | MFD_ALLOW_SEALING)
        if libc.syscall(NR_MEMFD_CREATE, b"sealed", MFD_NOEXEC_SEAL) < 0:
            os._exit(2)

    pid, status = in_child(act)
    first = watching.events("memfd.create", process=pid)[0]
    assert (first.memfd.name, first.memfd.executable, first.memfd.sealable, first.memfd.huge_pages) == ("kworker", True, True, False)
    assert first.syscall.name == "memfd_create"
    if status == 2:
        pytest.skip("this kernel has no MFD_NOEXEC_SEAL")
    second = watching.events("memfd.create", process=pid, count=2)[1]
    assert (second.memfd.name, second.memfd.executable, second.memfd.sealable) == ("sealed", False, True)


def test_python_that_runs_a_just_in_time_compiler_is_told_once_for_each_area(watch):
    watching = watch("memory.protect")
    code = "import mmap; m = mmap.mmap(-1, 4096, prot=7); m.close()"
    process = subprocess.Popen([sys.executable, "-c", code])
    process.wait()
    assert len(watching.events("memory.protect", process=process.pid)) == 1
