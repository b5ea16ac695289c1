"""An io_uring, made and used without a library."""

import ctypes
import mmap
import struct

NR_SETUP, NR_ENTER, NR_REGISTER = 425, 426, 427
SQPOLL = 2
GET_EVENTS, WAKE_UP = 1, 2
SQ_RING, CQ_RING, ENTRIES = 0, 0x8000000, 0x10000000  # offsets to map
HERE = -100  # AT_FDCWD
OPENAT, OPENAT2, RENAMEAT, UNLINKAT, MKDIRAT, SYMLINKAT, LINKAT, CONNECT, NOP, WRITE = 18, 28, 35, 36, 37, 38, 39, 16, 0, 23

libc = ctypes.CDLL(None, use_errno=True)


class IoUring:
    """A ring of eight entries. `submit` hands one operation over and returns its result."""

    def __init__(self, flags=0):
        parameters = ctypes.create_string_buffer(struct.pack("<IIIIII", 0, 0, flags, 0, 100, 0), 120)
        self.fd = libc.syscall(NR_SETUP, 8, parameters)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "no ring")
        submission, completion = struct.unpack_from("<10I", parameters, 40), struct.unpack_from("<10I", parameters, 80)
        entries, completions = struct.unpack_from("<II", parameters, 0)
        self._head, self._tail, self._mask, _, self._flags, _, self._array = submission[:7]
        self._cq_head, self._cq_tail, self._cq_mask, _, _, self._cqes = completion[:6]
        self._sq = mmap.mmap(self.fd, self._array + entries * 4, mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=SQ_RING)
        self._cq = mmap.mmap(self.fd, self._cqes + completions * 16, mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=CQ_RING)
        self._entries = mmap.mmap(self.fd, entries * 64, mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=ENTRIES)
        self._polled = bool(flags & SQPOLL)

    @staticmethod
    def _word(memory, at):
        return struct.unpack_from("<I", memory, at)[0]

    def submit(self, operation, *, fd=HERE, offset=0, address=0, length=0, flags=0, file_index=0, personality=0):
        tail = self._word(self._sq, self._tail)
        slot = tail & self._word(self._sq, self._mask)
        entry = struct.pack("<BBHiQQIIQHHI", operation, 0, 0, fd, offset, address, length, flags, 1, 0, personality, file_index)
        self._entries[slot * 64 : slot * 64 + 64] = entry.ljust(64, b"\0")
        struct.pack_into("<I", self._sq, self._array + slot * 4, slot)
        struct.pack_into("<I", self._sq, self._tail, tail + 1)
        libc.syscall(NR_ENTER, self.fd, 0 if self._polled else 1, 1, GET_EVENTS | (WAKE_UP if self._polled else 0), None, 0)
        head = self._word(self._cq, self._cq_head)
        assert head != self._word(self._cq, self._cq_tail), "nothing came of it"
        result = struct.unpack_from("<Qi", self._cq, self._cqes + (head & self._word(self._cq, self._cq_mask)) * 16)[1]
        struct.pack_into("<I", self._cq, self._cq_head, head + 1)
        return result


def text(value):
    """A text in memory: keep the buffer, give its address."""
    held = ctypes.create_string_buffer(str(value).encode())
    return held, ctypes.addressof(held)
