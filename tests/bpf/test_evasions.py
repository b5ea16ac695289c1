"""Ways round a sensor: each is caught here, or named as a blind spot in docs/sensor.md with the reason.

CAUGHT names the acts of this file; ELSEWHERE what other test files perform; BLIND what the docs say is not seen.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.bpf.calls import AT_FDCWD, Compat, call

DOCS = Path(__file__).parents[2] / "docs" / "sensor.md"


@pytest.fixture
def secret(tmp_path):
    """A file that a policy watches, as the kernel names it."""
    path = tmp_path / "folder" / "secret"
    path.parent.mkdir()
    path.write_text("s3cret")
    return path


def read(path, *, at=None):
    os.close(os.open(path, os.O_RDONLY, dir_fd=at))


def by_link_in_the_parent(secret):
    link = secret.parent.parent / "link"
    link.symlink_to(secret.parent)
    read(link / "secret")


def by_proc_self_root(secret):
    read(f"/proc/self/root{secret}")


def by_proc_self_cwd(secret):
    os.chdir(secret.parent)
    read("/proc/self/cwd/secret")


def by_descriptor_folder(secret):
    number = os.open(secret, os.O_PATH)
    read(f"/dev/fd/{number}")


def by_dots(secret):
    (secret.parent / "x").mkdir()
    read(f"{secret.parent}/x/../../folder/./secret")


def by_relative_path(secret):
    os.chdir(secret.parent)
    read("secret")


def by_moved_folder(secret):
    folder = os.open(secret.parent, os.O_RDONLY | os.O_DIRECTORY)
    secret.parent.rename(secret.parent.parent / "moved")
    (secret.parent.parent / "moved").rename(secret.parent)
    read("secret", at=folder)


def by_openat2(secret):
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
    os.close(call("openat2", AT_FDCWD, os.fsencode(secret), ctypes.c_void_p(ctypes.addressof(how)), 24))


def by_old_open(secret):
    os.close(call("open", os.fsencode(secret), os.O_RDONLY, 0))


def by_32_bit_call(secret):
    short = Path("/tmp") / f"wk{os.getpid()}"
    short.symlink_to(secret)
    try:
        compat = Compat()
        assert compat.call(5, compat.text(os.fsencode(short)), os.O_RDONLY) >= 0
    finally:
        short.unlink()


def by_thread(secret):
    thread = threading.Thread(target=read, args=(secret,))
    thread.start()
    thread.join()


def by_deep_folder(secret):
    folder = os.open(secret.parent, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(40):
        os.mkdir("d" * 20, dir_fd=folder)
        folder = os.open("d" * 20, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    up = "../" * 40
    read(f"{up}secret", at=folder)


def by_descriptor_of_another_process(secret):
    ready, told = os.pipe()
    victim = os.fork()
    if victim == 0:
        number = os.open(secret, os.O_RDONLY)
        os.write(told, str(number).encode())
        signal.pause()
    number = os.read(ready, 16).decode()
    try:
        read(f"/proc/{victim}/fd/{number}")
    finally:
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)


WAYS_TO_A_FILE = [
    by_link_in_the_parent,
    by_proc_self_root,
    by_proc_self_cwd,
    by_descriptor_folder,
    by_dots,
    by_relative_path,
    by_moved_folder,
    by_openat2,
    by_old_open,
    by_32_bit_call,
    by_thread,
    by_deep_folder,
    by_descriptor_of_another_process,
]


@pytest.mark.parametrize("way", WAYS_TO_A_FILE, ids=lambda way: way.__name__)
def test_a_watched_file_is_known_whatever_way_leads_to_it(watch, in_child, secret, way):
    watching = watch("file.open")
    pid, status = in_child(lambda: way(secret))
    assert status == 0
    found = watching.events("file.open", process=pid, where=lambda event: event.file.path == str(secret))
    assert found[-1].file.path_trust == "kernel"


def run(program, *args, name=None, **options):
    process = subprocess.Popen([name or program, *args], executable=program, **options)
    process.wait()
    return process.pid


def test_a_program_is_known_under_any_name_that_it_gives_itself(watch, tmp_path):
    watching = watch("process.exec")
    copy = tmp_path / "[kworker]"
    shutil.copy("/bin/true", copy)
    (tmp_path / "link").symlink_to(copy)
    pids = [run(str(copy), name=""), run(str(copy), name="/usr/sbin/sshd"), run(str(tmp_path / "link"))]
    for pid in pids:
        (event,) = watching.events("process.exec", process=pid)
        assert event.process.exe == str(copy)


def test_a_program_run_through_the_loader_shows_the_loader_and_what_it_runs(watch):
    loader = next(Path("/lib64").glob("ld-linux*"), None) or pytest.skip("no glibc loader here")
    watching = watch("process.exec")
    pid = run(str(loader), "/bin/true")
    (event,) = watching.events("process.exec", process=pid)
    assert event.process.exe == os.path.realpath(loader)
    assert "/bin/true" in event.process.args


@pytest.mark.parametrize(("args", "count"), [(["x" * 100_000, "payload"], 3), (["a"] * 10_000, 10_001)])
def test_padding_hides_no_arguments_in_silence(watch, args, count):
    watching = watch("process.exec")
    pid = run("/bin/true", *args)
    (event,) = watching.events("process.exec", process=pid)
    assert event.process.args_truncated is True
    assert event.process.args_count == count


def test_new_lines_and_control_characters_in_names_stay_in_their_field(watch, tmp_path):
    watching = watch("process.exec")
    copy = tmp_path / "a\nP1 forged\x1b[2J"
    shutil.copy("/bin/true", copy)
    pid = run(str(copy))
    (event,) = watching.events("process.exec", process=pid)
    assert event.process.exe == str(copy)


def test_a_double_fork_and_a_new_session_keep_their_ancestors(watch, in_child):
    watching = watch("process.exec", "process.fork")

    def act():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv("/bin/true", ["true"])
            os._exit(0)
        os.wait()

    pid, _ = in_child(act)
    (event,) = watching.events("process.exec", where=lambda event: any(one.split(":")[1] == str(pid) for one in event.process.ancestors.ids))
    assert event.process.exe == os.path.realpath("/bin/true")


def test_an_exec_from_a_thread_is_the_process_s(watch, in_child):
    watching = watch("process.exec")

    def act():
        thread = threading.Thread(target=os.execv, args=("/bin/true", ["true", "from-a-thread"]))
        thread.start()
        thread.join()

    pid, _ = in_child(act)
    (event,) = watching.events("process.exec", process=pid)
    assert event.process.args == ["true", "from-a-thread"]


def test_a_connection_is_known_by_address_however_it_is_spelled(watch, in_child):
    watching = watch("network.connect")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def act():
        with socket.socket(socket.AF_INET6) as mapped:
            mapped.connect(("::ffff:127.0.0.1", port))

    pid, status = in_child(act)
    assert status == 0
    (event,) = watching.events("network.connect", process=pid)
    assert (event.connection.remote_ip, event.connection.remote_port) == ("127.0.0.1", port)
    listener.close()


def test_a_flood_of_one_kind_hides_no_exec_and_is_counted(watch):
    watching = watch("process.exec", "file.open")
    flood = "import os\nfor _ in range(150_000):\n  os.close(os.open('/etc/hostname' if os.path.exists('/etc/hostname') else '/etc/passwd', 0))"
    storm = subprocess.Popen([sys.executable, "-c", flood])
    pids = []
    while storm.poll() is None:
        pids.append(run("/bin/true", "among-the-flood"))
        watching.drain()
    execs = watching.events("process.exec", count=len(pids), where=lambda event: event.process.args[1:] == ["among-the-flood"], by=["process_exec"])
    assert len(set(pids) - {event.header[7] for event in execs}) <= watching.sensor.skipped_since("process_exec")
    told = watching.sensor.sent()["file.open"]
    lost = sum(count for (kind, _, _), count in watching.sensor.losses().items() if kind == "file.open")
    assert told + lost + watching.sensor.skipped_since("dispatch") >= 150_000
    assert not [key for key in watching.sensor.losses() if key[0] in ("process.exec", "process.fork", "process.exit")]


ELSEWHERE = {
    "memfd, unlinked and /proc/PID/fd programs": "test_exec.py",
    "a script's interpreter": "test_exec.py",
    "TOCTOU on paths": "test_file_open.py",
    "open_by_handle_at, O_TMPFILE, O_PATH": "test_file_open.py",
    "renameat2 EXCHANGE, linkat AT_EMPTY_PATH": "test_file_names.py",
    "copy_file_range, sendfile, splice, shared mmap, FICLONE": "test_file_write.py",
    "fchmodat2, setxattr, truncate": "test_file_attributes.py",
    "io_uring": "test_io_uring.py",
    "SCM_RIGHTS, pidfd_getfd, dup chains": "test_descriptors.py",
    "new mount calls": "test_mount.py",
    "flips of sockaddr, connect AF_UNSPEC, MSG_FASTOPEN": "test_network.py",
    "short containers, nested cgroups": "test_containers.py",
    "kill, ptrace, detach and map writes against the sensor": "test_tamper.py",
    "kill -9, SIGSTOP, disk full, wrong policies": "test_up.py",
}

BLIND = (
    "hard link or bind mount",
    "parents that are symbolic links",
    "arguments rewritten after the exec",
    "built-ins, scripts from standard input",
    "mapped and jumped to without exec",
    "DoH, DoT",
    "32-bit `ipc`",
    "32-bit `socketcall`",
    "may preempt a tracepoint's program",
    "x32 calls",
    "`io_submit`",
    "descriptors opened before the sensor started",
    "rootkits",
    "no cgroup v2",
)


def test_what_is_caught_elsewhere_is_tested_there():
    missing = {name for name in ELSEWHERE.values() if not Path(__file__).with_name(name).exists()}
    assert not missing


@pytest.mark.parametrize("words", BLIND)
def test_what_is_not_caught_is_a_named_blind_spot(words):
    table = DOCS.read_text().partition("## Known blind spots")[2]
    assert words in table
