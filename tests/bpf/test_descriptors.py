"""Descriptors that change hands or place."""

import array
import ctypes
import os
import socket
import struct

NR_PIDFD_OPEN, NR_PIDFD_GETFD, NR_RECVMMSG = 434, 438, 299
F_DUPFD = 0

libc = ctypes.CDLL(None, use_errno=True)


def connected():
    """Both ends of a TCP connection on the loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    return client, server


def test_a_network_socket_on_standard_input_tells_both_ends(watch, in_child):
    client, server = connected()
    watching = watch("descriptor.duplicate")
    pid, _ = in_child(lambda: os.dup2(client.fileno(), 0))
    (event,) = watching.events("descriptor.duplicate", process=pid)
    descriptor, connection = event.descriptor, event.connection
    assert (descriptor.number, descriptor.from_number, descriptor.type, descriptor.onto) == (0, client.fileno(), "socket", "stdin")
    assert (connection.family, connection.protocol, connection.socket_type) == ("inet", "tcp", "stream")
    assert (connection.local_ip, connection.local_port) == client.getsockname()
    assert (connection.remote_ip, connection.remote_port) == server.getsockname()
    assert event.file.path is None
    assert event.syscall.name in ("dup2", "dup3")
    client.close()
    server.close()


def test_every_way_to_duplicate_onto_the_standard_descriptors_is_told(watch, in_child):
    client, server = connected()
    number = client.fileno()
    watching = watch("descriptor.duplicate")

    def by_dup():
        os.close(0)
        os.dup(number)

    def by_fcntl():
        os.close(1)
        assert libc.fcntl(number, F_DUPFD, 1) == 1

    for act, onto, calls in (
        (by_dup, "stdin", {"dup", "fcntl"}),
        (lambda: os.dup2(number, 2, inheritable=False), "stderr", {"dup3"}),
        (by_fcntl, "stdout", {"fcntl"}),
    ):
        pid, status = in_child(act)
        assert status == 0
        (event,) = watching.events("descriptor.duplicate", process=pid)
        assert (event.descriptor.onto, event.connection.remote_port) == (onto, server.getsockname()[1])
        assert event.syscall.name in calls
    client.close()
    server.close()


def test_a_mapped_ipv4_peer_is_told_as_ipv4(watch, in_child):
    with socket.socket() as listener, socket.socket(socket.AF_INET6) as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        client.connect(("::ffff:127.0.0.1", listener.getsockname()[1]))
        watching = watch("descriptor.duplicate")
        pid, _ = in_child(lambda: os.dup2(client.fileno(), 0))
        (event,) = watching.events("descriptor.duplicate", process=pid)
        assert (event.connection.family, event.connection.remote_ip) == ("inet", "127.0.0.1")


def test_a_file_and_a_pipe_on_standard_output_are_told_as_such(watch, in_child, tmp_path):
    watching = watch("descriptor.duplicate")
    file, (_, writer) = tmp_path / "out", os.pipe()
    file.write_text("x")

    def act():
        os.dup2(os.open(file, os.O_WRONLY), 1)
        os.dup2(writer, 2)
        os.dup2(os.memfd_create("hidden"), 0)

    pid, _ = in_child(act)
    to_file, to_pipe, from_memfd = watching.events("descriptor.duplicate", process=pid, count=3)
    assert (to_file.descriptor.type, to_file.file.path, to_file.file.inode) == ("file", str(file), file.stat().st_ino)
    assert (to_file.file.size, to_file.file.owner_uid, to_file.file.path_trust) == (1, 0, "kernel")
    assert (to_pipe.descriptor.type, to_pipe.file.path, to_pipe.file.type) == ("pipe", None, "fifo")
    assert (from_memfd.descriptor.type, from_memfd.file.memfd) == ("memfd", True)


def test_duplicates_onto_other_numbers_and_onto_itself_are_quiet(watch, in_child):
    watching = watch("descriptor.duplicate")

    def act():
        os.dup2(1, 30)
        os.dup2(1, 1)
        os.fstat(1)

    pid, _ = in_child(act)
    watching.nothing("descriptor.duplicate", process=pid)


def test_received_descriptors_are_told_one_by_one_with_their_sender(watch, in_child, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    client, server = connected()
    ours, theirs = socket.socketpair()
    watching = watch("descriptor.receive")

    def act():
        socket.recv_fds(theirs, 100, 4)

    with secret.open() as file:
        socket.send_fds(ours, [b"take"], [file.fileno(), client.fileno()])
        pid, status = in_child(act)
    assert status == 0
    first, second = watching.events("descriptor.receive", process=pid, count=2)
    assert (first.descriptor.count, first.descriptor.type, first.file.path) == (2, "file", str(secret))
    assert first.descriptor.sender_process_id == os.getpid()
    assert first.descriptor.number >= 3
    assert (second.descriptor.type, second.connection.remote_port) == ("socket", server.getsockname()[1])
    assert first.syscall.name == "recvmsg"
    for each in (client, server, ours, theirs):
        each.close()


def test_descriptors_behind_other_control_messages_and_in_several_messages_are_told(watch, in_child):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    watching = watch("descriptor.receive")
    with open("/etc/passwd") as file:
        for _ in range(2):
            ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))])

    def act():
        control, byte = [ctypes.create_string_buffer(128) for _ in range(2)], ctypes.create_string_buffer(2)
        vector = ctypes.create_string_buffer(struct.pack("<QQ", ctypes.addressof(byte), 1))
        headers = b"".join(
            struct.pack("<QIIQQQQiI", 0, 0, 0, ctypes.addressof(vector), 1, ctypes.addressof(each), 128, 0, 0) + struct.pack("<II", 0, 0) for each in control
        )
        messages = ctypes.create_string_buffer(headers)
        assert libc.syscall(NR_RECVMMSG, theirs.fileno(), messages, 2, 0, None) == 2

    pid, status = in_child(act)
    assert status == 0
    events = watching.events("descriptor.receive", process=pid, count=2)
    assert [event.file.path for event in events] == ["/etc/passwd"] * 2
    assert events[0].syscall.name == "recvmmsg"
    ours.close()
    theirs.close()


def test_messages_without_descriptors_are_quiet(watch, in_child):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    ours.send(b"x")
    watching = watch("descriptor.receive")
    pid, _ = in_child(lambda: theirs.recvmsg(10, 100))
    watching.nothing("descriptor.receive", process=pid)
    ours.close()
    theirs.close()


def test_a_descriptor_taken_out_of_another_process_tells_whose_and_what(watch, in_child, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    watching = watch("descriptor.take")
    with secret.open() as file:
        number, owner = file.fileno(), os.getpid()

        def act():
            os.closerange(3, 20)
            pidfd = libc.syscall(NR_PIDFD_OPEN, owner, 0)
            assert libc.syscall(NR_PIDFD_GETFD, pidfd, number, 0) >= 0

        pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("descriptor.take", process=pid)
    assert (event.file.path, event.descriptor.from_number, event.descriptor.type) == (str(secret), number, "file")
    target = event.target_process
    assert (target.process_id, target.uid, target.is_self, target.is_child) == (owner, 0, False, False)
    assert target.exe == os.path.realpath("/proc/self/exe")
    assert target.exe_inode == os.stat("/proc/self/exe").st_ino
    assert target.id == event.process.parent.id
    assert event.syscall.error is None


def test_an_attempt_to_take_that_fails_is_told_with_its_error(watch, in_child):
    watching = watch("descriptor.take")
    owner = os.getpid()

    def act():
        libc.syscall(NR_PIDFD_GETFD, libc.syscall(NR_PIDFD_OPEN, owner, 0), 999, 0)

    pid, _ = in_child(act)
    (event,) = watching.events("descriptor.take", process=pid)
    assert (event.syscall.error, event.descriptor.number, event.target_process.process_id) == ("EBADF", None, owner)


def test_a_file_spliced_into_a_pipe_tells_whether_the_process_could_only_read_it(watch, in_child, tmp_path):
    file = tmp_path / "target"
    file.write_text("x" * 100)
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    watching = watch("descriptor.splice")

    def reads(user):
        def act():
            number = os.open(file, os.O_RDONLY)
            os.setresuid(user, user, user)
            _, writer = os.pipe()
            os.splice(number, writer, 10)

        return act

    by_root, status = in_child(reads(0))
    assert status == 0
    (event,) = watching.events("descriptor.splice", process=by_root)
    assert (event.file.path, event.descriptor.read_only_source, event.descriptor.type) == (str(file), False, "file")
    by_other, status = in_child(reads(65534))
    assert status == 0
    (event,) = watching.events("descriptor.splice", process=by_other)
    assert (event.descriptor.read_only_source, event.syscall.name) == (True, "splice")


def test_sendfile_and_vmsplice_of_a_mapped_file_are_told_too(watch, in_child, tmp_path):
    file = tmp_path / "target"
    file.write_bytes(b"x" * 4096)
    watching = watch("descriptor.splice")

    def sends():
        _, writer = os.pipe()
        os.sendfile(writer, os.open(file, os.O_RDONLY), 0, 10)

    def gives_pages():
        libc.mmap.restype = ctypes.c_uint64
        address = libc.mmap(None, 4096, 1, 2, os.open(file, os.O_RDONLY), 0)
        _, writer = os.pipe()
        vector = struct.pack("<QQ", address, 10)
        assert libc.syscall(278, writer, vector, 1, 0) == 10

    for act, call in ((sends, "sendfile"), (gives_pages, "vmsplice")):
        pid, status = in_child(act)
        assert status == 0
        (event,) = watching.events("descriptor.splice", process=pid)
        assert (event.file.path, event.syscall.name) == (str(file), call)


def test_splices_between_pipes_and_sockets_are_quiet(watch, in_child):
    watching = watch("descriptor.splice")

    def act():
        (reader, writer), (_, other) = os.pipe(), os.pipe()
        os.write(writer, b"xx")
        os.splice(reader, other, 1)
        client, _server = socket.socketpair()
        os.splice(reader, client.fileno(), 1)

    pid, status = in_child(act)
    assert status == 0
    watching.nothing("descriptor.splice", process=pid)


def test_a_peer_of_a_unix_socket_is_told_by_its_path(watch, in_child, tmp_path):
    watching = watch("descriptor.duplicate")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "a.sock"))
        listener.listen(1)
        with socket.socket(socket.AF_UNIX) as abstract:
            abstract.bind(b"\0hidden name")

            def act():
                os.dup2(abstract.fileno(), 1)

            with socket.socket(socket.AF_UNIX) as second:
                second.connect(str(tmp_path / "a.sock"))
                pid, _ = in_child(lambda: os.dup2(second.fileno(), 0))
                named, _ = in_child(act)
    (event,) = watching.events("descriptor.duplicate", process=pid)
    assert (event.connection.family, event.connection.protocol, event.connection.unix_path) == ("unix", "unix", str(tmp_path / "a.sock"))
    (event,) = watching.events("descriptor.duplicate", process=named)
    assert event.connection.unix_abstract == "hidden name"
