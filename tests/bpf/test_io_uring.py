"""io_urings, and what is done through them without system calls."""

import ctypes
import os
import socket
import struct

import pytest
from tests.bpf import ring
from tests.bpf.ring import HERE, IoUring, text

from watchkeeper_sensor.kernel.filters import ALL_WAYS, Filters
from watchkeeper_sensor.kernel.tracepoints import BTF

NO_RING = 77
MESSAGES_ARE_COPIED_AT_ONCE = b"\0io_sendmsg_prep_async\0" not in BTF.read_bytes()  # 6.10; before, when one has to wait
paths_are_known = pytest.mark.skipif(b"\0io_cmd_data\0" not in BTF.read_bytes(), reason="before 6.0 the kernel tells operations alone")


@pytest.fixture
def through(in_child):
    """Runs an act with a ring in a child process; returns the process's id."""

    def run(act, flags=0):
        def child():
            try:
                made = IoUring(flags)
            except OSError:
                os._exit(NO_RING)
            act(made)

        pid, status = in_child(child)
        if status == NO_RING:
            pytest.skip("this kernel has no io_uring, or not for us")
        assert status == 0
        return pid

    return run


def test_making_a_ring_tells_its_flags(watch, through):
    watching = watch("io_uring.create")
    pid = through(lambda _: None, ring.SQPOLL)
    (event,) = watching.events("io_uring.create", process=pid)
    assert event.io_uring.flags == ["IORING_SETUP_SQPOLL"]
    assert (event.syscall.name, event.syscall.error) == ("io_uring_setup", None)


@paths_are_known
@pytest.mark.parametrize("flags", [0, ring.SQPOLL], ids=["submitted", "taken by the kernel's thread"])
def test_an_open_through_a_ring_comes_as_file_open_with_the_file_that_it_reached(watch, through, tmp_path, flags):
    watching = watch("file.open", "file.create")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    secret = tmp_path / "real" / "secret"
    secret.write_text("x")

    def act(made):
        held, address = text(tmp_path / "link" / ".." / "link" / "secret")
        assert made.submit(ring.OPENAT, address=address) >= 0
        new, address = text("new")
        assert made.submit(ring.OPENAT, fd=os.open(tmp_path, os.O_PATH), address=address, length=0o600, flags=os.O_CREAT | os.O_WRONLY) >= 0
        del held, new

    pid = through(act, flags)
    event = watching.events("file.open", process=pid, where=lambda event: event.file.name == "secret")[0]
    assert (event.file.path, event.file.path_trust, event.file.inode) == (str(secret), "kernel", secret.stat().st_ino)
    assert event.file.claimed_path == f"{tmp_path}/link/../link/secret"
    assert (event.syscall.io_uring, event.syscall.name, event.syscall.error) == (True, None, None)
    assert (event.file.for_read, event.file.for_write) == (True, False)
    (created,) = watching.events("file.create", process=pid)
    assert (created.file.path, created.file.created, created.file.for_write) == (str(tmp_path / "new"), True, True)
    assert created.syscall.io_uring is True
    assert created.process.process_id == pid


@paths_are_known
def test_an_open_that_is_denied_or_goes_to_the_rings_own_table_is_told_by_the_kernels_copy_of_the_path(watch, through, tmp_path):
    watching = watch("file.open")
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    tmp_path.chmod(0o755)

    def act(made):
        held, address = text("secret")
        os.chdir(tmp_path)
        table = ctypes.create_string_buffer(struct.pack("<i", -1))
        assert ring.libc.syscall(ring.NR_REGISTER, made.fd, 2, table, 1) == 0
        assert made.submit(ring.OPENAT, address=address, file_index=1) == 0
        os.setresuid(65534, 65534, 65534)
        assert made.submit(ring.OPENAT, address=address) == -13
        del held

    pid = through(act)
    direct, denied = watching.events("file.open", process=pid, where=lambda event: event.syscall.io_uring, count=2)
    assert (direct.file.path, direct.file.path_trust, direct.syscall.error) == (str(secret), "user", None)
    assert (denied.file.path, denied.file.path_trust, denied.syscall.error) == (str(secret), "user", "EACCES")
    assert (denied.file.inode, denied.file.claimed_path) == (None, "secret")


@paths_are_known
def test_opens_through_a_ring_are_filtered_by_path_in_the_kernel(watch, through, tmp_path):
    watching = watch("file.open", filters=Filters(kinds={"file.open"}, by_path={"file.open"}, names={b"wanted": {"file.open": ALL_WAYS}}))
    for name in ("wanted", "other"):
        (tmp_path / name).write_text("x")

    def act(made):
        for name in ("other", "wanted"):
            held, address = text(tmp_path / name)
            assert made.submit(ring.OPENAT, address=address) >= 0
            del held

    pid = through(act)
    (event,) = watching.events("file.open", process=pid, where=lambda event: event.syscall.io_uring)
    assert event.file.name == "wanted"


