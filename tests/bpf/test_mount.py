"""Mounts, each made in a mount namespace of its own."""

import ctypes
import errno
import os
import struct
import sys
import threading

import pytest
from tests.bpf.calls import Compat, call

NEWNS = 0x00020000
MS_RDONLY, MS_NOSUID, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE, MS_SHARED = 1, 2, 0x20, 0x1000, 0x2000, 0x4000, 0x40000, 0x100000
MNT_DETACH = 2
OPEN_TREE_CLONE, AT_RECURSIVE, AT_EMPTY_PATH, EMPTY_FROM = 1, 0x8000, 0x1000, 4
SET_FLAG, SET_STRING, CREATE = 0, 1, 6
ATTR_RDONLY, ATTR_NOEXEC = 1, 8
HERE = -100
NOBODY = 65534
ALL = ("mount.mount", "mount.unmount", "mount.move", "mount.clone", "mount.change", "mount.prepare")


def private():
    call("unshare", NEWNS)
    call("mount", b"none", b"/", 0, MS_REC | MS_PRIVATE, 0)


def mount(source, target, filesystem=None, flags=0, options=None):
    call("mount", str(source).encode(), str(target).encode(), filesystem.encode() if filesystem else 0, flags, options.encode() if options else 0)


@pytest.fixture
def place(tmp_path):
    for name in ("a", "b", "with space"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "inside").mkdir()
    return tmp_path


def done(in_child, act):
    """Perform the act in a mount namespace of its own; returns the process id."""

    def whole():
        private()
        act()

    pid, status = in_child(whole)
    assert status == 0
    return pid


def told(watching, pid, kind, *, count=1):
    """Events of the kind, but for what makes the namespace private."""
    return [event for event in watching.events(kind, process=pid, count=count + (kind == "mount.change")) if event.mount.target != "/"]


def test_a_new_file_system_is_told_with_what_the_kernel_made_of_it(watch, in_child, place):
    watching = watch(*ALL)
    pid = done(in_child, lambda: mount("nothing", place / "with space", "tmpfs", MS_NOSUID, "size=64k,mode=700"))
    (event,) = told(watching, pid, "mount.mount")
    its = event.mount
    assert (its.source, its.target, its.filesystem) == ("nothing", str(place / "with space"), "tmpfs")
    assert (its.flags, its.options, its.bind, its.read_only, its.propagation) == (["MS_NOSUID"], "size=64k,mode=700", False, False, None)
    assert its.device.startswith("0:")
    assert (its.is_host_disk, its.in_container_namespace, its.confirmed) == (False, False, True)
    assert (event.syscall.name, event.syscall.error) == ("mount", None)


def relative(place):
    os.chdir(place)
    mount("x", "a/../b", "tmpfs")


def here(place):
    os.chdir(place / "b")
    mount("x", ".", "tmpfs")


def by_descriptor(place):
    mount("x", f"/proc/self/fd/{os.open(place / 'b', os.O_PATH)}", "tmpfs")


def through_a_link(place):
    (place / "linked").symlink_to(place)
    mount("x", place / "linked" / "b", "tmpfs")


def through_own_root(place):
    mount("x", f"/proc/self/root{place}/b", "tmpfs")


def under_another_root(place):
    os.chroot(place.parent)
    os.chdir("/")
    mount("x", f"/{place.name}/b", "tmpfs")


@pytest.mark.parametrize("mounts", [relative, here, by_descriptor, through_a_link, through_own_root, under_another_root])
def test_the_target_is_the_kernels_own_path_however_it_was_written(watch, in_child, place, mounts):
    watching = watch("mount.mount")
    pid = done(in_child, lambda: mounts(place))
    (event,) = told(watching, pid, "mount.mount")
    expected = f"/{place.name}/b" if mounts is under_another_root else str(place / "b")
    assert (event.mount.target, event.mount.confirmed, event.mount.filesystem) == (expected, True, "tmpfs")


def test_a_target_whose_last_name_is_a_link_stays_the_callers_text(watch, in_child, place):
    (place / "other").symlink_to(place / "b")
    watching = watch("mount.mount")
    pid = done(in_child, lambda: mount("x", place / "other", "tmpfs"))
    (event,) = told(watching, pid, "mount.mount")
    assert (event.mount.target, event.mount.confirmed, event.mount.device) == (str(place / "other"), False, None)


def test_a_bind_mount_says_so_and_tells_the_device_behind_it(watch, in_child, place):
    watching = watch("mount.mount")
    device = os.stat(place / "a").st_dev
    pid = done(in_child, lambda: mount(place / "a", place / "b", None, MS_BIND | MS_REC))
    (event,) = told(watching, pid, "mount.mount")
    its = event.mount
    assert (its.source, its.target, its.bind, its.confirmed) == (str(place / "a"), str(place / "b"), True, True)
    assert its.device == f"{os.major(device)}:{os.minor(device)}"
    assert its.flags == ["MS_BIND", "MS_REC"]


