"""Opens: the file is told that was reached, whatever the path said."""

import ctypes
import os
import socket
import threading

import pytest
from tests.bpf.calls import AT_FDCWD, Compat, call

from watchkeeper_sensor.kernel.filters import ALL_WAYS, Filters


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "watched.txt"
    path.write_bytes(b"content")
    path.chmod(0o640)
    return path


def one(watching, kind, pid, path, **more):
    (event,) = watching.events(kind, process=pid, where=lambda event: event.file.path == str(path), **more)
    return event


def test_an_open_tells_the_file_in_full(watch, in_child, file):
    watching = watch("file.open")
    pid, _ = in_child(lambda: os.open(file, os.O_RDONLY | os.O_NOFOLLOW))
    event = one(watching, "file.open", pid, file)
    its, stat = event.file, file.stat()
    assert (its.path_trust, its.claimed_path, its.path_truncated) == ("kernel", str(file), False)
    assert (its.name, its.directory) == ("watched.txt", str(file.parent))
    assert (its.inode, its.device) == (stat.st_ino, f"{os.major(stat.st_dev)}:{os.minor(stat.st_dev)}")
    assert (its.type, its.links, its.size, its.mode, its.owner_uid, its.owner_gid) == ("regular", 1, 7, 0o640, 0, 0)
    assert (its.setuid, its.setgid, its.executable, its.memfd, its.unlinked) == (False, False, False, False, False)
    assert {"O_RDONLY", "O_NOFOLLOW", "O_CLOEXEC"} <= set(its.flags)
    assert (its.for_read, its.for_write, its.created, its.truncated, its.path_only) == (True, False, False, False, False)
    assert its.of_process_id is None
    assert its.under_service_account is False
    assert (event.syscall.name, event.syscall.error, event.syscall.compat) == ("openat", None, False)


@pytest.mark.parametrize(
    ("flags", "read", "write", "truncated", "path_only"),
    [
        (os.O_WRONLY, False, True, False, False),
        (os.O_RDWR | os.O_APPEND, True, True, False, False),
        (os.O_WRONLY | os.O_TRUNC, False, True, True, False),
        (os.O_PATH, False, False, False, True),
    ],
)
def test_access_is_what_the_kernel_gave(watch, in_child, file, flags, read, write, truncated, path_only):
    watching = watch("file.open")
    pid, _ = in_child(lambda: os.open(file, flags))
    its = one(watching, "file.open", pid, file).file
    assert (its.for_read, its.for_write, its.truncated, its.path_only) == (read, write, truncated, path_only)


def how(flags, mode=0):
    return (ctypes.c_ulonglong * 3)(flags, mode, 0)


CALLS = {
    "open": lambda path: call("open", path, os.O_RDONLY),
    "openat": lambda path: call("openat", AT_FDCWD, path, os.O_RDONLY),
    "openat2": lambda path: call("openat2", AT_FDCWD, path, how(os.O_RDONLY), 24),
    "creat": lambda path: call("creat", path, 0o600),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_that_opens_is_told(watch, in_child, file, name):
    watching = watch("file.open")
    pid, _ = in_child(lambda: CALLS[name](os.fsencode(file)))
    event = one(watching, "file.open", pid, file)
    assert event.syscall.name == name
    assert event.file.claimed_path == str(file)


def test_an_open_by_handle_is_told_as_such_and_as_an_open(watch, in_child, file):
    watching = watch("file.open_by_handle", "file.open")

    class Handle(ctypes.Structure):
        _fields_ = (("handle_bytes", ctypes.c_uint), ("handle_type", ctypes.c_int), ("handle", ctypes.c_char * 128))

    handle, mount = Handle(handle_bytes=128), ctypes.c_int()
    call("name_to_handle_at", AT_FDCWD, os.fsencode(file), ctypes.byref(handle), ctypes.byref(mount), 0)
    folder = os.open(file.parent, os.O_RDONLY)
    pid, status = in_child(lambda: call("open_by_handle_at", folder, ctypes.byref(handle), os.O_RDONLY))
    assert status == 0
    for kind in ("file.open_by_handle", "file.open"):
        event = one(watching, kind, pid, file)
        assert event.file.inode == file.stat().st_ino
        assert event.file.claimed_path is None
        assert event.syscall.name == "open_by_handle_at"


def test_a_file_that_an_open_makes_is_told_as_made(watch, in_child, tmp_path):
    watching = watch("file.create", "file.open")
    made = tmp_path / "made"
    pid, _ = in_child(lambda: os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700))
    created, opened = one(watching, "file.create", pid, made), one(watching, "file.open", pid, made)
    assert created.id != opened.id
    assert (created.file.created, opened.file.created) == (True, True)
    assert {"O_CREAT", "O_EXCL"} <= set(created.file.flags)
    assert created.file.mode == 0o700 & ~os.umask(os.umask(0o022))
    again, _ = in_child(lambda: os.open(made, os.O_WRONLY | os.O_CREAT))
    assert one(watching, "file.open", again, made).file.created is False
    watching.nothing("file.create", process=again)


