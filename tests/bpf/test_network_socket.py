"""Datagrams, unusual sockets, unix sockets."""

import ctypes
import os
import shutil
import socket
import struct
import subprocess
import sys

import pytest
from tests.bpf.sockets import ANY, UDP, libc

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
AF_ALG, AF_VSOCK, NETLINK_AUDIT = 38, 40, 9


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


def test_datagrams_and_listeners_need_no_system_call_hook(watch):
    watching = watch("network.send", "network.listen")
    assert not watching.sensor.is_attached("dispatch")
    assert watching.sensor.reasons == []