def test_a_bind_of_many_mounts_is_told_by_its_own_place(watch, in_child, place):
    watching = watch("mount.mount")

    def act():
        mount("x", place / "a", "tmpfs")
        for name in ("one", "two", "three"):
            (place / "a" / name).mkdir()
            mount("y", place / "a" / name, "tmpfs")
        mount(place / "a", place / "b", None, MS_BIND | MS_REC)

    pid = done(in_child, act)
    events = told(watching, pid, "mount.mount", count=5)
    assert [event.mount.target for event in events] == [str(place / name) for name in ("a", "a/one", "a/two", "a/three", "b")]
    assert all(event.mount.confirmed for event in events)
    assert events[-1].mount.bind is True


def test_a_target_that_flips_meanwhile_is_never_confirmed_wrongly(watch, in_child, place):
    names = [str(place / name).encode() for name in ("a", "b")]
    text, log = ctypes.create_string_buffer(names[0]), place / "log"
    watching = watch("mount.mount")

    def flips(stop):
        while not stop:
            ctypes.memmove(text, names[0], len(names[0]))
            ctypes.memmove(text, names[1], len(names[1]))

    def act():
        for name in ("a", "b"):
            mount("decoy", place / name, "tmpfs")
        stop = []
        thread = threading.Thread(target=flips, args=(stop,))
        thread.start()
        sys.setswitchinterval(1e-5)
        with log.open("w") as file, open("/proc/thread-self/mountinfo") as listed:
            for _ in range(300):
                call("mount", b"real", text, b"tmpfs", 0, 0)
                listed.seek(0)
                where = next(line.split()[4] for line in reversed(listed.readlines()) if " real " in line)
                file.write(f"{where}\n")
                call("umount2", where.encode(), 0)
        stop.append(True)
        thread.join()

    pid = done(in_child, act)
    events = [event for event in told(watching, pid, "mount.mount", count=302) if event.mount.source == "real"]
    places = log.read_text().split()
    assert len(events) == len(places)
    assert set(places) == {name.decode() for name in names}
    assert [event.mount.target for event, where in zip(events, places, strict=True) if event.mount.confirmed and event.mount.target != where] == []
    assert sum(event.mount.confirmed for event in events) > 100


def test_a_denied_mount_is_told_by_what_was_asked(watch, in_child):
    watching = watch("mount.mount")

    def act():
        os.setresuid(NOBODY, NOBODY, NOBODY)
        with pytest.raises(PermissionError):
            mount("/dev/sda1", "/mnt", "ext4", MS_RDONLY)

    pid = done(in_child, act)
    (event,) = told(watching, pid, "mount.mount")
    its = event.mount
    assert (event.syscall.error, its.source, its.target, its.filesystem) == ("EPERM", "/dev/sda1", "/mnt", "ext4")
    assert (its.read_only, its.device, its.confirmed) == (True, None, None)


def test_unmounting_tells_where_and_how(watch, in_child, place):
    watching = watch(*ALL)

    def act():
        mount("x", place / "b", "tmpfs")
        os.chdir(place)
        call("umount2", b"b", MNT_DETACH)

    pid = done(in_child, act)
    (event,) = told(watching, pid, "mount.unmount")
    assert (event.mount.target, event.mount.flags, event.mount.confirmed) == (str(place / "b"), ["MNT_DETACH"], None)
    assert event.syscall.name == "umount2"


def test_moving_a_mount_tells_from_where_to_where(watch, in_child, place):
    watching = watch(*ALL)

    def act():
        mount("x", place / "a", "tmpfs")
        mount(place / "a", place / "b", None, MS_MOVE)
        call("move_mount", HERE, str(place / "b").encode(), HERE, str(place / "a").encode(), 0)

    pid = done(in_child, act)
    old, new = told(watching, pid, "mount.move", count=2)
    assert (old.mount.source, old.mount.target, old.syscall.name) == (str(place / "a"), str(place / "b"), "mount")
    assert (new.mount.source, new.mount.target, new.syscall.name) == (str(place / "b"), str(place / "a"), "move_mount")


def test_remounting_and_propagation_are_changes(watch, in_child, place):
    watching = watch(*ALL)

    def act():
        mount("x", place / "b", "tmpfs")
        mount("x", place / "b", None, MS_REMOUNT | MS_RDONLY)
        mount("x", place / "b", None, MS_SHARED)

    pid = done(in_child, act)
    remount, shared = told(watching, pid, "mount.change", count=2)
    assert (remount.mount.target, remount.mount.read_only, remount.mount.propagation) == (str(place / "b"), True, None)
    assert (shared.mount.propagation, shared.mount.read_only, shared.mount.flags) == ("shared", None, ["MS_SHARED"])


def new_way(place):
    """A tmpfs by the calls of the new mount interface."""
    context = call("fsopen", b"tmpfs", 0)
    call("fsconfig", context, SET_STRING, b"source", b"my source", 0)
    call("fsconfig", context, SET_STRING, b"size", b"64k", 0)
    call("fsconfig", context, SET_FLAG, b"ro", 0, 0)
    call("fsconfig", context, CREATE, 0, 0, 0)
    made = call("fsmount", context, 0, ATTR_NOEXEC)
    call("move_mount", made, b"", HERE, str(place / "b").encode(), EMPTY_FROM)


