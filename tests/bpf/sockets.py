"""What tests of the network need: addresses in bytes, cookies, network namespaces."""

import ctypes
import fcntl
import socket
import struct

from watchkeeper_sensor.kernel.tracepoints import BTF

CLONE_NEWNET = 0x40000000
SO_COOKIE = 57
UDP = socket.SOCK_DGRAM
EVERY_SOCKET_HAS_A_COOKIE = b"\0btf_bpf_get_socket_ptr_cookie\0" in BTF.read_bytes()
"""The sensor may give it one: 5.12. Before, a socket has one when somebody has asked for it."""
ANY = "0.0.0.0"  # noqa: S104 (connected to, never bound)

libc = ctypes.CDLL(None, use_errno=True)


def cookie_of(its):
    return struct.unpack("<Q", its.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]


def inet_address(ip, port):
    return struct.pack("<H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(ip) + bytes(8)


def bring_up_loopback():
    with socket.socket(socket.AF_INET, UDP) as its:
        fcntl.ioctl(its, 0x8914, struct.pack("16sH22x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up, running
