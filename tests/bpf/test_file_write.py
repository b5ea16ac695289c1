"""Writes: the first of a process to a file since it opened it, however it writes."""

import ctypes
import fcntl
import mmap
import os
import struct

import pytest
from tests.bpf.calls import Compat, call

from watchkeeper_sensor.kernel.filters import ALL_WAYS, Filters


def opened(path, flags=os.O_RDWR | os.O_CREAT):
    return os.open(path, flags, 0o600)


def by_mmap(number, _):
    os.ftruncate(number, 4096)
    mapped = mmap.mmap(number, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    mapped[:4] = b"abcd"


def by_read_only_mapping(number, _):
    os.ftruncate(number, 4096)
    mmap.mmap(number, 4096, mmap.MAP_SHARED, mmap.PROT_READ)


def by_splice(number, _):
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.splice(reading, number, 14)


def by_vector(name):
    def write(number, _):
        text = ctypes.create_string_buffer(b"#!/bin/sh")
        vector = (ctypes.c_ulong * 2)(ctypes.addressof(text), 9)
        arguments = {"writev": (), "pwritev": (0, 0), "pwritev2": (0, 0, 0)}[name]
        call(name, number, vector, 1, *arguments)

    return write


WAYS = {
    "write": (lambda number, _: os.write(number, b"\x7fELF\2\1"), "write", "elf"),
    "pwrite64": (lambda number, _: os.pwrite(number, b"PK\3\4....", 0), "write", "archive"),
    "writev": (by_vector("writev"), "write", "script"),
    "pwritev": (by_vector("pwritev"), "write", "script"),
    "pwritev2": (by_vector("pwritev2"), "write", "script"),
    "sendfile": (lambda number, other: os.sendfile(number, other, 0, 4), "sendfile", None),
    "copy_file_range": (lambda number, other: os.copy_file_range(other, number, 4, 0, 0), "copy", None),
    "splice": (by_splice, "splice", None),
    "mmap": (by_mmap, "mmap", None),
    "mmap read-only, which mprotect can change": (by_read_only_mapping, "mmap", None),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_write_is_told_once(watch, in_child, tmp_path, way):
    act, written_by, content = WAYS[way]
    watching = watch("file.write")
    path, source = tmp_path / "written", tmp_path / "source"
    source.write_bytes(b"source text")

    def write():
        number, other = opened(path), os.open(source, os.O_RDONLY)
        act(number, other)
        for _ in range(3):
            os.write(number, b"more")

    pid, status = in_child(write)
    assert status == 0
    (event,) = watching.events("file.write", process=pid, where=lambda event: event.file.path == str(path))
    watching.nothing("file.write", process=pid, where=lambda later: later.file.path == str(path) and later is not event, wait=0.1)
    its = event.file
    assert (its.path_trust, its.inode, its.type) == ("kernel", path.stat().st_ino, "regular")
    assert (its.written_by, its.content) == (written_by, content)
    assert (its.for_read, its.for_write) == (True, True)
    assert event.syscall.name == way.partition(" ")[0]


def test_a_key_and_plain_text_are_told_apart(watch, in_child, tmp_path):
    watching = watch("file.write")

    def act():
        os.write(opened(tmp_path / "key"), b"-----BEGIN PRIVATE KEY-----")
        os.write(opened(tmp_path / "text"), b"hello")

    pid, _ = in_child(act)
    found = {event.file.name: event.file.content for event in watching.events("file.write", process=pid, count=2)}
    assert found == {"key": "key", "text": "other"}


def test_another_open_is_another_first_write(watch, in_child, tmp_path):
    watching = watch("file.write")
    path = tmp_path / "log"

    def act():
        for _ in range(3):
            number = opened(path)
            os.write(number, b"a")
            os.write(number, b"b")
            os.close(number)

    pid, _ = in_child(act)
    assert len(watching.events("file.write", process=pid, count=3)) == 3
    watching.drain()
    assert len(watching.events("file.write", process=pid)) == 3


def test_a_child_writes_for_the_first_time_through_an_inherited_descriptor(watch, in_child, tmp_path):
    number = opened(tmp_path / "inherited")
    os.write(number, b"before the sensor came")
    watching = watch("file.write")
    pid, _ = in_child(lambda: os.write(number, b"x"))
    (event,) = watching.events("file.write", process=pid)
    assert event.file.name == "inherited"


def test_pipes_sockets_terminals_and_null_are_not_told(watch, in_child):
    watching = watch("file.write")

    def act():
        os.write(os.pipe()[1], b"x")
        os.write(os.open("/dev/null", os.O_WRONLY), b"x")

    pid, _ = in_child(act)
    watching.nothing("file.write", process=pid)


def test_a_write_that_fails_is_not_told(watch, in_child, tmp_path):
    (tmp_path / "read-only").write_text("x")
    watching = watch("file.write")

    def act():
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(os.open(tmp_path / "read-only", os.O_RDONLY), b"x")

    pid, status = in_child(act)
    assert status == 0
    watching.nothing("file.write", process=pid)


def test_a_private_mapping_and_one_of_a_file_open_for_reading_are_not_told(watch, in_child, tmp_path):
    path = tmp_path / "mapped"
    path.write_bytes(b"\0" * 4096)
    watching = watch("file.write")

    def act():
        mmap.mmap(os.open(path, os.O_RDWR), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        mmap.mmap(os.open(path, os.O_RDONLY), 4096, mmap.MAP_SHARED, mmap.PROT_READ)

    pid, status = in_child(act)
    assert status == 0
    watching.nothing("file.write", process=pid)


def test_a_write_to_a_memfd_says_so(watch, in_child):
    watching = watch("file.write")
    pid, _ = in_child(lambda: os.write(os.memfd_create("payload"), b"\x7fELF"))
    (event,) = watching.events("file.write", process=pid)
    assert (event.file.memfd, event.file.unlinked, event.file.content) == (True, True, "elf")


def test_only_files_that_policies_ask_for_are_told(watch, in_child, tmp_path):
    watching = watch(
        "file.write", filters=Filters(kinds={"file.write"}, by_path={"file.write"}, prefixes={f"{tmp_path}/in/".encode(): {"file.write": ALL_WAYS}})
    )
    (tmp_path / "in").mkdir()

    def act():
        for name in ("out", "in/watched", "inside"):
            number = opened(tmp_path / name)
            os.write(number, b"x")
            os.write(number, b"x")

    pid, _ = in_child(act)
    (event,) = watching.events("file.write", process=pid)
    assert event.file.name == "watched"


def test_a_file_that_moves_to_a_watched_place_is_told_within_a_second_of_writing(watch, in_child, tmp_path):
    watching = watch("file.write", filters=Filters(kinds={"file.write"}, by_path={"file.write"}, names={b"crontab": {"file.write": ALL_WAYS}}))

    def act():
        number = opened(tmp_path / "draft")
        os.write(number, b"x")
        os.rename(tmp_path / "draft", tmp_path / "crontab")
        end = os.times().elapsed + 1.2
        while os.times().elapsed < end:
            os.write(number, b"x")

    pid, _ = in_child(act)
    (event,) = watching.events("file.write", process=pid)
    assert event.file.path == str(tmp_path / "crontab")


def test_a_32_bit_write_is_told_with_what_it_wrote(watch, in_child, tmp_path):
    watching = watch("file.write")
    path = tmp_path / "written"

    def act():
        compat, number = Compat(), opened(path)
        assert compat.call(4, number, compat.text(b"#!/bin/sh"), 9) == 9

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("file.write", process=pid)
    assert (event.syscall.compat, event.syscall.name, event.file.content) == (True, "write", "script")


def test_a_clone_is_told_where_the_file_system_can_clone(watch, in_child, tmp_path):
    watching = watch("file.write")
    (tmp_path / "source").write_bytes(b"x" * 4096)
    number, source = opened(tmp_path / "copy"), os.open(tmp_path / "source", os.O_RDONLY)
    try:
        fcntl.ioctl(number, 0x40049409, source)
    except OSError as error:
        pytest.skip(f"this file system can't clone: {error}")
    pid, _ = in_child(lambda: fcntl.ioctl(number, 0x4020940D, struct.pack("<qQQQ", source, 0, 4096, 0)))
    (event,) = watching.events("file.write", process=pid)
    assert event.file.written_by == "clone"
