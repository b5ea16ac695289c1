"""Names of files: renamed, linked, made and removed. Paths are the caller's, from the directory that the kernel knows."""

import os
import stat

import pytest
from tests.bpf.calls import AT_FDCWD, Compat, call

AT_EMPTY_PATH, AT_SYMLINK_FOLLOW, AT_REMOVEDIR = 0x1000, 0x400, 0x200
NOREPLACE, EXCHANGE = 1, 2


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    return tmp_path


def told(watching, in_child, kind, act, *, count=1):
    pid, status = in_child(act)
    assert status == 0
    return watching.events(kind, process=pid, count=count)


def test_a_rename_tells_both_names(watch, in_child, files):
    watching = watch("file.rename")
    (event,) = told(watching, in_child, "file.rename", lambda: os.rename(files / "a", files / "c"))
    its = event.file
    assert (its.path, its.name, its.directory) == (str(files / "a"), "a", str(files))
    assert (its.new_path, its.new_name) == (str(files / "c"), "c")
    assert (its.path_trust, its.claimed_path, its.path_truncated) == ("user", str(files / "a"), False)
    assert (its.exchanged, its.replaced, its.inode) == (False, None, None)
    assert event.syscall.name == "rename"


def test_an_exchange_and_a_rename_that_replaces_nothing_say_so(watch, in_child, files):
    watching = watch("file.rename")

    def act():
        folder = os.open(files, os.O_RDONLY)
        call("renameat2", folder, b"a", folder, b"./b", EXCHANGE)
        call("renameat2", folder, b"a", AT_FDCWD, os.fsencode(files / "c"), NOREPLACE)

    exchange, plain = told(watching, in_child, "file.rename", act, count=2)
    assert (exchange.file.path, exchange.file.new_path) == (str(files / "a"), str(files / "b"))
    assert (exchange.file.exchanged, exchange.file.replaced) == (True, False)
    assert (plain.file.path, plain.file.new_path, plain.file.exchanged, plain.file.replaced) == (str(files / "a"), str(files / "c"), False, False)


def test_relative_names_start_where_the_kernel_says(watch, in_child, files):
    watching = watch("file.rename")
    (files / "deep").mkdir()

    def act():
        folder = os.open(files / "deep", os.O_RDONLY)
        os.rename(files / "deep", files / "moved")
        os.chdir(files)
        call("renameat", folder, b"..//a", AT_FDCWD, b"moved/./../c")

    found = told(watching, in_child, "file.rename", act, count=2)
    assert (found[1].file.path, found[1].file.new_path) == (str(files / "a"), str(files / "c"))
    assert found[1].file.claimed_path == "..//a"


def test_the_processs_own_root_is_no_way_round(watch, in_child, files):
    watching = watch("file.unlink")
    (event,) = told(watching, in_child, "file.unlink", lambda: os.unlink(f"/proc/self/root{files}/a"))
    assert event.file.path == str(files / "a")


def test_the_longest_names_are_told_whole(watch, in_child, files):
    watching = watch("file.rename")

    def act():
        os.chdir(files)
        for _ in range(14):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY))
        os.rename("./" * 2000 + "f", "./" * 2000 + "g")

    (event,) = told(watching, in_child, "file.rename", act)
    its = event.file
    assert (its.name, its.new_name, len(its.claimed_path)) == ("f", "g", 4001)
    assert its.path is None or its.path.startswith(str(files))
    assert its.path_truncated is (its.new_path is None)


def test_links_tell_what_they_are_of(watch, in_child, files):
    watching = watch("file.link", "file.symlink")

    def act():
        os.link(files / "a", files / "hard")
        folder = os.open(files, os.O_RDONLY)
        os.link("b", "other", src_dir_fd=folder, dst_dir_fd=folder)
        os.symlink("../etc/shadow", files / "soft")
        os.symlink("/etc/passwd", "soft2", dir_fd=folder)

    pid, status = in_child(act)
    assert status == 0
    hard, other = watching.events("file.link", process=pid, count=2)
    assert (hard.file.path, hard.file.new_path, hard.file.new_name, hard.file.replaced) == (str(files / "a"), str(files / "hard"), "hard", False)
    assert (other.file.path, other.file.new_path) == (str(files / "b"), str(files / "other"))
    soft, second = watching.events("file.symlink", process=pid, count=2)
    assert (soft.file.path, soft.file.link_target, soft.file.type) == (str(files / "soft"), "../etc/shadow", "symlink")
    assert (second.file.path, second.file.link_target) == (str(files / "soft2"), "/etc/passwd")