def test_a_file_system_made_by_the_new_calls_is_told_step_by_step_and_where_it_lands(watch, in_child, place):
    watching = watch(*ALL)
    pid = done(in_child, lambda: new_way(place))
    steps = told(watching, pid, "mount.prepare", count=6)
    assert [event.syscall.name for event in steps] == ["fsopen", "fsconfig", "fsconfig", "fsconfig", "fsconfig", "fsmount"]
    assert {event.mount.filesystem for event in steps} == {"tmpfs"}
    assert [event.mount.options for event in steps[1:4]] == ["source=my source", "size=64k", "ro"]
    assert [event.mount.source for event in steps[1:5]] == ["my source"] * 4
    assert (steps[5].mount.flags, steps[5].mount.read_only, steps[5].mount.bind) == (["MOUNT_ATTR_NOEXEC"], True, False)
    (landed,) = told(watching, pid, "mount.mount")
    its = landed.mount
    assert (its.target, its.filesystem, its.confirmed, its.bind, its.read_only) == (str(place / "b"), "tmpfs", True, False, True)
    assert its.device == steps[5].mount.device
    assert its.flags == ["MOVE_MOUNT_F_EMPTY_PATH"]
    watching.nothing("mount.move", process=pid)


def test_a_cloned_tree_is_told_and_is_a_bind_where_it_lands(watch, in_child, place):
    watching = watch(*ALL)

    def act():
        mount("x", place / "a", "tmpfs")
        os.chdir(place)
        clone = call("open_tree", HERE, b"a", OPEN_TREE_CLONE | AT_RECURSIVE)
        call("move_mount", clone, b"", HERE, b"b", EMPTY_FROM)
        call("open_tree", HERE, b"a", 0)  # no clone: a handle alone

    pid = done(in_child, act)
    (clone,) = told(watching, pid, "mount.clone")
    assert (clone.mount.source, clone.mount.target, clone.mount.filesystem) == (str(place / "a"), None, "tmpfs")
    assert clone.mount.flags == ["OPEN_TREE_CLONE", "AT_RECURSIVE"]
    _, landed = told(watching, pid, "mount.mount", count=2)
    assert (landed.mount.target, landed.mount.bind, landed.mount.confirmed) == (str(place / "b"), True, True)


def test_changed_attributes_are_told_with_the_mount_that_a_descriptor_leads_to(watch, in_child, place):
    with pytest.raises(OSError, match="mount_setattr") as refused:
        call("mount_setattr", -1, b"", 0, 0, 0)
    if refused.value.errno == errno.ENOSYS:
        pytest.skip("this kernel has no mount_setattr")
    watching = watch(*ALL)

    def act():
        mount("x", place / "b", "tmpfs")
        attributes = ctypes.create_string_buffer(struct.pack("<QQQQ", ATTR_RDONLY | ATTR_NOEXEC, 0, MS_PRIVATE, 0), 32)
        call("mount_setattr", os.open(place / "b", os.O_PATH), b"", AT_EMPTY_PATH, attributes, 32)
        attributes = ctypes.create_string_buffer(struct.pack("<QQQQ", 0, ATTR_RDONLY, 0, 0), 32)
        call("mount_setattr", HERE, str(place / "b").encode(), 0, attributes, 32)

    pid = done(in_child, act)
    first, second = told(watching, pid, "mount.change", count=2)
    assert (first.mount.target, first.mount.filesystem) == (str(place / "b"), "tmpfs")
    assert (first.mount.flags, first.mount.read_only, first.mount.propagation) == (["MOUNT_ATTR_RDONLY", "MOUNT_ATTR_NOEXEC"], True, "private")
    assert (second.mount.target, second.mount.read_only, second.mount.propagation) == (str(place / "b"), False, None)


def test_a_picked_file_system_tells_where(watch, in_child, place):
    watching = watch(*ALL)

    def act():
        mount("x", place / "b", "tmpfs")
        call("fspick", HERE, str(place / "b").encode(), 0)

    pid = done(in_child, act)
    (event,) = told(watching, pid, "mount.prepare")
    assert (event.mount.target, event.mount.filesystem, event.syscall.name) == (str(place / "b"), "tmpfs", "fspick")


def test_a_32_bit_mount_is_told(watch, in_child, place):
    compat = Compat()
    source, target = compat.text(b"x"), compat.text(str(place / "b").encode())
    watching = watch("mount.mount")

    def act():
        assert compat.call(21, source, target, 0) < 0  # no type is given: refused
        mount("x", place / "b", "tmpfs")

    pid = done(in_child, act)
    (event,) = told(watching, pid, "mount.mount")
    assert event.syscall.compat is False

    def unmounts():
        mount("x", place / "b", "tmpfs")
        assert compat.call(52, target, MNT_DETACH) == 0

    watching = watch("mount.unmount")
    pid = done(in_child, unmounts)
    (event,) = told(watching, pid, "mount.unmount")
    assert (event.syscall.compat, event.mount.target, event.mount.flags) == (True, str(place / "b"), ["MNT_DETACH"])
