"""Connections: opened, accepted, listened for."""

import ctypes
import errno
import os
import socket
import struct
import threading

import pytest
from tests.bpf import ring
from tests.bpf.calls import Compat
from tests.bpf.sockets import ANY, CLONE_NEWNET, EVERY_SOCKET_HAS_A_COOKIE, UDP, bring_up_loopback, cookie_of, inet_address, libc

MSG_FASTOPEN = 0x20000000
COMPAT_SOCKETCALL, COMPAT_SOCKET, COMPAT_CONNECT = 102, 359, 362
NO_RING = 77


@pytest.fixture
def listener():
    with socket.socket() as its:
        its.bind(("127.0.0.1", 0))
        its.listen(8)
        yield its


@pytest.fixture
def listener6():
    with socket.socket(socket.AF_INET6) as its:
        its.bind(("::1", 0))
        its.listen(8)
        yield its


def unused_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as its:
        its.bind(("127.0.0.1", 0))
        return its.getsockname()[1]


def test_a_connect_tells_who_and_where_to(watch, in_child, listener):
    watching = watch("network.connect")
    address = listener.getsockname()

    def act():
        with socket.socket() as its:
            its.bind(("127.0.0.1", 0))
            its.connect(address)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("network.connect", process=pid)
    connection = event.connection
    assert (connection.family, connection.protocol, connection.socket_type) == ("inet", "tcp", "stream")
    assert (connection.direction, connection.fast_open) == ("outbound", False)
    assert (connection.remote_ip, connection.remote_port) == address
    assert connection.local_ip == "127.0.0.1"
    assert connection.local_port > 0
    assert (connection.cookie or 0) > 0 or not EVERY_SOCKET_HAS_A_COOKIE
    assert event.process.process_id == pid
    assert event.target.name == f"127.0.0.1:{address[1]}"
    assert (event.syscall.name, event.syscall.compat, event.syscall.io_uring) == ("connect", False, False)
    assert event.syscall.error is None


def test_an_ipv6_connect_tells_its_address_and_a_mapped_one_is_ipv4(watch, in_child, listener, listener6):
    watching = watch("network.connect")
    port, port6 = listener.getsockname()[1], listener6.getsockname()[1]

    def act():
        with socket.socket(socket.AF_INET6) as its:
            its.connect(("::1", port6))
        with socket.socket(socket.AF_INET6) as its:
            its.connect(("::ffff:127.0.0.1", port))

    pid, status = in_child(act)
    assert status == 0
    six, mapped = watching.events("network.connect", process=pid, count=2)
    assert (six.connection.family, six.connection.remote_ip, six.connection.remote_port) == ("inet6", "::1", port6)
    assert (mapped.connection.family, mapped.connection.remote_ip, mapped.connection.remote_port) == ("inet", "127.0.0.1", port)


def test_the_unspecified_address_is_told_as_the_loopback_that_it_means(watch, in_child, listener):
    watching = watch("network.connect")
    port = listener.getsockname()[1]

    def act():
        with socket.socket() as its:
            its.connect((ANY, port))
        with socket.socket(socket.AF_INET, UDP) as its:
            its.connect((ANY, port))
        with socket.socket(socket.AF_INET6, UDP) as its:
            its.connect(("::", port))

    pid, status = in_child(act)
    assert status == 0
    found = watching.events("network.connect", process=pid, count=3)
    assert [event.connection.remote_ip for event in found] == ["127.0.0.1", "127.0.0.1", "::1"]


def test_a_send_that_opens_the_connection_is_told_as_a_connect(watch, in_child, listener):
    watching = watch("network.connect")
    address = listener.getsockname()

    def act():
        with socket.socket() as its:
            its.sendto(b"at once", MSG_FASTOPEN, address)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("network.connect", process=pid)
    assert (event.connection.remote_ip, event.connection.remote_port, event.connection.fast_open) == (*address, True)
    assert event.syscall.name == "sendto"


def test_a_connect_that_does_not_wait_is_told_before_it_is_answered(watch, in_child):
    watching = watch("network.connect", "network.close")
    port = unused_port()

    def act():
        with socket.socket() as its:
            its.setblocking(False)
            assert its.connect_ex(("127.0.0.1", port)) == errno.EINPROGRESS

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("network.connect", process=pid)
    assert event.connection.remote_port == port
    (end,) = watching.events("network.close", process=pid)
    assert (end.syscall.error, end.connection.cookie) == ("ECONNREFUSED", event.connection.cookie)
    assert (end.outcome.status, end.connection.bytes_sent) == ("failure", None)


