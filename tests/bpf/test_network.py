"""Connections, datagrams and unusual sockets."""

import ctypes
import errno
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from tests.bpf import ring
from tests.bpf.calls import Compat

MSG_FASTOPEN = 0x20000000
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
COMPAT_SOCKETCALL, COMPAT_SOCKET, COMPAT_CONNECT = 102, 359, 362
NO_RING = 77
AF_ALG, AF_VSOCK, NETLINK_AUDIT = 38, 40, 9
SO_COOKIE = 57
UDP = socket.SOCK_DGRAM
ANY = "0.0.0.0"  # noqa: S104 (connected to, never bound)

libc = ctypes.CDLL(None, use_errno=True)


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


def cookie_of(its):
    return struct.unpack("<Q", its.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]


def unused_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as its:
        its.bind(("127.0.0.1", 0))
        return its.getsockname()[1]


def to_port(port):
    return lambda event: event.connection.remote_port == port


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
    assert connection.cookie > 0
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


def test_an_attempt_that_is_given_up_says_so(watch, in_child):
    watching = watch("network.close")

    def act():
        assert libc.unshare(CLONE_NEWNET) == 0
        bring_up_loopback()
        with socket.socket() as listening, socket.socket() as its:
            listening.bind(("127.0.0.1", 0))
            listening.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for one in fillers:  # the queue of the listener is full: nobody answers
                one.setblocking(False)
                one.connect_ex(listening.getsockname())
            its.setblocking(False)
            its.connect_ex(listening.getsockname())

    pid, status = in_child(act)
    assert status == 0
    given_up = watching.events("network.close", process=pid, where=lambda event: event.syscall.error == "ECANCELED")
    assert given_up[0].connection.bytes_sent is None


def test_a_connect_with_no_family_opens_nothing(watch, in_child, listener):
    watching = watch("network.connect", "network.close")
    address = listener.getsockname()

    def act():
        with socket.socket() as its:
            its.connect(address)
            its.send(b"12345")
            time.sleep(0.05)
            assert libc.connect(its.fileno(), bytes(16), 16) == 0  # AF_UNSPEC: the connection is dropped
            its.connect(address)
        with socket.socket(socket.AF_INET, UDP) as its:
            its.connect(address)
            assert libc.connect(its.fileno(), bytes(16), 16) == 0

    pid, status = in_child(act)
    assert status == 0
    opened = watching.events("network.connect", process=pid, count=3)
    assert [event.connection.protocol for event in opened] == ["tcp", "tcp", "udp"]
    ended = watching.events("network.close", process=pid, count=2)
    assert ended[0].connection.bytes_sent == 5
    watching.nothing("network.connect", process=pid, where=lambda event: event.connection.remote_ip is None)


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
    assert connection.cookie > 0


@pytest.mark.parametrize("first", ["client", "server"], ids=lambda first: f"{first} closes first")
def test_a_close_tells_bytes_and_duration_of_both_sides(watch, in_child, listener, first):
    watching = watch("network.connect", "network.accept", "network.close")
    address = listener.getsockname()

    def client():
        with socket.create_connection(address) as its:
            its.sendall(b"q" * 1000)
            assert len(its.recv(1 << 16, socket.MSG_WAITALL if first == "server" else 0)) > 0
            if first == "client":
                time.sleep(0.1)

    def server():
        its, _ = listener.accept()
        got = 0
        while got < 1000:
            got += len(its.recv(1 << 16))
        its.sendall(b"a" * 300)
        if first == "client":
            assert its.recv(1) == b""
        its.close()

    thread = threading.Thread(target=server)
    thread.start()
    pid, status = in_child(client)
    thread.join()
    assert status == 0
    (opened,) = watching.events("network.connect", process=pid)
    (theirs,) = watching.events("network.close", process=pid)
    (ours,) = watching.events("network.close", process=os.getpid())
    assert (theirs.connection.bytes_sent, theirs.connection.bytes_received) == (1000, 300)
    assert (ours.connection.bytes_sent, ours.connection.bytes_received) == (300, 1000)
    assert (theirs.connection.direction, ours.connection.direction) == ("outbound", "inbound")
    assert theirs.connection.cookie == opened.connection.cookie != ours.connection.cookie
    assert (theirs.connection.remote_ip, theirs.connection.remote_port) == address
    assert theirs.connection.local_port == ours.connection.remote_port
    assert 0 < float(theirs.connection.duration.removesuffix("s")) < 5
    assert (theirs.syscall.error, ours.syscall.error) == (None, None)


