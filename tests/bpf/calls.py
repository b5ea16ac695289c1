"""System calls as attackers make them: by number, past the C library, and the 32-bit way."""

import ctypes
import mmap
import os

from watchkeeper_sensor.kernel.syscalls import SYSCALL_NUMBERS

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
AT_FDCWD = -100

# push rbx; push rbp; mov eax,edi; mov ebx,esi; mov ecx,edx; pop into place; int 0x80; restore; ret
INT80 = bytes.fromhex("53 89f8 89f3 4989d2 89d1 4489c2 cd80 5b c3".replace(" ", ""))


def call(name, *arguments):
    """The system call's result; raises OSError."""
    converted = [ctypes.c_char_p(one) if isinstance(one, bytes) else ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = LIBC.syscall(ctypes.c_long(SYSCALL_NUMBERS[name]), *converted)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


class Compat:
    """Calls through `int 0x80`; texts have to lie below 4 GiB, where `text` puts them."""

    MAP_32BIT = 0x40

    def __init__(self):
        self._code = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._code.write(INT80)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._code))
        self._run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_int, ctypes.c_int)(address)
        self._low = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | self.MAP_32BIT, mmap.PROT_READ | mmap.PROT_WRITE)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._low))

    def text(self, value):
        at = self._low.tell()
        self._low.write(value + b"\0")
        return self._base + at

    def call(self, number, first, second, third=0):
        """Result of the call by its 32-bit number; negative errors."""
        return self._run(number, first, second, 0, third)
