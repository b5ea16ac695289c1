"""Acts against the sensor itself, and the inventory of BPF programs."""

import ctypes
import mmap
import os
import signal
import struct
import time

import pytest
from tests.bpf.test_system import bpf, load_program

from watchkeeper_detection.record_types import empty_root
from watchkeeper_sensor.inventory import DiscoveredEvent, Inventory
from watchkeeper_sensor.surroundings import Surroundings
from watchkeeper_sensor.tampering import Belongings, Tampering

PTRACE_SEIZE, PTRACE_ATTACH = 0x4206, 16
MAP_GET_FD_BY_ID = 14

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = (ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)


@pytest.fixture
def guarded():
    """A child process that stands for the sensor."""
    child = os.fork()
    if child == 0:
        while True:
            signal.pause()
    yield child
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_signal_to_the_sensor_tells_who_sent_it(watch, in_child, guarded):
    watching = watch("sensor.tampered")
    watching.sensor.keep_quiet(guarded)
    harmless, _ = in_child(lambda: os.kill(guarded, signal.SIGWINCH))
    elsewhere, _ = in_child(lambda: os.kill(os.getpid(), signal.SIGWINCH))
    pid, _ = in_child(lambda: os.kill(guarded, signal.SIGSTOP))
    (event,) = watching.events("sensor.tampered", process=pid)
    assert event.sensor.act == "signal"
    assert event.process.process_id == pid
    assert event.process.parent.process_id == os.getpid()
    watching.nothing("sensor.tampered", process=harmless)
    watching.nothing("sensor.tampered", process=elsewhere)


def test_tracing_the_sensor_is_told_by_whom_the_kernel_says_is_traced(watch, in_child, guarded):
    watching = watch("sensor.tampered")
    watching.sensor.keep_quiet(guarded)

    def act():
        assert libc.ptrace(PTRACE_SEIZE, guarded, 0, 0) == 0

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("sensor.tampered", process=pid)
    assert (event.sensor.act, event.syscall.name, event.syscall.error) == ("ptrace", "ptrace", None)
    other = os.fork()
    if other == 0:
        signal.pause()
    pid, _ = in_child(lambda: libc.ptrace(PTRACE_SEIZE, other, 0, 0))
    watching.nothing("sensor.tampered", process=pid)
    os.kill(other, signal.SIGKILL)
    os.waitpid(other, 0)


def test_a_foreign_hand_on_the_sensors_maps_and_rings_is_told(watch, in_child):
    watching = watch("sensor.tampered")
    belongings = Belongings(watching.sensor)
    belongings.claim()
    fds = {name: fd for name, fd in watching.sensor.object.map_fds().items() if fd >= 0}

    def writes():
        key, value = ctypes.create_string_buffer(struct.pack("<I", 191)), ctypes.create_string_buffer(struct.pack("<I", 1))
        attributes = struct.pack("<I4xQQQ", fds["wanted"], ctypes.addressof(key), ctypes.addressof(value), 0)
        assert bpf(2, attributes) == 0

    def maps():
        mmap.mmap(fds["activity"], mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0).close()

    def reads():
        key, value = ctypes.create_string_buffer(struct.pack("<I", 1)), ctypes.create_string_buffer(8)
        bpf(1, struct.pack("<I4xQQQ", fds["wanted"], ctypes.addressof(key), ctypes.addressof(value), 0))

    for act, hook in ((writes, "wanted"), (maps, "activity")):
        pid, status = in_child(act)
        assert status == 0
        (event,) = watching.events("sensor.tampered", process=pid)
        assert (event.sensor.act, event.sensor.hook) == ("map_update", hook)
    pid, _ = in_child(reads)
    watching.nothing("sensor.tampered", process=pid)


def test_maps_that_somebody_wrote_are_found_by_looking_and_told_once(watch):
    watching = watch("sensor.tampered")
    belongings = Belongings(watching.sensor)
    belongings.claim()
    assert belongings.missing() == []
    watching.sensor.object.map("wanted").put(struct.pack("<I", 2), struct.pack("<I", 1))
    assert belongings.missing() == [Tampering("map_update", "wanted")]
    assert belongings.missing() == []
    belongings.claim()
    assert belongings.missing() == []


def test_a_programs_link_that_is_gone_is_found_by_looking(watch):
    watching = watch("sensor.tampered")
    belongings = Belongings(watching.sensor)
    belongings.claim()
    watching.sensor.objects[0].detach("process_exit")
    watching.sensor.objects[0].attach("process_exit")
    assert belongings.missing() == [Tampering("detach", "process_exit")]


def test_detaching_the_sensors_program_is_told_though_the_kernel_refuses(watch, in_child):
    watching = watch("sensor.tampered")
    Belongings(watching.sensor).claim()
    link = watching.sensor.objects[0].link_fds()["process_exec"]
    pid, _ = in_child(lambda: bpf(34, struct.pack("<I", link)))
    (event,) = watching.events("sensor.tampered", process=pid)
    assert (event.sensor.act, event.sensor.hook, event.syscall.name) == ("detach", "process_exec", "bpf")


def test_the_inventory_finds_a_program_that_nobody_was_seen_to_load():
    inventory = Inventory()
    own = {one.id for one in inventory.look(())}
    seen, unseen = load_program(b"announced"), load_program(b"stowaway")
    found = {one.name: one for one in inventory.look(own)}
    assert found["stowaway"].type == "socket_filter"
    assert len(found["stowaway"].tag) == 16
    assert found["stowaway"].helpers in ((), None)
    os.close(seen)
    os.close(unseen)
    late = load_program(b"announced")
    number = max(one.id for one in Inventory().look(()) if one.name == "announced")
    inventory.saw(number)
    assert "announced" not in {one.name for one in inventory.look(())}
    os.close(late)


def test_a_discovered_program_tells_what_it_is():
    program = load_program(b"stowaway")
    found = next(one for one in Inventory().look(()) if one.name == "stowaway")
    os.close(program)
    moment = time.time_ns()
    event = DiscoveredEvent(1, moment, Surroundings(), found)
    assert (event.kind, event.bpf.program_name, event.bpf.program_id, event.bpf.of_sensor) == ("bpf.discovered", "stowaway", found.id, False)
    assert event.observed_at == moment
    assert event.process == empty_root("process")
    assert event.target.name == "stowaway"


def test_helpers_of_note_are_read_from_the_instructions():
    """bpf_send_signal(9): r1 = 9; call 109; r0 = 0; exit. A raw tracepoint may call it."""
    code = ctypes.create_string_buffer(struct.pack("<" + "BBhi" * 4, 0xB7, 1, 0, 9, 0x85, 0, 0, 109, 0xB7, 0, 0, 0, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    program = bpf(5, struct.pack("<IIQQIIQII16s", 17, 4, ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0, 0, 0, b"killer"))
    assert program >= 0
    found = next(one for one in Inventory().look(()) if one.name == "killer")
    os.close(program)
    assert found.helpers == ("send_signal",)
