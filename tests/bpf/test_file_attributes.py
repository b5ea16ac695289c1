"""What files are marked with: by descriptor in the kernel's words, by path in the caller's."""

import ctypes
import fcntl
import os
import struct
import tempfile
from pathlib import Path

import pytest
from tests.bpf.calls import AT_FDCWD, Compat, call

AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW = 0x1000, 0x100


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "marked"
    path.write_text("0123456789")
    path.chmod(0o600)
    return path


def told(watching, in_child, kind, act, *, count=1):
    pid, status = in_child(act)
    assert status == 0
    return [event.file for event in watching.events(kind, process=pid, count=count)]


def test_chmod_tells_the_new_mode_and_what_it_adds(watch, in_child, file):
    watching = watch("file.chmod")

    def act():
        os.chmod(file, 0o4755)  # noqa: S103 (what is tested)
        os.fchmod(os.open(file, os.O_RDONLY), 0o2640)
        os.chdir(file.parent)
        os.chmod("marked", 0o600, dir_fd=os.open(file.parent, os.O_RDONLY))

    named, reached, relative = told(watching, in_child, "file.chmod", act, count=3)
    assert (named.path, named.path_trust, named.new_mode, named.adds_setuid, named.adds_execute) == (str(file), "user", 0o4755, True, True)
    assert (reached.path, reached.path_trust, reached.new_mode, reached.adds_setuid, reached.adds_execute) == (str(file), "kernel", 0o2640, True, False)
    assert (reached.inode, reached.mode, reached.setgid, reached.claimed_path) == (file.stat().st_ino, 0o2640, True, None)
    assert (relative.path, relative.claimed_path, relative.new_mode, relative.adds_setuid) == (str(file), "marked", 0o600, False)


def test_fchmodat2_is_told(watch, in_child, file):
    watching = watch("file.chmod")

    def act():
        call("fchmodat2", AT_FDCWD, os.fsencode(file), 0o711, AT_SYMLINK_NOFOLLOW)
        call("fchmodat2", os.open(file, os.O_RDONLY), b"", 0o712, AT_EMPTY_PATH)

    try:
        call("fchmodat2", AT_FDCWD, os.fsencode(file), 0o600, 0)
    except OSError as error:
        pytest.skip(f"this kernel has no fchmodat2: {error}")
    named, reached = told(watching, in_child, "file.chmod", act, count=2)
    assert (named.path, named.path_trust, named.new_mode) == (str(file), "user", 0o711)
    assert (reached.path, reached.path_trust, reached.new_mode) == (str(file), "kernel", 0o712)


def test_chown_tells_the_new_owner(watch, in_child, file):
    watching = watch("file.chown")

    def act():
        os.chown(file, 1000, 1001)
        os.lchown(file, -1, 7)
        os.fchown(os.open(file, os.O_RDONLY), 0, -1)
        call("fchownat", os.open(file, os.O_RDONLY), b"", 5, 6, AT_EMPTY_PATH)

    found = told(watching, in_child, "file.chown", act, count=4)
    assert [(its.path, its.path_trust, its.new_owner_uid, its.new_owner_gid) for its in found] == [
        (str(file), "user", 1000, 1001),
        (str(file), "user", None, 7),
        (str(file), "kernel", 0, None),
        (str(file), "kernel", 5, 6),
    ]


def test_extended_attributes_are_told_by_name(watch, in_child, file):
    watching = watch("file.setxattr")

    def act():
        os.setxattr(file, "trusted.mark", b"x")
        os.setxattr(os.open(file, os.O_RDONLY), "trusted.other", b"x")
        os.removexattr(file, "trusted.mark", follow_symlinks=False)

    try:
        os.setxattr(file, "trusted.probe", b"x")
    except OSError as error:
        pytest.skip(f"this file system has no extended attributes: {error}")
    named, reached, removed = told(watching, in_child, "file.setxattr", act, count=3)
    assert (named.path, named.path_trust, named.xattr_name) == (str(file), "user", "trusted.mark")
    assert (reached.path, reached.path_trust, reached.xattr_name) == (str(file), "kernel", "trusted.other")
    assert (removed.path, removed.xattr_name) == (str(file), "trusted.mark")