def test_a_reset_tells_the_error_and_the_bytes(watch, in_child, listener):
    watching = watch("network.close")
    address = listener.getsockname()

    def client():
        with socket.create_connection(address) as its:
            its.sendall(b"q" * 10)
            time.sleep(0.3)

    def server():
        its, _ = listener.accept()
        its.recv(10)
        its.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        its.close()

    thread = threading.Thread(target=server)
    thread.start()
    pid, status = in_child(client)
    thread.join()
    assert status == 0
    (event,) = watching.events("network.close", process=pid)
    assert (event.syscall.error, event.connection.bytes_sent, event.connection.bytes_received) == ("ECONNRESET", 10, 0)
    (ours,) = watching.events("network.close", process=os.getpid())
    assert (ours.connection.bytes_sent, ours.connection.bytes_received) == (0, 10)


def test_a_connection_older_than_the_sensor_is_told_of_who_closes_it(watch, listener):
    with socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        watching = watch("network.close")
        client.sendall(b"later")
        server.recv(5)
        server.close()
        port = client.getsockname()[1]
        client.close()
    found = watching.events("network.close", process=os.getpid(), count=2)
    assert {event.connection.local_port for event in found} == {port, listener.getsockname()[1]}
    assert {event.connection.duration for event in found} == {None}


def test_a_connection_that_nobody_accepted_is_no_connection_of_a_process(watch, listener, in_child):
    watching = watch("network.close")
    before = watching.sensor.losses()

    def act():
        with socket.create_connection(listener.getsockname()) as its:
            its.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    pid, _ = in_child(act)
    watching.events("network.close", process=pid)
    watching.nothing("network.close", where=lambda event: event.connection.local_port == listener.getsockname()[1])
    assert watching.sensor.losses() == before


def test_the_first_datagram_to_an_address_is_told_and_no_other(watch, in_child):
    watching = watch("network.send")

    def act():
        with socket.socket(socket.AF_INET, UDP) as its, socket.socket(socket.AF_INET6, UDP) as six:
            for _ in range(3):
                its.sendto(b"x", ("127.0.0.1", 4010))
            its.sendto(b"x", ("127.0.0.1", 4011))
            its.sendto(b"x", ("127.0.0.2", 4010))
            six.sendto(b"x", ("::1", 4010))
            six.sendto(b"x", ("::ffff:127.0.0.1", 4010))  # the same as the first
            six.sendto(b"x", ("::ffff:127.0.0.3", 4010))
            its.sendmsg([b"x"], [], 0, (ANY, 4012))
            its.connect(("127.0.0.1", 4013))
            its.send(b"x")

    pid, status = in_child(act)
    assert status == 0
    found = [event.connection for event in watching.events("network.send", process=pid, count=6)]
    assert [(one.family, one.remote_ip, one.remote_port) for one in found] == [
        ("inet", "127.0.0.1", 4010),
        ("inet", "127.0.0.1", 4011),
        ("inet", "127.0.0.2", 4010),
        ("inet6", "::1", 4010),
        ("inet", "127.0.0.3", 4010),
        ("inet", "127.0.0.1", 4012),
    ]
    assert {(one.protocol, one.socket_type, one.direction) for one in found} == {("udp", "datagram", "outbound")}
    again, _ = in_child(act)
    assert len(watching.events("network.send", process=again, count=6)) == 6


def test_many_datagrams_of_one_call_and_one_without_a_family_are_told(watch, in_child):
    watching = watch("network.send")

    def act():
        with socket.socket(socket.AF_INET, UDP) as its:
            nameless = bytes(2) + struct.pack(">H", 4020) + socket.inet_aton("127.0.0.1") + bytes(8)
            assert libc.sendto(its.fileno(), b"x", 1, 0, nameless, 16) == 1
            send_many(its.fileno(), [("127.0.0.1", 4021), ("127.0.0.1", 4022)])

    pid, status = in_child(act)
    assert status == 0
    found = watching.events("network.send", process=pid, count=3)
    assert [(event.connection.family, event.connection.remote_port) for event in found] == [("inet", 4020), ("inet", 4021), ("inet", 4022)]