def test_a_file_without_a_name_is_told_as_made(watch, in_child, tmp_path):
    watching = watch("file.create")
    pid, status = in_child(lambda: os.open(tmp_path, os.O_TMPFILE | os.O_RDWR, 0o600))
    assert status == 0
    (event,) = watching.events("file.create", process=pid)
    assert (event.file.created, event.file.links, event.file.unlinked) == (True, 0, True)
    assert "O_TMPFILE" in event.file.flags


def test_roundabout_ways_lead_to_the_same_path(watch, in_child, file, tmp_path):
    watching = watch("file.open")
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "link").symlink_to(file)
    (tmp_path / "parent").symlink_to(tmp_path)
    (folder / "moved").mkdir()

    def by_directory():
        number = os.open(folder / "moved", os.O_RDONLY)
        os.rename(folder / "moved", tmp_path / "elsewhere")
        os.open("../watched.txt", os.O_RDONLY, dir_fd=number)

    def after_chdir():
        os.chdir(folder)
        os.open("../watched.txt", os.O_RDONLY)

    def reopened():
        number = os.open(file, os.O_PATH)
        os.open(f"/proc/self/fd/{number}", os.O_RDONLY)

    ways = {
        "symbolic link": lambda: os.open(tmp_path / "link", os.O_RDONLY),
        "linked parent": lambda: os.open(tmp_path / "parent" / "watched.txt", os.O_RDONLY),
        "/proc/self/root": lambda: os.open(f"/proc/self/root{file}", os.O_RDONLY),
        "dots": lambda: os.open(f"{folder}/.././/watched.txt", os.O_RDONLY),
        "relative": after_chdir,
        "directory": by_directory,
        "O_PATH": reopened,
    }
    for way, act in ways.items():
        pid, status = in_child(act)
        assert status == 0, way
        found = watching.events("file.open", process=pid, where=lambda event: event.file.path == str(file) and not event.file.path_only)
        assert [event.file.path_trust for event in found] == ["kernel"], way


def test_a_deep_path_with_long_names_is_told_whole(watch, in_child, tmp_path):
    watching = watch("file.open")
    parts = ["x" * 60] * 60

    def act():
        os.chdir(tmp_path)
        for part in parts:
            os.mkdir(part)
            os.chdir(part)
        os.close(os.open("leaf", os.O_CREAT | os.O_RDONLY))

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("file.open", process=pid, where=lambda event: event.file.name == "leaf")
    assert event.file.path == f"{tmp_path}/{'/'.join(parts)}/leaf"
    assert event.file.path_truncated is False


def test_a_path_too_long_for_the_kernels_buffer_says_so(watch, in_child, tmp_path):
    watching = watch("file.open", filters=Filters(kinds={"file.open"}, by_path={"file.open"}, prefixes={b"/nowhere/": {"file.open": ALL_WAYS}}))

    def act():
        os.chdir(tmp_path)
        for _ in range(40):
            os.mkdir("y" * 200)
            os.chdir("y" * 200)
        os.close(os.open("leaf", os.O_CREAT | os.O_RDONLY))

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("file.open", process=pid, where=lambda event: event.file.name == "leaf")
    assert event.file.path_truncated is True


def test_a_denied_open_tells_what_the_caller_said(watch, in_child, file, tmp_path):
    watching = watch("file.open", filters=Filters(kinds={"file.open"}, by_path={"file.open"}, prefixes={b"/nowhere/": {"file.open": ALL_WAYS}}))
    file.chmod(0o600)
    for folder in [tmp_path, *tmp_path.parents][:3]:
        folder.chmod(0o755)

    def act():
        os.chdir(tmp_path)
        os.setgid(65534)
        os.setuid(65534)
        with pytest.raises(PermissionError):
            os.open("./watched.txt", os.O_RDWR)
        with pytest.raises(FileNotFoundError):
            os.open("missing", os.O_RDONLY)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("file.open", process=pid, where=lambda event: event.syscall.error)
    assert event.syscall.error == "EACCES"
    assert (event.file.path, event.file.path_trust, event.file.claimed_path) == (str(file), "user", "./watched.txt")
    assert (event.file.for_read, event.file.for_write, event.file.inode) == (True, True, None)
    assert event.outcome.status == "denied"


