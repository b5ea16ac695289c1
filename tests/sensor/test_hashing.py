"""Hashes of files: by identity, bounded, away from the hot path, and never of another file than the one that was seen."""

import hashlib
import os
import threading
import time

import pytest

from watchkeeper_sensor.hashing import CACHED, Hashes
from watchkeeper_sensor.kernel import records

PATIENCE_SECONDS = 10.0


def identity_of(path, *, magic=0xEF53, **changes):
    """What the kernel would tell of a file."""
    found = path.stat()
    device = os.major(found.st_dev) << 20 | os.minor(found.st_dev)
    made = records.FILE_IDENTITY.of(found.st_ino, found.st_size, found.st_ctime_ns, magic, device, found.st_nlink, found.st_mode, 0, 0, records.KNOWN)
    return made._replace(**changes)


def settled(hashes, count=1):
    """Settle until so many files are done."""
    end = time.monotonic() + PATIENCE_SECONDS
    while count > 0:
        count -= hashes.settle()
        assert time.monotonic() < end, "no result came"
        time.sleep(0.001)


@pytest.fixture
def hashes():
    with Hashes() as made:
        yield made


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF" + os.urandom(3_000_000))
    return path


def test_the_hash_comes_later_and_is_right(hashes, program):
    got = []
    hashes.want(identity_of(program), [str(program)], got.append)
    assert got == []  # nobody waited
    settled(hashes)
    assert got == [hashlib.sha256(program.read_bytes()).hexdigest()]
    assert hashes.known(identity_of(program)) == got[0]


def test_a_file_is_read_once(hashes, program):
    got = []
    identity = identity_of(program)
    for _ in range(3):
        hashes.want(identity, [str(program)], got.append)
    settled(hashes)
    program.unlink()
    hashes.want(identity, [str(program)], got.append)  # known: the file is not needed any more
    assert len(got) == 4
    assert len(set(got)) == 1
    assert hashes.hashed == 1


def test_a_file_that_changed_since_is_not_hashed_as_the_old_one(hashes, program):
    got = []
    identity = identity_of(program)
    program.write_bytes(b"x" * identity.size)
    hashes.want(identity, [str(program)], got.append)
    settled(hashes)
    assert (got, hashes.missed) == ([None], {"changed": 1})


def test_another_file_under_the_same_path_is_not_taken_for_it(hashes, program, tmp_path):
    got = []
    identity = identity_of(program)
    other = tmp_path / "other"
    other.write_bytes(program.read_bytes())
    other.rename(program)
    hashes.want(identity, [str(program)], got.append)
    settled(hashes)
    assert (got, hashes.missed) == ([None], {"changed": 1})


def test_the_next_place_is_tried_where_the_first_has_it_not(hashes, program):
    got = []
    hashes.want(identity_of(program), ["/proc/4194304/exe", str(program)], got.append)
    settled(hashes)
    assert got == [hashlib.sha256(program.read_bytes()).hexdigest()]


MISSED = {
    "too_long": {"size": (64 << 20) + 1},
    "remote": {"magic": 0x65735546},
    "unknown": {"flags": 0},
}


@pytest.mark.parametrize("why", MISSED)
def test_what_is_not_hashed_says_why_at_once(hashes, program, why):
    got = []
    hashes.want(identity_of(program)._replace(**MISSED[why]), [str(program)], got.append)
    assert (got, hashes.missed) == ([None], {why: 1})


def test_a_file_that_is_gone_is_counted(hashes, program):
    got = []
    identity = identity_of(program)
    program.unlink()
    hashes.want(identity, [str(program)], got.append)
    settled(hashes)
    assert (got, hashes.missed) == ([None], {"gone": 1})


def test_a_fifo_does_not_stop_it(hashes, program, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got = []
    hashes.want(identity_of(fifo), [str(fifo)], got.append)
    hashes.want(identity_of(program), [str(program)], got.append)
    settled(hashes, 2)
    assert got == [None, hashlib.sha256(program.read_bytes()).hexdigest()]


def test_the_queue_is_bounded_and_what_finds_no_room_is_counted(tmp_path):
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    gate = threading.Event()
    got = []

    class Slow(Hashes):
        def _run(self):
            gate.wait(PATIENCE_SECONDS)
            super()._run()

    with Slow(queue=4) as hashes:
        for number in range(10):
            hashes.want(identity_of(empty, inode=number), [str(empty)], got.append)
        assert (got, hashes.missed) == ([None] * 6, {"queue_full": 6})
        gate.set()
        settled(hashes, 4)


def test_results_are_bounded(program):
    with Hashes() as hashes:
        for number in range(CACHED):
            hashes._known[number] = "x"
        hashes.want(identity_of(program), [str(program)], lambda _: None)
        settled(hashes)
        assert len(hashes._known) == CACHED
        assert hashes.known(identity_of(program))


def test_no_thread_is_there_before_it_is_needed():
    before = threading.active_count()
    hashes = Hashes()
    assert threading.active_count() == before
    hashes.close()
