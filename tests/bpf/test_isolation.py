"""Namespaces that are entered or made, and roots that change. Mounts are made in mount namespaces of their own."""

import ctypes
import os
import signal
import struct
import time

import pytest
from tests.bpf.calls import Compat, call
from tests.bpf.test_containers import ID, cgroup, run_in, start_in

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWCGROUP, NEWTIME = (
    *(0x00020000, 0x04000000, 0x08000000, 0x10000000),
    *(0x20000000, 0x40000000, 0x02000000, 0x00000080),
)
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
NOBODY = 65534
TYPES = {
    "mount": ("mnt", NEWNS),
    "uts": ("uts", NEWUTS),
    "ipc": ("ipc", NEWIPC),
    "network": ("net", NEWNET),
    "cgroup": ("cgroup", NEWCGROUP),
}


def inode(name, pid="self"):
    return os.stat(f"/proc/{pid}/ns/{name}").st_ino


@pytest.fixture
def elsewhere():
    """A process in namespaces of its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        call("unshare", NEWNS | NEWUTS | NEWIPC | NEWNET | NEWCGROUP)
        os.write(writer, b"x")
        time.sleep(30)
        os._exit(0)
    os.read(reader, 1)
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("word", TYPES)
def test_entering_a_namespace_tells_its_type_and_number(watch, in_child, elsewhere, word):
    name, _ = TYPES[word]
    number = inode(name, elsewhere)
    watching = watch("isolation.setns", "process.exit")
    pid, status = in_child(lambda: call("setns", os.open(f"/proc/{elsewhere}/ns/{name}", os.O_RDONLY), 0))
    assert status == 0
    (event,) = watching.events("isolation.setns", process=pid)
    assert (event.setns.types, event.setns.target_namespace, event.setns.target_is_host) == ([word], number, False)
    assert (event.setns.target_container_id, event.target_process.process_id) == (None, None)
    assert (event.syscall.name, event.syscall.error) == ("setns", None)
    assert getattr(event.process.namespaces, word) == number
    end = watching.events("process.exit", process=pid)[0]
    assert getattr(end.process.namespaces, word) == number


def test_entering_by_a_pidfd_tells_all_types_and_whose_they_are(watch, in_child, elsewhere):
    watching = watch("isolation.setns")
    pid, status = in_child(lambda: call("setns", os.pidfd_open(elsewhere), NEWNS | NEWNET | NEWUTS))
    assert status == 0
    (event,) = watching.events("isolation.setns", process=pid)
    assert sorted(event.setns.types) == ["mount", "network", "uts"]
    assert event.setns.target_namespace == inode("mnt", elsewhere)
    target = event.target_process
    assert (target.process_id, target.exe_inode, target.is_child, target.is_self) == (elsewhere, os.stat("/proc/self/exe").st_ino, False, False)


def test_going_back_to_the_hosts_namespaces_says_so(watch, in_child):
    watching = watch("isolation.setns")

    def act():
        hosts = os.open("/proc/self/ns/uts", os.O_RDONLY)
        call("unshare", NEWUTS)
        call("setns", hosts, NEWUTS)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("isolation.setns", process=pid)
    assert (event.setns.types, event.setns.target_is_host, event.setns.target_namespace) == (["uts"], True, inode("uts"))


def test_a_pid_namespace_is_entered_for_the_children(watch, in_child):
    watching = watch("isolation.setns")

    def act():
        own = os.open("/proc/self/ns/pid", os.O_RDONLY)
        call("setns", own, 0)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("isolation.setns", process=pid)
    assert (event.setns.types, event.setns.target_namespace) == (["process"], inode("pid"))


def test_a_denied_setns_tells_what_it_wanted(watch, in_child, elsewhere):
    watching = watch("isolation.setns")
    number = inode("net", elsewhere)

    def act():
        descriptor = os.open(f"/proc/{elsewhere}/ns/net", os.O_RDONLY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        with pytest.raises(PermissionError):
            call("setns", descriptor, NEWNET)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("isolation.setns", process=pid)
    assert (event.syscall.error, event.setns.types, event.setns.target_namespace) == ("EPERM", ["network"], number)
    assert event.process.namespaces.network == inode("net")


def test_unshare_tells_the_types_it_made_and_is_quiet_without_any(watch, in_child):
    watching = watch("isolation.unshare", "process.exit")

    def act():
        call("unshare", 0x200 | 0x400)  # CLONE_FS, CLONE_FILES
        call("unshare", NEWNS | NEWNET)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("isolation.unshare", process=pid)
    assert (sorted(event.unshare.types), event.unshare.user_namespace, event.unshare.by) == (["mount", "network"], False, "unshare")
    assert event.process.namespaces.mount not in (0, inode("mnt"))
    assert event.before.namespaces[0] == inode("mnt")
    end = watching.events("process.exit", process=pid)[0]
    assert end.process.namespaces.network == event.process.namespaces.network
    assert end.process.host_namespaces.network is False


def test_a_user_namespace_says_so_and_a_refused_one_too(watch, in_child):
    watching = watch("isolation.unshare")

    def act():
        call("unshare", NEWUSER)
        with pytest.raises(PermissionError):
            call("unshare", NEWUSER)  # no ids are mapped

    pid, status = in_child(act)
    assert status == 0
    made, refused = watching.events("isolation.unshare", process=pid, count=2)
    assert (made.unshare.types, made.unshare.user_namespace, made.syscall.error) == (["user"], True, None)
    assert (refused.unshare.types, refused.syscall.error) == (["user"], "EPERM")


def clones_by_structure():
    arguments = ctypes.create_string_buffer(struct.pack("<8Q", NEWNS | NEWTIME, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 88)
    if call("clone3", arguments, 64) == 0:
        os._exit(0)


def test_a_child_in_namespaces_of_its_own_is_told_with_its_fork(watch, in_child):
    watching = watch("isolation.unshare")
    pid, status = in_child(clones_by_structure)
    assert status == 0
    (event,) = watching.events("isolation.unshare", process=pid)
    assert (sorted(event.unshare.types), event.unshare.by, event.unshare.user_namespace) == (["mount", "time"], "clone", False)
    (fork,) = watching.events("process.fork", process=pid)
    assert event.id != fork.id


def test_a_child_by_the_old_call_is_told_too_and_an_ordinary_one_is_not(watch, in_child):
    watching = watch("isolation.unshare")

    def act():
        if call("clone", NEWUTS | NEWUSER | signal.SIGCHLD, 0, 0, 0, 0) == 0:
            os._exit(0)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("isolation.unshare", process=pid)
    assert (sorted(event.unshare.types), event.unshare.user_namespace) == (["user", "uts"], True)
    ordinary, _ = in_child(lambda: os.fork() or os._exit(0))
    watching.nothing("isolation.unshare", process=ordinary)


def test_a_denied_clone_is_told(watch, in_child):
    watching = watch("isolation.unshare")

    def act():
        os.setresuid(NOBODY, NOBODY, NOBODY)
        for clone in (lambda: call("clone", NEWNET | signal.SIGCHLD, 0, 0, 0, 0), clones_by_structure):
            with pytest.raises(PermissionError):
                clone()

    pid, status = in_child(act)
    assert status == 0
    first, second = watching.events("isolation.unshare", process=pid, count=2)
    assert (first.unshare.types, first.unshare.by, first.syscall.error) == (["network"], "clone", "EPERM")
    assert (sorted(second.unshare.types), second.syscall.name) == (["mount", "time"], "clone3")


def test_a_32_bit_call_is_told(watch, in_child):
    compat = Compat()
    watching = watch("isolation.unshare")
    pid, status = in_child(lambda: compat.call(310, NEWUTS, 0))
    assert status == 0
    (event,) = watching.events("isolation.unshare", process=pid)
    assert (event.unshare.types, event.syscall.compat) == (["uts"], True)


def by_path(folder):
    call("chroot", str(folder).encode())


def by_a_relative_path(folder):
    os.chdir(folder.parent)
    call("chroot", b"./" + folder.name.encode())


def by_a_link(folder):
    (folder.parent / "link").symlink_to(folder)
    call("chroot", str(folder.parent / "link").encode())


def by_a_descriptor(folder):
    number = os.open(folder, os.O_PATH)
    call("chroot", f"/proc/self/fd/{number}".encode())


@pytest.mark.parametrize("changes", [by_path, by_a_relative_path, by_a_link, by_a_descriptor])
def test_a_new_root_is_told_by_the_kernels_own_path(watch, in_child, tmp_path, changes):
    root = tmp_path / "new root"
    root.mkdir()
    watching = watch("isolation.chroot")
    pid, status = in_child(lambda: changes(root))
    assert status == 0
    (event,) = watching.events("isolation.chroot", process=pid)
    assert (event.chroot.path, event.chroot.by, event.chroot.old_root_path) == (str(root), "chroot", None)
    assert event.syscall.name == "chroot"


def test_a_root_inside_another_root_is_told_from_the_outermost(watch, in_child, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    watching = watch("isolation.chroot")

    def act():
        call("chroot", str(tmp_path / "a").encode())
        call("chroot", b"/b")

    pid, status = in_child(act)
    assert status == 0
    _, inner = watching.events("isolation.chroot", process=pid, count=2)
    assert inner.chroot.path == str(tmp_path / "a" / "b")


def test_a_denied_chroot_is_told_by_what_the_caller_said(watch, in_child):
    watching = watch("isolation.chroot")

    def act():
        os.chdir("/usr")
        os.setresuid(NOBODY, NOBODY, NOBODY)
        with pytest.raises(PermissionError):
            call("chroot", b"bin/../lib")

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("isolation.chroot", process=pid)
    assert (event.chroot.path, event.syscall.error) == ("/usr/lib", "EPERM")


def test_pivot_root_tells_the_new_root_and_where_the_old_one_went(watch, in_child, tmp_path):
    root = tmp_path / "root"
    (root / "old").mkdir(parents=True)
    watching = watch("isolation.chroot")

    def act():
        call("unshare", NEWNS)
        call("mount", b"none", b"/", 0, MS_REC | MS_PRIVATE, 0)
        call("mount", str(root).encode(), str(root).encode(), 0, MS_BIND | MS_REC, 0)
        call("pivot_root", str(root).encode(), str(root / "old").encode())

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("isolation.chroot", process=pid)
    assert (event.chroot.path, event.chroot.by, event.chroot.old_root_path) == (str(root), "pivot_root", str(root / "old"))


def test_entering_a_containers_namespaces_tells_which_container(watch, in_child):
    watching = watch("isolation.setns", "isolation.unshare")
    with cgroup(f"docker/{ID}") as folder, start_in([folder], "unshare", "--mount", "--uts", "sleep", "30") as sleeping:
        watching.events("process.exec", process=sleeping.pid, where=lambda event: event.process.args[:1] == ["sleep"])
        by_file, status = in_child(lambda: call("setns", os.open(f"/proc/{sleeping.pid}/ns/uts", os.O_RDONLY), 0))
        assert status == 0
        by_process, status = in_child(lambda: call("setns", os.pidfd_open(sleeping.pid), NEWNS))
        assert status == 0
        (first,) = watching.events("isolation.setns", process=by_file)
        (second,) = watching.events("isolation.setns", process=by_process)
        assert (first.setns.types, first.setns.target_is_host, first.setns.target_container_id) == (["uts"], False, ID)
        assert (second.setns.types, second.setns.target_container_id, second.target_process.container_id) == (["mount"], ID, ID)
        sleeping.kill()


def test_a_mount_inside_a_containers_mount_namespace_says_so(watch, tmp_path):
    watching = watch("mount.mount")
    with cgroup(f"docker/{ID}") as folder:
        pid = run_in(folder, "unshare", "--mount", "mount", "-t", "tmpfs", "x", str(tmp_path))
        (event,) = watching.events("mount.mount", process=pid, where=lambda event: event.mount.target == str(tmp_path))
        assert (event.mount.in_container_namespace, event.container.id) == (True, ID)
