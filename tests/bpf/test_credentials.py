"""Who a process is and what it may do: changes of it, and rights that nothing explains."""

import ctypes
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time

import pytest
from tests.bpf.calls import Compat, call

from watchkeeper_sensor.kernel.records import CREDENTIALS

NOBODY, DAEMON = 65534, 2
CLONE_NEWUSER = 0x10000000
CAP_KILL, CAP_NET_RAW, CAP_SETUID, CAP_SETPCAP = 5, 13, 7, 8
PR_CAP_AMBIENT, RAISE, ASKS, CLEAR_ALL = 47, 2, 1, 4
PR_SET_DUMPABLE = 4
VERSION = 0x20080522
RIGHTS_BYTES = 88  # struct rights of credentials.bpf.c: start, credentials, user namespace, level


def run(program, *arguments):
    """Become the program."""
    os.execv(program, [str(program), *arguments])


def set_capabilities(effective, permitted, inheritable=0):
    """capset for the calling thread."""
    header = ctypes.create_string_buffer(struct.pack("<Ii", VERSION, 0))
    low, high = [(effective, permitted, inheritable)], [(effective >> 32, permitted >> 32, inheritable >> 32)]
    held = b"".join(struct.pack("<III", *(one & 0xFFFFFFFF for one in triple)) for triple in (*low, *high))
    call("capset", header, ctypes.create_string_buffer(held))


def held_capabilities(which):
    with open("/proc/thread-self/status") as status:
        return next(int(line.split()[1], 16) for line in status if line.startswith(which))


def test_giving_up_root_tells_the_ids_before_and_after_and_what_was_lost(watch, in_child):
    watching = watch("credentials.change")
    before = held_capabilities("CapEff")

    def act():
        os.setresgid(DAEMON, DAEMON, DAEMON)
        os.setresuid(NOBODY, NOBODY, NOBODY)

    pid, status = in_child(act)
    assert status == 0
    group, user = watching.events("credentials.change", process=pid, count=2)
    changed = group.credentials
    assert (changed.old_gid, changed.new_gid, changed.old_uid, changed.new_uid) == (0, DAEMON, 0, 0)
    assert (changed.gained_capabilities, changed.lost_capabilities, changed.user_namespace_changed) == ([], [], False)
    changed = user.credentials
    assert (changed.old_uid, changed.new_uid, changed.old_euid, changed.new_euid) == (0, NOBODY, 0, NOBODY)
    assert (changed.old_gid, changed.new_gid) == (DAEMON, DAEMON)
    assert len(changed.lost_capabilities) == before.bit_count()
    assert changed.gained_capabilities == []
    assert user.syscall.name == "setresuid"


def test_what_comes_after_a_change_is_told_of_the_process_as_it_is_then(watch, in_child):
    watching = watch("credentials.change", "process.exit")
    pid, _ = in_child(lambda: os.setresuid(NOBODY, NOBODY, NOBODY))
    (change,) = watching.events("credentials.change", process=pid)
    (end,) = watching.events("process.exit", process=pid)
    assert (change.before.credentials.uid, change.process.uid, end.process.uid) == (0, NOBODY, NOBODY)
    assert (change.process.capabilities.effective, end.process.capabilities.permitted) == ([], [])


def test_becoming_root_again_by_the_saved_id_tells_the_gain(watch, in_child):
    watching = watch("credentials.change", "credentials.unexplained")

    def act():
        os.seteuid(NOBODY)
        os.seteuid(0)

    pid, status = in_child(act)
    assert status == 0
    away, back = watching.events("credentials.change", process=pid, count=2)
    assert (away.credentials.new_euid, back.credentials.old_euid, back.credentials.new_euid) == (NOBODY, NOBODY, 0)
    assert (back.credentials.old_uid, back.credentials.new_uid) == (0, 0)
    assert back.credentials.gained_capabilities == []  # they stayed permitted
    watching.nothing("credentials.unexplained", process=pid)


@pytest.mark.parametrize("name", ["setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid"])
def test_every_call_that_changes_ids_is_told(watch, in_child, name):
    watching = watch("credentials.change")
    arguments = {"setre": 2, "setres": 3}.get(name[:-3], 1)
    pid, status = in_child(lambda: call(name, *[NOBODY] * arguments))
    assert status == 0
    (event,) = watching.events("credentials.change", process=pid)
    assert (event.syscall.name, event.syscall.error) == (name, None)
    assert event.process.fsuid == (NOBODY if name.endswith("uid") else 0)


def test_a_refused_change_is_told_with_its_error(watch, in_child):
    watching = watch("credentials.change")

    def act():
        os.setresuid(NOBODY, NOBODY, NOBODY)
        with pytest.raises(PermissionError):
            call("setuid", 0)

    pid, status = in_child(act)
    assert status == 0
    _, refused = watching.events("credentials.change", process=pid, count=2)
    assert (refused.syscall.error, refused.credentials.old_uid, refused.credentials.new_uid) == ("EPERM", NOBODY, NOBODY)


