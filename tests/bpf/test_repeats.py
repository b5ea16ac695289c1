"""Repeats are counted in place of told: once a second, and only where nothing that an event says is another."""

import ctypes
import os
import threading
import time

import pytest

from watchkeeper_sensor.kernel.filters import ALL_WAYS, EACH, Filters

MANY = 50
WINDOW_SECONDS = 1.2
PR_SET_NAME, PR_SET_NO_NEW_PRIVS = 15, 38

libc = ctypes.CDLL(None)


@pytest.fixture
def watching(watch, tmp_path):
    """Watches opens of one file, repeats counted."""
    (tmp_path / "file").touch()
    asked = {os.fsencode(tmp_path / "file") + b"\0": {"file.open": ALL_WAYS}}
    return watch("file.open", filters=Filters(kinds={"file.open"}, by_path={"file.open"}, prefixes=asked, once={"file.open"}))


def opened(path, flags=os.O_RDONLY, times=MANY):
    for _ in range(times):
        os.close(os.open(path, flags))


def test_an_open_that_is_repeated_is_told_once_and_later_with_how_often(watching, in_child, tmp_path):
    already = watching.sensor.repeated().get("file.open", 0)

    def act():
        opened(tmp_path / "file")
        time.sleep(WINDOW_SECONDS)
        opened(tmp_path / "file")

    pid, status = in_child(act)
    assert status == 0
    first, second = watching.events("file.open", process=pid, count=2)
    watching.nothing("file.open", process=pid, where=lambda later: later not in (first, second))
    assert (first.file.repeats, second.file.repeats) == (0, MANY - 1)
    assert watching.sensor.repeated()["file.open"] - already == 2 * (MANY - 1)
    assert not watching.sensor.losses()


OTHERWISE = {
    "as another group": lambda _: os.setresgid(0, 65534, 0),
    "under another name": lambda _: libc.prctl(PR_SET_NAME, b"renamed", 0, 0, 0),
    "without a way to more rights": lambda _: libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
    "after its permissions changed": lambda path: path.chmod(0o640),
    "after its content changed": lambda path: path.write_text("longer"),
    "after it was replaced": lambda path: (path.unlink(), path.touch()),
}


@pytest.mark.parametrize("way", OTHERWISE)
def test_an_open_that_differs_in_anything_is_told(watching, in_child, tmp_path, way):
    path = tmp_path / "file"
    path.chmod(0o644)
    tmp_path.chmod(0o755)

    def act():
        opened(path)
        OTHERWISE[way](path)
        opened(path)

    pid, status = in_child(act)
    assert status == 0
    assert len(watching.events("file.open", process=pid, count=2)) >= 2


def test_other_flags_another_thread_and_another_process_are_told(watching, in_child, tmp_path):
    path = tmp_path / "file"

    def act():
        opened(path)
        opened(path, os.O_RDONLY | os.O_NONBLOCK)
        opened(path, os.O_RDONLY | os.O_CREAT)
        thread = threading.Thread(target=opened, args=(path,))
        thread.start()
        thread.join()

    pid, status = in_child(act)
    assert status == 0
    assert len(watching.events("file.open", process=pid, count=4)) == 4
    pid, _ = in_child(lambda: opened(path))
    assert len(watching.events("file.open", process=pid)) == 1


def test_a_path_that_a_rule_has_to_see_each_open_of_is_told_each_time(watch, in_child, tmp_path):
    path = tmp_path / "file"
    path.touch()
    asked = {os.fsencode(path) + b"\0": {"file.open": ALL_WAYS | EACH}}
    watching = watch("file.open", filters=Filters(kinds={"file.open"}, by_path={"file.open"}, prefixes=asked, once={"file.open"}))
    pid, _ = in_child(lambda: opened(path))
    assert len(watching.events("file.open", process=pid, count=MANY)) == MANY
