"""What the kernel turned down a moment ago is looked at again as soon as anything that the answer hung on is another."""

import os
import subprocess

from tests.bpf.calls import call

from watchkeeper_sensor.kernel.filters import Filters

CLONE_NEWNS = 0x20000
TIMES = 5  # that a file is opened first, so that the kernel knows it for one that nobody asks for


def by_path(kind, *prefixes):
    return Filters(kinds={kind}, by_path={kind}, prefixes={os.fsencode(prefix): {kind} for prefix in prefixes})


def opened(path):
    for _ in range(TIMES):
        os.close(os.open(path, os.O_RDONLY))


def names(watching, pid, kind="file.open"):
    return [event.file.path for event in watching.events(kind, process=pid)]


def test_a_file_whose_folder_is_renamed_into_a_watched_place_is_told(watch, in_child, tmp_path):
    (tmp_path / "plain" / "deep").mkdir(parents=True)
    (tmp_path / "plain" / "deep" / "file").touch()
    watching = watch("file.open", filters=by_path("file.open", f"{tmp_path}/watched/"))

    def act():
        opened(tmp_path / "plain" / "deep" / "file")
        (tmp_path / "plain").rename(tmp_path / "watched")
        os.open(tmp_path / "watched" / "deep" / "file", os.O_RDONLY)

    pid, status = in_child(act)
    assert status == 0
    assert names(watching, pid) == [f"{tmp_path}/watched/deep/file"]


def test_names_that_change_places_are_each_told_by_the_path_they_have(watch, in_child, tmp_path):
    (tmp_path / "plain").touch()
    watching = watch("file.open", filters=by_path("file.open", f"{tmp_path}/watched\0"))

    def act():
        for _ in range(20):
            opened(tmp_path / "plain")
            (tmp_path / "plain").rename(tmp_path / "watched")
            os.close(os.open(tmp_path / "watched", os.O_RDONLY))
            (tmp_path / "watched").rename(tmp_path / "plain")

    pid, status = in_child(act)
    assert status == 0
    assert len(watching.events("file.open", process=pid, count=20)) == 20


def test_a_file_that_is_mounted_elsewhere_is_told_by_its_place_there(watch, in_child, tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "watched").mkdir()
    (tmp_path / "plain" / "file").touch()
    watching = watch("file.open", filters=by_path("file.open", f"{tmp_path}/watched/"))

    def act():
        call("unshare", CLONE_NEWNS)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        opened(tmp_path / "plain" / "file")
        subprocess.run(["mount", "--bind", tmp_path / "plain", tmp_path / "watched"], check=True)
        os.open(tmp_path / "watched" / "file", os.O_RDONLY)

    pid, status = in_child(act)
    assert status == 0
    assert names(watching, pid) == [f"{tmp_path}/watched/file"]


def test_a_process_with_another_root_is_told_by_the_path_it_sees(watch, in_child, tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "file").touch()
    watching = watch("file.open", filters=by_path("file.open", "/inside/"))

    def act():
        opened(tmp_path / "inside" / "file")
        os.chroot(tmp_path)
        os.open("/inside/file", os.O_RDONLY)

    pid, status = in_child(act)
    assert status == 0
    assert names(watching, pid) == ["/inside/file"]


def test_other_filters_are_in_force_at_once(watch, tmp_path):
    path = tmp_path / "file"
    path.touch()
    watching = watch("file.open", filters=by_path("file.open", "/nowhere/"))
    ask, answer = os.pipe(), os.pipe()

    def act():
        opened(path)
        os.write(answer[1], b"x")
        os.read(ask[0], 1)
        os.open(path, os.O_RDONLY)

    child = os.fork()
    if child == 0:
        act()
        os._exit(0)
    os.read(answer[0], 1)
    watching.sensor.set_filters(by_path("file.open", f"{path}\0"))
    os.write(ask[1], b"x")
    os.waitpid(child, 0)
    assert names(watching, child) == [str(path)]


def test_the_first_write_after_a_rename_is_told(watch, in_child, tmp_path):
    watching = watch("file.write", filters=by_path("file.write", f"{tmp_path}/watched\0"))

    def act():
        number = os.open(tmp_path / "plain", os.O_WRONLY | os.O_CREAT, 0o600)
        for _ in range(TIMES):
            os.write(number, b"x")
        (tmp_path / "plain").rename(tmp_path / "watched")
        os.write(number, b"x")
        os.write(number, b"x")

    pid, status = in_child(act)
    assert status == 0
    assert names(watching, pid, "file.write") == [f"{tmp_path}/watched"]


def test_what_a_policy_asks_for_is_told_each_time(watch, in_child, tmp_path):
    path = tmp_path / "file"
    path.touch()
    watching = watch("file.open", filters=by_path("file.open", f"{path}\0"))
    pid, _ = in_child(lambda: opened(path))
    assert len(watching.events("file.open", process=pid, count=TIMES)) == TIMES