def test_a_call_that_changes_nothing_is_quiet(watch, in_child):
    watching = watch("credentials.change", "credentials.capabilities")

    def act():
        call("setuid", 0)
        call("setfsuid", -1)
        set_capabilities(held_capabilities("CapEff"), held_capabilities("CapPrm"), held_capabilities("CapInh"))
        call("prctl", PR_CAP_AMBIENT, ASKS, CAP_KILL, 0, 0)

    pid, status = in_child(act)
    assert status == 0
    watching.nothing("credentials.change", process=pid)
    watching.nothing("credentials.capabilities", process=pid)


def test_a_process_older_than_the_sensor_tells_what_it_was_before(watch):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(reader, 1)
        call("setuid", 0)
        call("setuid", NOBODY)
        os._exit(0)
    watching = watch("credentials.change")
    watching.stream.tree.seed()
    os.write(writer, b"x")
    os.waitpid(pid, 0)
    (event,) = watching.events("credentials.change", process=pid)
    assert (event.credentials.old_uid, event.credentials.new_uid) == (0, NOBODY)


def test_a_thread_that_changes_alone_leaves_the_process_as_it_is(watch, in_child):
    watching = watch("credentials.change", "process.exit")

    def act():
        thread = threading.Thread(target=lambda: call("setresuid", NOBODY, NOBODY, NOBODY))
        thread.start()
        thread.join()

    pid, status = in_child(act)
    assert status == 0
    (change,) = watching.events("credentials.change", process=pid)
    end = watching.events("process.exit", process=pid)[0]
    assert (change.credentials.old_uid, change.credentials.new_uid) == (0, NOBODY)
    assert end.process.uid == 0


def test_a_change_by_a_32_bit_call_is_told(watch, in_child):
    compat = Compat()
    watching = watch("credentials.change")
    pid, status = in_child(lambda: compat.call(213, NOBODY, 0))  # setuid32
    assert status == 0
    (event,) = watching.events("credentials.change", process=pid)
    assert (event.syscall.name, event.syscall.compat, event.credentials.new_uid) == ("setuid", True, NOBODY)


def test_dropped_capabilities_and_raised_ambient_ones_are_told(watch, in_child):
    watching = watch("credentials.capabilities")
    kept = 1 << CAP_KILL

    def act():
        set_capabilities(kept, kept, kept)
        call("prctl", PR_CAP_AMBIENT, RAISE, CAP_KILL, 0, 0)
        call("prctl", PR_CAP_AMBIENT, CLEAR_ALL, 0, 0, 0)

    pid, status = in_child(act)
    assert status == 0
    dropped, raised, cleared = watching.events("credentials.capabilities", process=pid, count=3)
    assert (dropped.syscall.name, raised.syscall.name) == ("capset", "prctl")
    assert "CAP_NET_RAW" in dropped.credentials.lost_capabilities
    assert "CAP_KILL" not in dropped.credentials.lost_capabilities
    assert dropped.process.capabilities.effective == ["CAP_KILL"]
    assert (raised.process.capabilities.ambient, cleared.process.capabilities.ambient) == (["CAP_KILL"], [])
    assert (raised.credentials.gained_capabilities, raised.credentials.new_uid) == ([], 0)


def test_a_capability_raised_without_the_right_to_is_told_as_refused(watch, in_child):
    watching = watch("credentials.capabilities", "credentials.unexplained")

    def act():
        set_capabilities(0, 0)
        with pytest.raises(PermissionError):
            set_capabilities(1 << CAP_KILL, 1 << CAP_KILL)

    pid, status = in_child(act)
    assert status == 0
    _, refused = watching.events("credentials.capabilities", process=pid, count=2)
    assert refused.syscall.error == "EPERM"
    watching.nothing("credentials.unexplained", process=pid)


class Waiting:
    """A child that acts when it is told to; the kernel's map can be made to say that it held less until then, as if an exploit had given it more."""

    def __init__(self, act):
        reader, self._writer = os.pipe()
        told, ready = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            signal.alarm(20)  # should the test end before it is told
            call("getuid")
            os.write(ready, b"x")
            os.read(reader, 1)
            act()
            os._exit(0)
        os.read(told, 1)

    def held(self, watching, **fields):
        seen = watching.sensor.object.map("rights_seen")
        key = struct.pack("<I", self.pid)
        value = seen.get(key)
        assert len(value) == RIGHTS_BYTES
        held = CREDENTIALS.of(*struct.unpack_from("<8I5Q", value, 8))._replace(**{name: given for name, given in fields.items() if name != "level"})
        namespace, level = struct.unpack_from("<II", value, 80)
        if "level" in fields:
            namespace, level = namespace + 1, fields["level"]
        seen.put(key, value[:8] + struct.pack("<8I5Q", *held) + struct.pack("<II", namespace, level))

    def go(self):
        os.write(self._writer, b"x")
        os.waitpid(self.pid, 0)