@paths_are_known
def test_names_changed_through_a_ring_come_as_their_kinds(watch, through, tmp_path):
    kinds = ("file.rename", "file.unlink", "file.mkdir", "file.rmdir", "file.symlink", "file.link")
    watching = watch(*kinds)
    (tmp_path / "a").write_text("x")

    def act(made):
        os.chdir(tmp_path)
        names = {name: text(name) for name in ("a", "b", "c", "d", "/etc/shadow", "e")}
        at = {name: address for name, (_, address) in names.items()}
        here = HERE & 0xFFFFFFFF
        assert made.submit(ring.RENAMEAT, address=at["a"], length=here, offset=at["b"]) == 0
        assert made.submit(ring.LINKAT, address=at["b"], length=here, offset=at["c"]) == 0
        assert made.submit(ring.SYMLINKAT, address=at["/etc/shadow"], offset=at["d"]) == 0
        assert made.submit(ring.UNLINKAT, address=at["c"]) == 0
        assert made.submit(ring.MKDIRAT, address=at["e"], length=0o700) == 0
        assert made.submit(ring.UNLINKAT, address=at["e"], flags=0x200) == 0

    pid = through(act)
    found = {kind: watching.events(kind, process=pid)[0] for kind in kinds}
    assert {event.syscall.io_uring for event in found.values()} == {True}
    path = lambda name: str(tmp_path / name)  # noqa: E731
    assert (found["file.rename"].file.path, found["file.rename"].file.new_path) == (path("a"), path("b"))
    assert (found["file.link"].file.path, found["file.link"].file.new_path) == (path("b"), path("c"))
    assert (found["file.symlink"].file.path, found["file.symlink"].file.link_target) == (path("d"), "/etc/shadow")
    assert found["file.unlink"].file.path == path("c")
    assert found["file.mkdir"].file.path == path("e")
    assert found["file.rmdir"].file.path == path("e")
    assert found["file.rename"].file.path_trust == "user"


@paths_are_known
def test_a_connect_through_a_ring_tells_the_address(watch, through):
    watching = watch("io_uring.operation")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]

        def act(made):
            with socket.socket() as client:
                address = ctypes.create_string_buffer(struct.pack("<H", socket.AF_INET) + struct.pack(">H4s8x", port, bytes((127, 0, 0, 1))))
                assert made.submit(ring.CONNECT, fd=client.fileno(), address=ctypes.addressof(address), offset=16) == 0
                data, address = text("GET /")
                assert made.submit(26, fd=client.fileno(), address=address, length=5) == 5
                del data

        pid = through(act)
    connected, sent = watching.events("io_uring.operation", process=pid, count=2)
    assert (connected.io_uring.operation, connected.io_uring.remote_ip, connected.io_uring.remote_port) == ("IORING_OP_CONNECT", "127.0.0.1", port)
    assert (sent.io_uring.operation, sent.io_uring.remote_ip, sent.io_uring.remote_port) == ("IORING_OP_SEND", "127.0.0.1", port)
    assert (sent.io_uring.registered_credentials, sent.syscall.io_uring) == (False, True)


@paths_are_known
def test_a_connect_that_fails_and_a_message_to_an_address_are_told(watch, through):
    watching = watch("io_uring.operation")
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]

        def act(made):
            address = ctypes.create_string_buffer(struct.pack("<H", socket.AF_INET) + struct.pack(">H4s8x", port, bytes((127, 0, 0, 1))))
            with socket.socket() as client:
                assert made.submit(ring.CONNECT, fd=client.fileno(), address=ctypes.addressof(address), offset=16) == -111
            with socket.socket(type=socket.SOCK_DGRAM) as sender:
                data, at = text("hello")
                vector = ctypes.create_string_buffer(struct.pack("<QQ", at, 5))
                header = ctypes.create_string_buffer(struct.pack("<QIIQQQQii", ctypes.addressof(address), 16, 0, ctypes.addressof(vector), 1, 0, 0, 0, 0))
                assert made.submit(9, fd=sender.fileno(), address=ctypes.addressof(header), length=1) == 5
                del data

        pid = through(act)
    refused, sent = watching.events("io_uring.operation", process=pid, count=2)
    assert (refused.io_uring.operation, refused.syscall.error) == ("IORING_OP_CONNECT", "ECONNREFUSED")
    assert sent.io_uring.operation == "IORING_OP_SENDMSG"
    assert (sent.io_uring.remote_ip, sent.io_uring.remote_port) == (("127.0.0.1", port) if MESSAGES_ARE_COPIED_AT_ONCE else (None, None))


@paths_are_known
def test_work_under_registered_credentials_says_so(watch, through):
    watching = watch("io_uring.operation")

    def act(made):
        os.setresuid(-1, 65534, -1)
        number = ring.libc.syscall(ring.NR_REGISTER, made.fd, 9, None, 0)
        assert number > 0
        os.setresuid(-1, 0, -1)
        reader, writer = os.pipe()
        data, address = text("x")
        assert made.submit(ring.WRITE, fd=writer, address=address, length=1, offset=2**64 - 1, personality=number) == 1
        del data, reader

    pid = through(act)
    (event,) = watching.events("io_uring.operation", process=pid)
    assert (event.io_uring.operation, event.io_uring.registered_credentials) == ("IORING_OP_WRITE", True)


def test_housekeeping_and_repeated_reads_and_writes_are_quiet(watch, through):
    watching = watch("io_uring.operation")

    def act(made):
        _, writer = os.pipe()
        data, address = text("x")
        for _ in range(20):
            assert made.submit(ring.NOP) == 0
            assert made.submit(ring.WRITE, fd=writer, address=address, length=1, offset=2**64 - 1) == 1
        del data

    pid = through(act)
    (event,) = watching.events("io_uring.operation", process=pid)
    assert event.io_uring.operation == "IORING_OP_WRITE"
    watching.nothing("io_uring.operation", process=pid, where=lambda other: other is not event)


def test_an_operation_is_told_whatever_the_kernel_says_of_it(watch, through):
    watching = watch("io_uring.operation")

    def act(made):
        _, writer = os.pipe()
        data, address = text("x")
        made.submit(ring.WRITE, fd=writer, address=address, length=1, offset=2**64 - 1)
        del data

    pid = through(act)
    (event,) = watching.events("io_uring.operation", process=pid)
    assert (event.io_uring.operation, event.syscall.io_uring) == ("IORING_OP_WRITE", True)