def send_many(number, addresses):
    """sendmmsg: one byte to each."""
    names = [struct.pack("<H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(ip) + bytes(8) for ip, port in addresses]
    buffers = [ctypes.create_string_buffer(name, 16) for name in names]
    content = ctypes.create_string_buffer(b"x", 1)
    vector = ctypes.create_string_buffer(struct.pack("<QQ", ctypes.addressof(content), 1))
    headers = b"".join(struct.pack("<QIxxxxQQQQixxxxIxxxx", ctypes.addressof(one), 16, ctypes.addressof(vector), 1, 0, 0, 0, 0) for one in buffers)
    table = ctypes.create_string_buffer(headers, len(headers))
    assert libc.sendmmsg(number, table, len(addresses), 0) == len(addresses)


@pytest.mark.parametrize(
    ("family", "kind", "protocol", "expected"),
    [
        (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP, {"family": "inet", "protocol": "raw", "socket_type": "raw", "raw_protocol": 1}),
        (socket.AF_INET6, socket.SOCK_RAW, 58, {"family": "inet6", "protocol": "raw", "socket_type": "raw", "raw_protocol": 58}),
        (socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800), {"family": "packet", "protocol": "raw", "socket_type": "raw", "raw_protocol": 0x800}),
        (socket.AF_PACKET, UDP, socket.htons(3), {"family": "packet", "protocol": "raw", "socket_type": "datagram", "raw_protocol": 3}),
        (socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT, {"family": "netlink", "protocol": "other", "netlink_family": "audit", "raw_protocol": None}),
        (socket.AF_NETLINK, UDP, 0, {"family": "netlink", "netlink_family": "route"}),
        (AF_ALG, socket.SOCK_SEQPACKET, 0, {"family": "alg", "protocol": "other", "socket_type": "seqpacket"}),
        (AF_VSOCK, socket.SOCK_STREAM, 0, {"family": "vsock", "protocol": "other", "socket_type": "stream"}),
    ],
)
def test_an_unusual_socket_is_told(watch, in_child, family, kind, protocol, expected):
    try:
        socket.socket(family, kind, protocol).close()
    except OSError as error:
        pytest.skip(f"this kernel has no such socket: {error}")
    watching = watch("network.socket")
    pid, status = in_child(lambda: socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol).close())
    assert status == 0
    (event,) = watching.events("network.socket", process=pid)
    assert {name: getattr(event.connection, name) for name in expected} == expected
    assert (event.connection.remote_ip, event.connection.local_ip) == (None, None)
    assert event.syscall.name == "socket"


def test_an_unusual_socket_that_is_denied_says_so_and_usual_ones_are_not_told(watch, in_child):
    watching = watch("network.socket")

    def act():
        for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, UDP), (socket.AF_UNIX, socket.SOCK_STREAM)):
            socket.socket(family, kind).close()
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(PermissionError):
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("network.socket", process=pid)
    assert (event.syscall.error, event.outcome.status, event.connection.raw_protocol) == ("EPERM", "denied", 6)
    watching.nothing("network.socket", process=pid, where=lambda event: event.syscall.error is None)


def test_a_unix_socket_is_told_by_its_directory_entry(watch, in_child, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    with socket.socket(socket.AF_UNIX) as its:
        its.bind(str(tmp_path / "deep" / "its.sock"))
        its.listen()
        watching = watch("network.connect")

        def act():
            os.chdir(tmp_path)
            for name in ("link/its.sock", f"/proc/self/root{tmp_path}/deep/its.sock", "deep/../deep/its.sock"):
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(name)

        pid, status = in_child(act)
    assert status == 0
    for event in watching.events("network.connect", process=pid, count=3):
        connection = event.connection
        assert connection.unix_path == str(tmp_path / "deep" / "its.sock")
        assert (connection.family, connection.protocol, connection.socket_type) == ("unix", "unix", "stream")
        assert (connection.direction, connection.runtime_socket, connection.remote_ip) == ("outbound", False, None)
        assert event.target.name == connection.unix_path
        assert event.syscall.name == "connect"


def test_a_runtimes_socket_is_known_by_the_name_that_it_was_bound_by(watch, in_child, tmp_path):
    with socket.socket(socket.AF_UNIX) as its, socket.socket(socket.AF_UNIX) as shim:
        bound = tmp_path / "docker.sock"
        its.bind(str(bound))
        its.listen()
        os.link(bound, tmp_path / "harmless")
        bound.unlink()
        name = f"\0/containerd-shim/{os.getpid()}/shim.sock"
        shim.bind(name)
        shim.listen()
        watching = watch("network.connect")

        def act():
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "harmless"))
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(name)

        pid, status = in_child(act)
    assert status == 0
    by_path, by_name = watching.events("network.connect", process=pid, count=2)
    assert (by_path.connection.unix_path, by_path.connection.runtime_socket) == (str(bound), True)  # the entry that was bound, not the link
    assert (by_name.connection.unix_path, by_name.connection.unix_abstract) == (None, name[1:])
    assert by_name.connection.runtime_socket is True