def test_times_are_told_as_they_were_set(watch, in_child, file):
    watching = watch("file.utime")
    path = os.fsencode(file)

    def act():
        os.utime(file, ns=(1, 1_000_000_000_000_000_007))
        os.utime(os.open(file, os.O_RDONLY), ns=(1, 86_400 * 10**9))
        call("utime", path, (ctypes.c_long * 2)(5, 1_500_000_000))
        call("utimes", path, (ctypes.c_long * 4)(5, 0, 1_500_000_000, 250_000))
        call("futimesat", AT_FDCWD, path, (ctypes.c_long * 4)(5, 0, 1_600_000_000, 0))
        call("utimensat", AT_FDCWD, path, (ctypes.c_long * 4)(5, 0, 0, (1 << 30) - 2), 0)

    found = told(watching, in_child, "file.utime", act, count=6)
    assert [its.new_modified_at for its in found] == [
        "2001-09-09T01:46:40.000000007Z",
        "1970-01-02T00:00:00.000000000Z",
        "2017-07-14T02:40:00.000000000Z",
        "2017-07-14T02:40:00.250000000Z",
        "2020-09-13T12:26:40.000000000Z",
        None,
    ]
    assert [its.path for its in found] == [str(file)] * 6
    assert [its.path_trust for its in found] == ["user", "kernel", "user", "user", "user", "user"]


def test_a_touch_sets_the_time_of_the_act(watch, in_child, file):
    watching = watch("file.utime")
    pid, _ = in_child(lambda: os.utime(file))
    (event,) = watching.events("file.utime", process=pid)
    assert abs(file.stat().st_mtime_ns - event.observed_at) < 5_000_000_000
    assert event.file.new_modified_at.startswith("20")


def test_truncation_tells_the_new_size(watch, in_child, file):
    watching = watch("file.truncate")

    def act():
        os.truncate(file, 3)
        os.ftruncate(os.open(file, os.O_WRONLY), 0)

    named, reached = told(watching, in_child, "file.truncate", act, count=2)
    assert (named.path, named.path_trust, named.new_size, named.truncated) == (str(file), "user", 3, True)
    assert (reached.path, reached.path_trust, reached.new_size, reached.size) == (str(file), "kernel", 0, 0)


def test_inode_flags_are_told_in_words(watch, in_child, file):
    watching = watch("file.setflags")
    number = os.open(file, os.O_RDONLY)
    try:
        (kept,) = struct.unpack("<l", fcntl.ioctl(number, 0x80086601, b"\0" * 8)[:4])  # ext4 refuses at times to take extents away
        fcntl.ioctl(number, 0x40086602, struct.pack("<l", kept | 0x40))
    except OSError as error:
        pytest.skip(f"this file system has no inode flags: {error}")
    (its,) = told(watching, in_child, "file.setflags", lambda: fcntl.ioctl(number, 0x40086602, struct.pack("<l", kept | 0x80 | 0x40)))
    assert (its.path, its.path_trust, its.inode_flags) == (str(file), "kernel", ["no_dump", "no_access_time"])


def test_other_requests_to_a_file_are_not_told_as_flags(watch, in_child, file):
    watching = watch("file.setflags")
    number = os.open(file, os.O_RDONLY)
    pid, _ = in_child(lambda: fcntl.ioctl(number, 0x80086601, b"\0" * 8))  # FS_IOC_GETFLAGS
    watching.nothing("file.setflags", process=pid)


def test_32_bit_calls_are_told(watch, in_child, file):
    watching = watch("file.chmod", "file.truncate", "file.utime")

    def act():
        compat = Compat()
        path = compat.text(os.fsencode(file))
        assert compat.call(15, path, 0o4711) == 0
        assert compat.call(92, path, 2) == 0
        assert compat.call(30, path, compat.text(struct.pack("<ii", 5, 1_500_000_000))) == 0

    pid, status = in_child(act)
    assert status == 0
    chmod, truncate, utime = (watching.events(kind, process=pid)[0] for kind in ("file.chmod", "file.truncate", "file.utime"))
    assert (chmod.file.path, chmod.file.new_mode, chmod.syscall.compat) == (str(file), 0o4711, True)
    assert truncate.file.new_size == 2
    assert utime.file.new_modified_at == "2017-07-14T02:40:00.000000000Z"


def test_what_fails_is_told_only_where_it_was_denied(watch, in_child, file):
    watching = watch("file.chmod")
    for folder in [one for one in file.parents if Path(tempfile.gettempdir()) in one.parents]:
        folder.chmod(0o755)

    def act():
        with pytest.raises(FileNotFoundError):
            os.chmod(file.parent / "missing", 0o600)
        os.setgid(65534)
        os.setuid(65534)
        with pytest.raises(PermissionError):
            os.chmod(file, 0o4777)  # noqa: S103 (what is tested)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("file.chmod", process=pid)
    assert (event.file.path, event.file.new_mode, event.syscall.error) == (str(file), 0o4777, "EPERM")