NOBODYS = {"uid": NOBODY, "euid": NOBODY, "suid": NOBODY, "fsuid": NOBODY, "capabilities_effective": 0, "capabilities_permitted": 0}


def looks():
    call("getuid")


def forks():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def runs_a_program():
    run("/bin/true")


def makes_it_official():
    call("setresuid", 0, 0, 0)


@pytest.mark.parametrize("act", [looks, forks, runs_a_program, makes_it_official, lambda: None])
def test_root_that_nothing_explains_is_told_at_the_next_call_fork_exec_or_exit(watch, act):
    watching = watch("credentials.unexplained")
    child = Waiting(act)
    child.held(watching, **NOBODYS)
    child.go()
    (event,) = watching.events("credentials.unexplained", process=child.pid)
    its = event.credentials
    assert (its.old_uid, its.new_uid, its.old_euid, its.new_euid) == (NOBODY, 0, NOBODY, 0)
    assert len(its.gained_capabilities) == held_capabilities("CapPrm").bit_count()
    assert (its.lost_capabilities, its.user_namespace_changed) == ([], False)
    assert event.process.uid == 0


def test_capabilities_alone_and_ids_alone_are_enough(watch):
    watching = watch("credentials.unexplained")
    for fields in ({"capabilities_permitted": 0, "capabilities_effective": 0}, {**NOBODYS, "capabilities_effective": 0, "capabilities_permitted": 0}):
        child = Waiting(looks)
        child.held(watching, **fields)
        child.go()
        watching.events("credentials.unexplained", process=child.pid)


def test_a_user_namespace_that_was_left_for_one_above_is_told(watch):
    watching = watch("credentials.unexplained")
    child = Waiting(looks)
    child.held(watching, level=1)
    child.go()
    (event,) = watching.events("credentials.unexplained", process=child.pid)
    assert event.credentials.user_namespace_changed is True


def becomes_nobody():
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    looks()


def test_a_set_user_id_program_explains_its_rights(watch, in_child, tmp_path):
    program = tmp_path / "python"
    shutil.copy(os.path.realpath(sys.executable), program)
    program.chmod(0o4755)
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o111)
    watching = watch("credentials.unexplained", "process.exec")

    def act():
        becomes_nobody()
        run(program, "-ISc", "import os; os.getresuid(); os.setuid(0); os.waitpid(os.fork() or os._exit(0), 0)")

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("process.exec", process=pid)
    assert (event.process.uid, event.process.euid) == (NOBODY, 0)
    watching.nothing("credentials.unexplained", process=pid)


def test_a_program_with_file_capabilities_explains_its_rights(watch, in_child, tmp_path):
    program = tmp_path / "true"
    shutil.copy("/bin/true", program)
    program.chmod(0o755)
    permitted = 1 << CAP_NET_RAW
    os.setxattr(program, "security.capability", struct.pack("<IIIII", 0x02000001, permitted, 0, 0, 0))
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o111)
    watching = watch("credentials.unexplained", "credentials.change", "process.exec")

    def act():
        becomes_nobody()
        run(program)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("process.exec", process=pid)
    assert event.exec.gained_capabilities == ["CAP_NET_RAW"]
    watching.nothing("credentials.unexplained", process=pid)


def test_a_user_namespace_of_ones_own_explains_its_rights(watch, in_child):
    watching = watch("credentials.unexplained")

    def act():
        becomes_nobody()
        call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # or its files under /proc are root's
        call("unshare", CLONE_NEWUSER)
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {NOBODY} 1"), ("gid_map", f"0 {NOBODY} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        looks()
        call("setresuid", 0, 0, 0)
        forks()
        call("unshare", CLONE_NEWUSER)
        looks()
        run("/bin/true")

    pid, status = in_child(act)
    assert status == 0
    watching.nothing("credentials.unexplained", process=pid)


def test_root_with_few_capabilities_regains_them_by_an_exec(watch, in_child):
    watching = watch("credentials.unexplained")

    def act():
        set_capabilities(0, 0)
        looks()
        run("/bin/sh", "-c", "id -u >/dev/null; /bin/true")

    pid, status = in_child(act)
    assert status == 0
    watching.nothing("credentials.unexplained", where=lambda event: pid in (event.process.process_id, event.process.parent.process_id))


def test_threads_programs_and_a_shells_work_are_quiet(watch):
    watching = watch("credentials.unexplained")
    subprocess.run(
        ["/bin/sh", "-c", "for i in 1 2 3 4 5; do (id; ls /proc | head -3; su nobody -s /bin/sh -c id) >/dev/null 2>&1; done"], check=False, timeout=30
    )
    threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    watching.nothing("credentials.unexplained")
