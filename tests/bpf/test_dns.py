"""What processes ask name servers, over UDP and TCP, and the answers; the name server is one of our own in a network namespace."""

import contextlib
import os
import socket
import struct
import threading
import time

import pytest
from tests.bpf.agents import a_rule
from tests.bpf.sockets import CLONE_NEWNET, UDP, bring_up_loopback, libc

UDP_SEGMENT = 103
SOL_UDP = 17
A, TXT = 1, 16


def question(name, kind=A):
    labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b"."))
    return struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, kind, 1)


def answer(asked, *addresses, texts=()):
    records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", A, 1, 60, 4) + socket.inet_aton(one) for one in addresses)
    records += b"".join(b"\xc0\x0c" + struct.pack(">HHIHB", TXT, 1, 60, len(one) + 1, len(one)) + one for one in texts)
    return asked[:2] + struct.pack(">HHHHH", 0x8180, 1, len(addresses) + len(texts), 0, 0) + asked[12:] + records


def with_length(message):
    return struct.pack(">H", len(message)) + message


def serve(family, host, *, texts=()):
    """A name server for one question over UDP and connections over TCP, in threads of this process; its sockets are open when this returns."""
    datagrams, stream = socket.socket(family, UDP), socket.socket(family)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    datagrams.bind((host, 53))
    stream.bind((host, 53))
    stream.listen()

    def by_datagram():
        while True:
            asked, sender = datagrams.recvfrom(4096)
            datagrams.sendto(answer(asked, "192.0.2.1", "192.0.2.2", texts=texts), sender)

    def by_stream():
        while True:
            its, _ = stream.accept()
            with its:
                while length := its.recv(2, socket.MSG_WAITALL):
                    asked = its.recv(struct.unpack(">H", length)[0], socket.MSG_WAITALL)
                    its.sendall(with_length(answer(asked, "192.0.2.3", texts=texts)))

    for act in (by_datagram, by_stream):
        threading.Thread(target=act, daemon=True).start()


@pytest.fixture
def in_namespace(in_child):
    """Runs `act` in a child with a network namespace of its own, where a process of its own is the name server."""

    def run(act, family=socket.AF_INET, host="127.0.0.53", **options):
        assert libc.unshare(CLONE_NEWNET) == 0
        bring_up_loopback()
        ready, told = os.pipe()
        server = os.fork()
        if server == 0:
            try:
                serve(family, host, **options)
                os.write(told, b".")
                time.sleep(20)
            finally:
                os._exit(0)
        os.read(ready, 1)
        servers.append(server)
        return (*in_child(act), server)

    servers = []
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    yield run
    libc.setns(own, CLONE_NEWNET)
    os.close(own)
    for server in servers:
        os.kill(server, 9)
        os.waitpid(server, 0)


def ask(message, family=socket.AF_INET, host="127.0.0.53", *, connect=False):
    with socket.socket(family, UDP) as its:
        if connect:
            its.connect((host, 53))
            its.send(message)
        else:
            its.sendto(message, (host, 53))
        return its.recv(4096)


@pytest.mark.parametrize("connect", [False, True], ids=["by sendto", "by connect and send"])
def test_a_question_over_udp_and_its_answer_are_told_of_who_asked(watch, in_namespace, connect):
    watching = watch("dns.question", "dns.answer")
    pid, status, server = in_namespace(lambda: ask(question("Www.Example.com"), connect=connect))
    assert status == 0
    (asked,) = watching.events("dns.question", process=pid)
    dns = asked.dns
    assert (dns.question, dns.type, dns.transport, dns.question_length) == ("www.example.com", "A", "udp", 15)
    assert (dns.server_ip, dns.server_port, dns.response_code, dns.truncated) == ("127.0.0.53", 53, None, False)
    assert (dns.addresses, dns.time_to_live) == (None, None)
    connection = asked.connection
    assert (connection.protocol, connection.direction, connection.remote_ip, connection.remote_port) == ("udp", "outbound", "127.0.0.53", 53)
    assert asked.target.name == "www.example.com"
    assert asked.process.process_id == pid
    (answered,) = watching.events("dns.answer", process=pid)
    dns = answered.dns
    assert (dns.question, dns.response_code, dns.addresses, dns.aliases, dns.texts) == ("www.example.com", "NOERROR", ["192.0.2.1", "192.0.2.2"], [], [])
    assert (dns.time_to_live, dns.server_ip, dns.server_port, dns.transport, dns.truncated) == (60, "127.0.0.53", 53, "udp", False)
    assert answered.connection.cookie == asked.connection.cookie > 0
    watching.nothing("dns.question", process=server)
    watching.nothing("dns.answer", process=server)