def test_a_nameless_file_that_gets_a_name_is_known_by_its_inode(watch, in_child, files):
    watching = watch("file.link")

    def act():
        number = os.open(files, os.O_TMPFILE | os.O_RDWR, 0o600)
        call("linkat", number, b"", AT_FDCWD, os.fsencode(files / "named"), AT_EMPTY_PATH)

    (event,) = told(watching, in_child, "file.link", act)
    assert event.file.new_path == str(files / "named")
    assert event.file.inode == (files / "named").stat().st_ino


def test_removals_tell_files_and_directories_apart(watch, in_child, files):
    watching = watch("file.unlink", "file.rmdir")
    for name in ("one", "two"):
        (files / name).mkdir()

    def act():
        folder = os.open(files, os.O_RDONLY)
        os.unlink(files / "a")
        os.unlink("b", dir_fd=folder)
        os.rmdir(files / "one")
        call("unlinkat", folder, b"two", AT_REMOVEDIR)

    pid, status = in_child(act)
    assert status == 0
    assert [event.file.path for event in watching.events("file.unlink", process=pid, count=2)] == [str(files / "a"), str(files / "b")]
    assert [event.file.path for event in watching.events("file.rmdir", process=pid, count=2)] == [str(files / "one"), str(files / "two")]


def test_directories_and_nodes_tell_type_mode_and_device(watch, in_child, files):
    watching = watch("file.mkdir", "file.mknod")

    def act():
        os.umask(0o027)
        folder = os.open(files, os.O_RDONLY)
        os.mkdir(files / "made", 0o777)
        os.mkdir("below", 0o700, dir_fd=folder)
        os.mkfifo(files / "fifo", 0o666)
        os.mknod(files / "mem", 0o600 | stat.S_IFCHR, os.makedev(1, 1))
        os.mknod("big", 0o600 | stat.S_IFBLK, os.makedev(259, 70000), dir_fd=folder)
        call("mknod", os.fsencode(files / "plain"), 0o644, 0)

    pid, status = in_child(act)
    assert status == 0
    made, below = (event.file for event in watching.events("file.mkdir", process=pid, count=2))
    assert (made.path, made.type, made.new_mode) == (str(files / "made"), "directory", 0o750)
    assert below.path == str(files / "below")
    fifo, memory, big, plain = (event.file for event in watching.events("file.mknod", process=pid, count=4))
    assert (fifo.path, fifo.type, fifo.new_mode, fifo.device_number) == (str(files / "fifo"), "fifo", 0o640, None)
    assert (memory.type, memory.device_number, memory.is_host_disk) == ("character", "1:1", False)
    assert (big.path, big.type, big.device_number, big.is_host_disk) == (str(files / "big"), "block", "259:70000", False)
    assert plain.type == "regular"


def test_what_fails_is_told_only_where_it_was_denied(watch, in_child, files):
    watching = watch("file.unlink", "file.mkdir")
    for folder in [files, *files.parents][:3]:
        folder.chmod(0o755)

    def act():
        with pytest.raises(FileNotFoundError):
            os.unlink(files / "missing")
        with pytest.raises(FileExistsError):
            os.mkdir(files / "a")
        os.setgid(65534)
        os.setuid(65534)
        with pytest.raises(PermissionError):
            os.unlink(files / "a")

    pid, status = in_child(act)
    assert status == 0
    (denied,) = watching.events("file.unlink", process=pid)
    assert (denied.file.path, denied.syscall.error) == (str(files / "a"), "EACCES")
    watching.nothing("file.mkdir", process=pid)


def test_a_32_bit_unlink_and_rename_are_told(watch, in_child, files):
    watching = watch("file.unlink", "file.rename")

    def act():
        compat = Compat()
        assert compat.call(38, compat.text(os.fsencode(files / "b")), compat.text(os.fsencode(files / "c"))) == 0
        assert compat.call(10, compat.text(os.fsencode(files / "a")), 0) == 0

    pid, status = in_child(act)
    assert status == 0
    (rename,) = watching.events("file.rename", process=pid)
    (unlink,) = watching.events("file.unlink", process=pid)
    assert (rename.file.path, rename.file.new_path, rename.syscall.compat) == (str(files / "b"), str(files / "c"), True)
    assert (unlink.file.path, unlink.syscall.name) == (str(files / "a"), "unlink")