def test_only_files_that_policies_ask_for_are_told(watch, in_child, tmp_path):
    filters = Filters(
        kinds={"file.open", "file.create"},
        by_path={"file.open", "file.create"},
        prefixes={f"{tmp_path}/in/".encode(): {"file.open": ALL_WAYS}, f"{tmp_path}/exact\0".encode(): {"file.open": ALL_WAYS}},
        names={b"id_rsa": {"file.open": ALL_WAYS}, b"made": {"file.create": ALL_WAYS}},
    )
    watching = watch("file.open", "file.create", filters=filters)
    (tmp_path / "in").mkdir()
    names = ("in/one", "exact", "exactly", "other", "id_rsa", "id_rsa.pub", "made")
    (tmp_path / "hidden").symlink_to(tmp_path / "exact")

    def act():
        for name in names:
            os.close(os.open(tmp_path / name, os.O_CREAT | os.O_WRONLY))
        os.close(os.open(tmp_path / "hidden", os.O_RDONLY))

    pid, _ = in_child(act)
    watching.events("file.create", process=pid)
    found = [(event.kind, event.file.name) for event in watching.events("file.open", process=pid, count=4) + watching.events("file.create", process=pid)]
    assert found == [("file.open", "one"), ("file.open", "exact"), ("file.open", "id_rsa"), ("file.open", "exact"), ("file.create", "made")]


def test_files_of_other_processes_in_proc_say_whose_they_are(watch, in_child):
    watching = watch("file.open")
    other = os.getpid()

    def act():
        os.open(f"/proc/{other}/environ", os.O_RDONLY)
        os.open(f"/proc/{other}/task/{other}/maps", os.O_RDONLY)
        os.open("/proc/self/status", os.O_RDONLY)
        os.open("/proc/sys/kernel/core_pattern", os.O_RDONLY)

    pid, _ = in_child(act)
    found = {event.file.name: event.file for event in watching.events("file.open", process=pid, count=4)}
    assert found["environ"].filesystem == "proc"
    assert {name: its.of_process_id for name, its in found.items()} == {"environ": other, "maps": other, "status": None, "core_pattern": None}


def test_a_disk_of_the_host_is_known_by_its_number(watch, in_child, tmp_path):
    with open("/proc/partitions") as partitions:
        major, minor = next(
            (int(words[0]), int(words[1])) for words in map(str.split, partitions) if words and words[0].isdecimal() and words[0] not in "1 7 43"
        )
    node = tmp_path / "innocent"
    os.mknod(node, 0o600 | 0o060000, os.makedev(major, minor))
    watching = watch("file.open")
    pid, status = in_child(lambda: (os.open(node, os.O_PATH), os.open("/dev/null", os.O_RDONLY)))
    assert status == 0
    disk, null = one(watching, "file.open", pid, node).file, one(watching, "file.open", pid, "/dev/null").file
    assert (disk.type, disk.device_number, disk.is_host_disk) == ("block", f"{major}:{minor}", True)
    assert (null.type, null.device_number, null.is_host_disk) == ("character", "1:3", False)


def test_a_32_bit_open_is_told_like_any_other(watch, in_child, file):
    watching = watch("file.open")

    def act():
        compat = Compat()
        assert compat.call(5, compat.text(os.fsencode(file)), os.O_RDONLY) >= 0

    pid, status = in_child(act)
    assert status == 0
    event = one(watching, "file.open", pid, file)
    assert (event.syscall.name, event.syscall.compat, event.file.claimed_path) == ("open", True, str(file))


def test_a_path_that_is_changed_while_the_call_runs_deceives_nobody(watch, in_child, tmp_path):
    watching = watch("file.open")
    secret, decoy = tmp_path / "secret", tmp_path / "decoys"
    secret.write_text("s")
    decoy.write_text("d")
    inodes = {secret.stat().st_ino: str(secret), decoy.stat().st_ino: str(decoy)}
    assert len(str(secret)) == len(str(decoy))
    text = ctypes.create_string_buffer(os.fsencode(secret))

    def act():
        stop = threading.Event()

        def flip():
            while not stop.is_set():
                text.value = os.fsencode(decoy)
                text.value = os.fsencode(secret)

        thread = threading.Thread(target=flip)
        thread.start()
        for _ in range(300):
            os.close(call("open", text, os.O_RDONLY))
        stop.set()
        thread.join()

    pid, status = in_child(act)
    assert status == 0
    found = watching.events("file.open", process=pid, count=300, where=lambda event: event.file.inode in inodes)
    assert all(event.file.path == inodes[event.file.inode] and event.file.path_trust == "kernel" for event in found)


def test_a_file_that_was_renamed_after_its_open_is_still_that_inode(watch, in_child, file, tmp_path):
    watching = watch("file.open")
    os.link(file, tmp_path / "second")
    pid, _ = in_child(lambda: os.open(tmp_path / "second", os.O_RDONLY))
    its = one(watching, "file.open", pid, tmp_path / "second").file
    assert (its.inode, its.links) == (file.stat().st_ino, 2)


def test_what_is_no_file_call_is_not_told(watch, in_child):
    watching = watch("file.open")
    pid, _ = in_child(lambda: socket.socket().close())
    watching.nothing("file.open", process=pid)
