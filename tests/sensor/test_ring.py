"""Rings: records come out whole and in order, also the one that lies over the ring's end."""

import mmap
import os
import struct

import pytest

from watchkeeper_sensor.kernel.libbpf import BpfMap
from watchkeeper_sensor.kernel.ring import BUSY, DISCARDED, Ring

SIZE = 4096
PAGE = mmap.PAGESIZE


class Memory:
    """Memory laid out as the kernel's ring buffers are: a page of the consumer's, one of the producer's, and the data."""

    def __init__(self, consumed=0):
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + SIZE)
        self.produced = consumed
        os.pwrite(self.fd, struct.pack("<Q", consumed), 0)
        self._tell()

    def _tell(self):
        os.pwrite(self.fd, struct.pack("<Q", self.produced), PAGE)

    def _write(self, place, content):
        for number, byte in enumerate(content):
            os.pwrite(self.fd, bytes([byte]), 2 * PAGE + (place + number) % SIZE)

    def put(self, record, flags=0):
        self._write(self.produced, struct.pack("<II", len(record) | flags, 0) + record)
        self.produced += (len(record) + 8 + 7) & ~7
        self._tell()

    def ring(self):
        return Ring(BpfMap("ring", self.fd, 0, 0), SIZE)


@pytest.fixture
def memory():
    made = []

    def make(consumed=0):
        made.append(Memory(consumed))
        return made[-1]

    yield make
    for one in made:
        os.close(one.fd)


@pytest.mark.parametrize("before_end", [8, 16, 24, 40, 48, 56])
def test_a_record_over_the_end_comes_out_whole(memory, before_end):
    laid = memory(SIZE - before_end)
    records = [bytes(range(40)), bytes(range(100, 148))]
    for record in records:
        laid.put(record)
    ring = laid.ring()
    assert ring.take(10) == records
    assert ring.waiting_bytes == 0
    ring.close()


def test_what_is_still_written_waits_and_what_was_discarded_is_left_out(memory):
    laid = memory()
    for record, flags in ((b"a" * 32, 0), (b"b" * 32, DISCARDED), (b"c" * 32, 0), (b"d" * 32, BUSY), (b"e" * 32, 0)):
        laid.put(record, flags)
    ring = laid.ring()
    assert ring.take(10) == [b"a" * 32, b"c" * 32]
    assert ring.take(10) == []
    assert ring.waiting_bytes == 80
    ring.close()


def test_no_more_than_asked_for_are_taken(memory):
    laid = memory()
    for number in range(5):
        laid.put(bytes([number]) * 32)
    ring = laid.ring()
    assert [len(ring.take(2)) for _ in range(3)] == [2, 2, 1]
    ring.close()
