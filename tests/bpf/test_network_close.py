"""Connections that end, and attempts that came to nothing."""

import os
import random
import socket
import struct
import threading
import time

import pytest
from tests.bpf.sockets import CLONE_NEWNET, EVERY_SOCKET_HAS_A_COOKIE, UDP, bring_up_loopback, cookie_of, libc


@pytest.fixture
def listener():
    with socket.socket() as its:
        its.bind(("127.0.0.1", 0))
        its.listen(8)
        yield its


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
    assert theirs.connection.cookie == opened.connection.cookie
    assert theirs.connection.cookie != ours.connection.cookie or not EVERY_SOCKET_HAS_A_COOKIE
    assert (theirs.connection.remote_ip, theirs.connection.remote_port) == address
    assert theirs.connection.local_port == ours.connection.remote_port
    assert 0 < float(theirs.connection.duration.removesuffix("s")) < 5
    assert (theirs.syscall.error, ours.syscall.error) == (None, None)


def test_the_bytes_of_many_connections_at_once_are_right_however_they_end(watch, in_child):
    watching = watch("network.close")
    rounds, workers = 60, 4
    reading, told = os.pipe()

    def worker(seed):
        draw = random.Random(seed)
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            for _ in range(rounds):
                client = socket.create_connection(listening.getsockname())
                server, _ = listening.accept()
                there, back = draw.randrange(1, 5000), draw.randrange(1, 5000)
                client.sendall(bytes(there))
                server.sendall(bytes(back))
                order = [client, server] if draw.random() < 0.5 else [server, client]
                if draw.random() < 0.5:
                    order[0].shutdown(socket.SHUT_WR)
                client.recv(back, socket.MSG_WAITALL)
                server.recv(there, socket.MSG_WAITALL)
                os.write(told, struct.pack("<QQQQ", cookie_of(client), there, cookie_of(server), back))
                for one in order:
                    one.close()

    def act():
        children = []
        for seed in range(workers):
            child = os.fork()
            if child == 0:
                worker(seed)
                os._exit(0)
            children.append(child)
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * workers

    _, status = in_child(act)
    assert status == 0
    sent = {}
    for _ in range(rounds * workers):
        client, there, server, back = struct.unpack("<QQQQ", os.read(reading, 32))
        sent[client], sent[server] = (there, back), (back, there)
    programs = ("network_open", "network_close")
    found = watching.events("network.close", where=lambda event: event.connection.cookie in sent, count=len(sent), by=programs)
    told = {event.connection.cookie: (event.connection.bytes_sent, event.connection.bytes_received) for event in found}
    wrong = {cookie: counts for cookie, counts in told.items() if counts != sent[cookie]}
    assert len(wrong) <= watching.sensor.skipped_since("network_open")  # nobody saw whose the first packet was, which counts as a byte
    assert all(counts == (sent[cookie][0] + 1, sent[cookie][1]) for cookie, counts in wrong.items())
    assert len(told) >= len(sent) - watching.sensor.skipped_since(*programs)
    assert {event.syscall.error for event in found} == {None}


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

    def act():
        with socket.create_connection(listener.getsockname()) as its:
            its.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def nothing_is_lost():
        before = watching.sensor.losses()
        pid, _ = in_child(act)
        watching.events("network.close", process=pid)
        watching.nothing("network.close", where=lambda event: event.connection.local_port == listener.getsockname()[1])
        return watching.sensor.losses() == before

    assert any(nothing_is_lost() for _ in range(4))  # older connections of others may end at the same time, which is counted