def test_a_datagram_socket_that_is_connected_is_told(watch, in_child):
    watching = watch("network.connect")

    def act():
        with socket.socket(socket.AF_INET, UDP) as its:
            its.connect(("127.0.0.1", 4001))
        with socket.socket(socket.AF_INET6, UDP) as its:
            its.connect(("::ffff:127.0.0.1", 4002))
        with socket.socket(socket.AF_INET6, UDP) as its:
            its.connect(("::1", 4003))
        with socket.socket(socket.AF_INET6, UDP) as its:  # an address of IPv4, longer than one
            address = struct.pack("<H", socket.AF_INET) + struct.pack(">H", 4004) + socket.inet_aton("127.0.0.1") + bytes(20)
            assert libc.connect(its.fileno(), address, 28) == 0

    pid, status = in_child(act)
    assert status == 0
    found = [event.connection for event in watching.events("network.connect", process=pid, count=4)]
    assert [(one.family, one.remote_ip, one.remote_port) for one in found] == [
        ("inet", "127.0.0.1", 4001),
        ("inet", "127.0.0.1", 4002),
        ("inet6", "::1", 4003),
        ("inet", "127.0.0.1", 4004),
    ]
    assert {(one.protocol, one.socket_type, one.direction) for one in found} == {("udp", "datagram", "outbound")}


def test_a_listener_and_who_accepts_are_told(watch, in_child):
    watching = watch("network.listen", "network.accept")
    reading, writing = os.pipe()

    def act():
        with socket.socket() as its:
            its.bind(("127.0.0.1", 0))
            its.listen()
            os.write(writing, str(its.getsockname()[1]).encode())
            its.accept()

    def serve():
        nonlocal pid
        pid, _ = in_child(act)

    pid = 0
    thread = threading.Thread(target=serve)
    thread.start()
    port = int(os.read(reading, 10))
    with socket.create_connection(("127.0.0.1", port)) as client:
        thread.join()
        (listens,) = watching.events("network.listen", process=pid)
        (accepted,) = watching.events("network.accept", process=pid)
        own = client.getsockname()
    connection = listens.connection
    assert (connection.local_ip, connection.local_port, connection.remote_ip, connection.remote_port) == ("127.0.0.1", port, None, None)
    assert (connection.protocol, connection.direction, listens.syscall.name) == ("tcp", None, "listen")
    connection = accepted.connection
    assert (connection.direction, connection.protocol) == ("inbound", "tcp")
    assert (connection.local_ip, connection.local_port) == ("127.0.0.1", port)
    assert (connection.remote_ip, connection.remote_port) == own
    assert accepted.origin.ip == "127.0.0.1"
    assert accepted.syscall.name in ("accept", "accept4")
    assert (connection.cookie or 0) > 0 or not EVERY_SOCKET_HAS_A_COOKIE


def test_what_a_quiet_process_does_is_not_told(watch, listener):
    watching = watch("network.connect", "network.accept", "network.send", "network.close", "network.socket")
    watching.sensor.keep_quiet(os.getpid())
    with socket.create_connection(listener.getsockname()), listener.accept()[0], socket.socket(socket.AF_INET, UDP) as its:
        its.sendto(b"x", ("127.0.0.1", 4040))
        its.connect(("127.0.0.1", 4041))
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    for kind in ("network.connect", "network.accept", "network.send", "network.close", "network.socket"):
        watching.nothing(kind, process=os.getpid(), wait=0.1)


@pytest.mark.parametrize("flags", [0, ring.SQPOLL], ids=["submitted", "taken by the kernel's thread"])
def test_a_connect_through_an_io_uring_is_told_and_says_so(watch, in_child, listener, flags):
    watching = watch("network.connect")
    port = listener.getsockname()[1]

    def act():
        try:
            made = ring.IoUring(flags)
        except OSError:
            os._exit(NO_RING)
        address = ctypes.create_string_buffer(inet_address("127.0.0.1", port), 16)
        with socket.socket() as its:
            assert made.submit(ring.CONNECT, fd=its.fileno(), address=ctypes.addressof(address), offset=16) == 0

    pid, status = in_child(act)
    if status == NO_RING:
        pytest.skip("this kernel has no io_uring, or not for us")
    assert status == 0
    (event,) = watching.events("network.connect", process=pid)
    assert (event.connection.remote_ip, event.connection.remote_port) == ("127.0.0.1", port)
    assert (event.syscall.io_uring, event.syscall.name) == (True, None)


def test_32_bit_calls_are_told_and_say_so(watch, in_child, listener):
    watching = watch("network.connect", "network.send", "network.socket")
    port = listener.getsockname()[1]

    def act():
        compat = Compat()
        low = compat.text(inet_address("127.0.0.1", port))
        with socket.socket() as its:
            assert compat.call(COMPAT_CONNECT, its.fileno(), low, 16) == 0
        with socket.socket(socket.AF_INET, UDP) as its:
            assert compat.call(COMPAT_CONNECT, its.fileno(), low, 16) == 0
        words = struct.pack("<III", socket.AF_INET, socket.SOCK_STREAM, 0)
        number = compat.call(COMPAT_SOCKETCALL, 1, compat.text(words))
        assert number > 0
        assert compat.call(COMPAT_SOCKETCALL, 3, compat.text(struct.pack("<III", number, low, 16))) == 0
        assert compat.call(COMPAT_SOCKET, socket.AF_INET, socket.SOCK_RAW, 1) > 0

    try:
        pid, status = in_child(act)
    except OSError as error:
        pytest.skip(str(error))
    assert status == 0
    found = watching.events("network.connect", process=pid, count=3)
    assert [(event.connection.protocol, event.connection.remote_port) for event in found] == [("tcp", port), ("udp", port), ("tcp", port)]
    assert {event.syscall.compat for event in found} == {True}
    assert [event.syscall.name for event in found] == ["connect", None, "connect"]
    (raw,) = watching.events("network.socket", process=pid)
    assert (raw.syscall.compat, raw.connection.raw_protocol) == (True, 1)