def test_a_runtimes_socket_that_is_mounted_elsewhere_is_told_by_its_own_path(watch, in_child, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    with socket.socket(socket.AF_UNIX) as its:
        its.bind(str(tmp_path / "run" / "containerd.sock"))
        its.listen()
        watching = watch("network.connect")

        def act():
            assert libc.unshare(CLONE_NEWNS) == 0
            assert libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
            assert libc.mount(bytes(tmp_path / "run"), bytes(tmp_path / "elsewhere"), None, MS_BIND, None) == 0
            os.chroot(tmp_path / "elsewhere")
            with socket.socket(socket.AF_UNIX) as client:
                client.connect("/containerd.sock")

        pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("network.connect", process=pid)
    assert (event.connection.unix_path, event.connection.runtime_socket) == (str(tmp_path / "run" / "containerd.sock"), True)


def test_what_a_quiet_process_does_is_not_told(watch, listener):
    watching = watch("network.connect", "network.accept", "network.send", "network.close", "network.socket")
    watching.sensor.keep_quiet(os.getpid())
    with socket.create_connection(listener.getsockname()), listener.accept()[0], socket.socket(socket.AF_INET, UDP) as its:
        its.sendto(b"x", ("127.0.0.1", 4040))
        its.connect(("127.0.0.1", 4041))
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    for kind in ("network.connect", "network.accept", "network.send", "network.close", "network.socket"):
        watching.nothing(kind, process=os.getpid(), wait=0.1)


def test_a_runtimes_socket_is_known_by_what_its_listener_runs(watch, in_child, tmp_path):
    runtime, path = tmp_path / "dockerd", tmp_path / "any.name"
    shutil.copy(os.path.realpath(sys.executable), runtime)
    code = f"import socket; s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); s.listen(); print(flush=True); s.accept()"
    with subprocess.Popen([sys.executable, "-SEc", code], executable=runtime, stdout=subprocess.PIPE) as server:
        server.stdout.readline()
        watching = watch("network.connect")

        def act():
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))

        pid, status = in_child(act)
    assert (status, server.returncode) == (0, 0)
    (event,) = watching.events("network.connect", process=pid)
    assert (event.connection.unix_path, event.connection.runtime_socket) == (str(path), True)


def inet_address(ip, port):
    return struct.pack("<H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(ip) + bytes(8)


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
    assert [event.syscall.name for event in found] == ["connect", None, None]
    (raw,) = watching.events("network.socket", process=pid)
    assert (raw.syscall.compat, raw.connection.raw_protocol) == (True, 1)


def test_who_accepts_is_told_when_nothing_else_is_asked_for(watch, listener):
    watching = watch("network.accept")
    with socket.create_connection(listener.getsockname()):
        its, _ = listener.accept()
        with its:
            (event,) = watching.events("network.accept", process=os.getpid())
            assert event.connection.cookie == cookie_of(its)


def test_datagrams_and_listeners_need_no_system_call_hook(watch):
    watching = watch("network.send", "network.listen")
    assert not watching.sensor.is_attached("dispatch")
    assert watching.sensor.blind_spots == []


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


def bring_up_loopback():
    with socket.socket(socket.AF_INET, UDP) as its:
        fcntl.ioctl(its, 0x8914, struct.pack("16sH22x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up, running


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