def test_a_question_over_ipv6_is_told(watch, in_namespace):
    watching = watch("dns.question", "dns.answer")
    pid, status, _ = in_namespace(lambda: ask(question("six.example"), socket.AF_INET6, "::1"), socket.AF_INET6, "::1")
    assert status == 0
    (asked,) = watching.events("dns.question", process=pid)
    assert (asked.dns.question, asked.dns.server_ip, asked.connection.family) == ("six.example", "::1", "inet6")
    assert watching.events("dns.answer", process=pid)[0].dns.addresses == ["192.0.2.1", "192.0.2.2"]


def test_a_question_behind_extension_headers_is_told(watch, in_namespace):
    watching = watch("dns.question")

    def act():
        with socket.socket(socket.AF_INET6, UDP) as its:
            its.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0]))
            its.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0]))
            its.sendto(question("behind.example"), ("::1", 53))
            its.recv(4096)

    pid, status, _ = in_namespace(act, socket.AF_INET6, "::1")
    assert status == 0
    (asked,) = watching.events("dns.question", process=pid)
    assert (asked.dns.question, asked.dns.server_port) == ("behind.example", 53)


def test_a_question_to_a_mapped_address_is_told_as_ipv4(watch, in_namespace):
    watching = watch("dns.question", "dns.answer")
    pid, status, _ = in_namespace(lambda: ask(question("mapped.example"), socket.AF_INET6, "::ffff:127.0.0.53"))
    assert status == 0
    (asked,) = watching.events("dns.question", process=pid)
    assert (asked.dns.server_ip, asked.connection.family) == ("127.0.0.53", "inet")
    watching.events("dns.answer", process=pid)


def test_questions_over_tcp_are_told_however_they_are_cut(watch, in_namespace):
    watching = watch("dns.question", "dns.answer")
    names = ["whole.example", "apart.example", "first.example", "second.example"]

    def act():
        with socket.create_connection(("127.0.0.53", 53)) as its:
            its.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            its.sendall(with_length(question(names[0])))
            its.recv(4096)
            its.sendall(with_length(question(names[1]))[:2])  # the length by itself
            time.sleep(0.05)
            its.sendall(question(names[1]))
            its.recv(4096)
            its.sendall(with_length(question(names[2])) + with_length(question(names[3])))  # two at once
            time.sleep(0.2)
            its.recv(4096)

    pid, status, _ = in_namespace(act)
    assert status == 0
    asked = watching.events("dns.question", process=pid, count=4)
    assert [event.dns.question for event in asked] == names
    assert {(event.dns.transport, event.dns.server_ip, event.connection.protocol) for event in asked} == {("tcp", "127.0.0.53", "tcp")}
    answered = watching.events("dns.answer", process=pid, count=4)
    assert [event.dns.question for event in answered] == names
    assert answered[0].dns.addresses == ["192.0.2.3"]
    assert watching.sensor.losses() == {}


def test_a_question_that_comes_in_two_parts_is_told_as_cut(watch, in_namespace):
    watching = watch("dns.question")

    def act():
        with socket.create_connection(("127.0.0.53", 53)) as its:
            its.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            whole = with_length(question("divided.example"))
            its.sendall(whole[:20])
            time.sleep(0.05)
            its.sendall(whole[20:])
            its.recv(4096)
            its.sendall(with_length(question("next.example")))
            its.recv(4096)

    pid, status, _ = in_namespace(act)
    assert status == 0
    divided, following = watching.events("dns.question", process=pid, count=2)
    assert (divided.dns.question, divided.dns.truncated) == (None, True)
    assert (following.dns.question, following.dns.truncated) == ("next.example", False)


def test_a_stream_whose_messages_cannot_be_told_apart_is_counted(watch, in_namespace):
    watching = watch("dns.question")

    def act():
        with socket.create_connection(("127.0.0.53", 53)) as its:
            its.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in with_length(question("drop.by.drop")):
                its.sendall(bytes([byte]))
                time.sleep(0.002)
            its.recv(4096)

    pid, status, _ = in_namespace(act)
    assert status == 0
    watching.nothing("dns.question", process=pid)
    assert [(kind, cause) for kind, cause, _ in watching.sensor.losses()] == [("dns.question", "decode")]