def test_every_socket_call_behind_the_32_bit_one_is_told(watch, in_child, tmp_path):
    watching = watch("network.connect", "network.listen", "network.accept", "network.send", "network.socket", "descriptor.receive")
    port = unused_port(UDP)

    def act():
        compat = Compat()
        own, other = socket.socketpair(socket.AF_UNIX, UDP)
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(str(tmp_path / "bound"))
        bound.listen()
        socket.send_fds(other, [b"x"], [other.fileno()])

        def socketcall(which, *words):
            return compat.call(COMPAT_SOCKETCALL, which, compat.text(struct.pack(f"<{len(words)}I", *words)))

        assert socketcall(1, socket.AF_INET, socket.SOCK_RAW, 1) > 0
        path = socketcall(1, socket.AF_UNIX, socket.SOCK_STREAM, 0)
        name = struct.pack("<H", socket.AF_UNIX) + os.fsencode(tmp_path / "bound")
        assert socketcall(3, path, compat.text(name), len(name)) == 0
        datagram = socketcall(1, socket.AF_INET, UDP, 0)
        assert socketcall(11, datagram, compat.text(b"hello"), 5, 0, compat.text(inet_address("127.0.0.1", port)), 16) == 5
        listening = socketcall(1, socket.AF_INET, socket.SOCK_STREAM, 0)
        assert socketcall(2, listening, compat.text(inet_address("127.0.0.1", 0)), 16) == 0
        assert socketcall(4, listening, 1) == 0
        with socket.create_connection(socket.socket(fileno=os.dup(listening)).getsockname()):
            assert socketcall(5, listening, 0, 0) > 0
        vector = compat.text(struct.pack("<II", compat.text(b" " * 8), 8))
        message = compat.text(struct.pack("<IIIIIII", 0, 0, vector, 1, compat.text(b" " * 64), 64, 0))
        assert socketcall(17, own.fileno(), message, 0) == 1

    try:
        pid, status = in_child(act)
    except OSError as error:
        pytest.skip(str(error))
    assert status == 0
    called = {}
    for kind in ("network.socket", "network.send", "network.listen", "network.accept", "descriptor.receive"):
        (event,) = watching.events(kind, process=pid)
        called[kind] = (event.syscall.name, event.syscall.compat)
    assert called == {
        "network.socket": ("socket", True),
        "network.send": (None, True),
        "network.listen": ("listen", True),
        "network.accept": ("accept", True),
        "descriptor.receive": ("recvmsg", True),
    }
    (by_path,) = watching.events("network.connect", process=pid, where=lambda event: event.connection.family == "unix")
    assert by_path.connection.unix_path == str(tmp_path / "bound")


def test_who_accepts_is_told_when_nothing_else_is_asked_for(watch, listener):
    watching = watch("network.accept")
    with socket.create_connection(listener.getsockname()):
        its, _ = listener.accept()
        with its:
            (event,) = watching.events("network.accept", process=os.getpid())
            assert event.connection.cookie == (cookie_of(its) if EVERY_SOCKET_HAS_A_COOKIE else None)


def test_a_connection_in_another_network_namespace_is_told(watch, in_child):
    watching = watch("network.connect")

    def act():
        assert libc.unshare(CLONE_NEWNET) == 0
        bring_up_loopback()
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 4444))
            listening.listen()
            socket.create_connection(("127.0.0.1", 4444)).close()

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("network.connect", process=pid)
    assert (event.connection.remote_ip, event.connection.remote_port) == ("127.0.0.1", 4444)


def test_a_connect_whose_address_changes_meanwhile_is_told_by_the_kernels_copy(watch, in_child):
    watching = watch("network.connect")
    rounds = 2000
    reading, told = os.pipe()

    def act():
        one, two = (struct.pack("<H", 2) + struct.pack(">H", 4030) + socket.inet_aton(ip) + bytes(8) for ip in ("127.0.0.1", "127.0.0.2"))
        address = ctypes.create_string_buffer(one, 16)
        stop = threading.Event()

        def flip():
            while not stop.is_set():
                ctypes.memmove(address, two, 16)
                ctypes.memmove(address, one, 16)

        thread = threading.Thread(target=flip)
        thread.start()
        for _ in range(rounds):
            with socket.socket(socket.AF_INET, UDP) as its:
                libc.connect(its.fileno(), address, 16)
                os.write(told, socket.inet_aton(its.getpeername()[0]))
        stop.set()
        thread.join()

    pid, status = in_child(act)
    assert status == 0
    seen = os.read(reading, 4 * rounds)
    found = watching.events("network.connect", process=pid, count=rounds)
    real = [socket.inet_ntoa(seen[at : at + 4]) for at in range(0, len(seen), 4)]
    assert set(real) == {"127.0.0.1", "127.0.0.2"}
    assert [event.connection.remote_ip for event in found] == real
