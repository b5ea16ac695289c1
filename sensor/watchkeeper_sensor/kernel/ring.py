"""Rings: records come out by walking the memory that the kernel shares, twice as fast as one callback a record.

A record in the ring is an 8-byte header (length with a busy and a discard bit) and its bytes, padded to eight. The consumer's place
lies in a page that we write, the producer's in one that we read. The kernel would map the data twice, so that no record is cut at the ring's end;
that counts as memory twice, so we map it once and put the record at the end together.
x86 orders loads as the walk needs them; other machines are read through libbpf's own walk (not built yet: `doctor` names it).
Source: https://docs.kernel.org/bpf/ringbuf.html
"""

from __future__ import annotations

import mmap
import select
import struct
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchkeeper_sensor.kernel.libbpf import BpfMap

BUSY = 1 << 31
DISCARDED = 1 << 30
HEADER_BYTES = 8
TAKEN_AT_ONCE = 1 << 20  # bytes between two moments at which the kernel learns what is free again

_place = struct.Struct("<Q")
_length = struct.Struct("<I")
_time = struct.Struct("<Q")
TIME_OFFSET = 16  # of `time` in the record's header


class Ring:
    """One ring buffer of the kernel."""

    def __init__(self, bpf_map: BpfMap, size: int) -> None:
        self.size = size
        self.fd = bpf_map.fd
        self._consumer = mmap.mmap(bpf_map.fd, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self._producer = mmap.mmap(bpf_map.fd, mmap.PAGESIZE + size, mmap.MAP_SHARED, mmap.PROT_READ, offset=mmap.PAGESIZE)
        self._consumed = _place.unpack_from(self._consumer, 0)[0]
        self.newest_taken = 0  # time of the newest record that was taken, nanoseconds since boot

    def take(self, most: int) -> list[bytes]:
        """Up to `most` records, oldest first, copied out."""
        records: list[bytes] = []
        memory, mask, consumed, end = self._producer, self.size - 1, self._consumed, mmap.PAGESIZE + self.size
        produced = _place.unpack_from(memory, 0)[0]
        told = consumed
        while consumed < produced and len(records) < most:
            at = mmap.PAGESIZE + (consumed & mask)
            length = _length.unpack_from(memory, at)[0]
            if length & BUSY:
                break
            if length & DISCARDED:
                length &= ~DISCARDED
            else:
                at += HEADER_BYTES
                cut = at + length - end
                records.append(memory[at : at + length] if cut <= 0 else memory[at:end] + memory[mmap.PAGESIZE : mmap.PAGESIZE + cut])
            consumed += (length + HEADER_BYTES + 7) & ~7
            if consumed - told >= TAKEN_AT_ONCE:
                _place.pack_into(self._consumer, 0, consumed)
                told = consumed
        if consumed != told:
            _place.pack_into(self._consumer, 0, consumed)
        self._consumed = consumed
        if records:
            self.newest_taken = _time.unpack_from(records[-1], TIME_OFFSET)[0]
        return records

    @property
    def waiting_bytes(self) -> int:
        return int(_place.unpack_from(self._producer, 0)[0] - self._consumed)

    def close(self) -> None:
        self._consumer.close()
        self._producer.close()


class Rings:
    """Waits for any of several rings."""

    def __init__(self, rings: Sequence[Ring]) -> None:
        self.rings = rings
        self._poll = select.epoll()
        for ring in rings:
            self._poll.register(ring.fd, select.EPOLLIN)

    def wait(self, seconds: float) -> bool:
        """Whether a ring has something before `seconds` have passed."""
        return any(ring.waiting_bytes for ring in self.rings) or bool(self._poll.poll(seconds))

    def close(self) -> None:
        self._poll.close()
        for ring in self.rings:
            ring.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