def test_a_long_answer_is_cut_and_says_so(watch, in_namespace):
    watching = watch("dns.answer")
    texts = [bytes([letter]) * 250 for letter in b"abcdefgh"]
    pid, status, _ = in_namespace(lambda: ask(question("long.example", TXT)), texts=texts)
    assert status == 0
    (answered,) = watching.events("dns.answer", process=pid)
    assert (answered.dns.question, answered.dns.type, answered.dns.truncated) == ("long.example", "TXT", True)
    assert answered.dns.texts[:3] == [one.decode() for one in texts[:3]]
    assert len(answered.dns.texts) < len(texts)


def test_questions_that_are_handed_over_as_one_packet_are_all_told(watch, in_namespace):
    watching = watch("dns.question")
    names = ["one.example", "two.example", "six.example"]

    def act():
        with socket.socket(socket.AF_INET, UDP) as its:
            messages = [question(name) for name in names]
            its.setsockopt(SOL_UDP, UDP_SEGMENT, len(messages[0]))
            its.sendto(b"".join(messages), ("127.0.0.53", 53))

    pid, status, _ = in_namespace(act)
    assert status == 0
    assert [event.dns.question for event in watching.events("dns.question", process=pid, count=3)] == names


def test_a_socket_that_changes_hands_is_answered_to_who_asked_last(watch, in_namespace):
    watching = watch("dns.question", "dns.answer")

    def act():
        with socket.socket(socket.AF_INET, UDP) as its:
            its.sendto(question("parent.example"), ("127.0.0.53", 53))
            its.recv(4096)
            child = os.fork()
            if child == 0:
                its.sendto(question("child.example"), ("127.0.0.53", 53))
                its.recv(4096)
                os._exit(0)
            os.waitpid(child, 0)

    pid, status, _ = in_namespace(act)
    assert status == 0
    (asked,) = watching.events("dns.question", where=lambda event: event.dns.question == "child.example")
    (answered,) = watching.events("dns.answer", where=lambda event: event.dns.question == "child.example")
    assert asked.process.process_id == answered.process.process_id != pid
    assert asked.process.parent.process_id == pid


def test_what_is_no_message_and_other_ports_do_no_harm(watch, in_namespace):
    watching = watch("dns.question")

    def act():
        with socket.socket(socket.AF_INET, UDP) as its:
            its.sendto(b"", ("127.0.0.53", 53))
            its.sendto(b"short", ("127.0.0.53", 53))
            its.sendto(os.urandom(60), ("127.0.0.53", 53))
            its.sendto(question("other.port"), ("127.0.0.53", 5353))
        ask(question("after.example"))

    pid, status, _ = in_namespace(act)
    assert status == 0
    asked = watching.events("dns.question", process=pid, count=2)
    assert asked[-1].dns.question == "after.example"
    assert len(asked) == 2


def test_the_programs_deny_nothing(watch, in_namespace):
    watching = watch("dns.question", "dns.answer", "network.connect", "network.send")

    def act():
        for _ in range(200):
            assert ask(question("busy.example"))

    pid, status, _ = in_namespace(act)
    assert status == 0
    assert len(watching.events("dns.question", process=pid, count=200)) == 200
    assert watching.sensor.reasons == []


def test_a_connection_tells_the_name_that_its_address_was_asked_for(judging, in_namespace):
    rules = (
        a_rule("named", 'connection.remote_name == "pool.example.com"', on="network.connect", more='  message: "{connection.remote_ip}"\n'),
        a_rule("unnamed", 'connection.remote_ip == "192.0.2.9" && !has(connection.remote_name)', on="network.connect"),
    )
    watching = judging(*rules)

    def act():
        ask(question("pool.example.com"))
        for address in ("192.0.2.2", "192.0.2.9"):
            with socket.socket(socket.AF_INET, UDP) as its, contextlib.suppress(OSError):  # no way leads there
                its.connect((address, 3333))

    _, status, _ = in_namespace(act)
    assert status == 0
    assert watching.found("named")[0].message == "192.0.2.2"
    assert watching.found("unnamed")[0].unresolved == ()
