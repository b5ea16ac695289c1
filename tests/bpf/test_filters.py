"""What policies do not ask for is not told; what was turned down is looked at again as soon as anything that the answer hung on is another."""

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from tests.bpf.calls import call
from tests.bpf.conftest import OBJECT
from tests.bpf.patience import SLOWER
from tests.support.events import a_policy, a_program

from watchkeeper_sensor.agent import Agent
from watchkeeper_sensor.kernel.enforcement import tell_scope
from watchkeeper_sensor.kernel.filters import ALL_WAYS, CONTAINER, CONTAINER_WRITE, HOST_WRITE, Filters
from watchkeeper_sensor.kernel.programs import unified_cgroup

CLONE_NEWNS = 0x20000
TIMES = 5  # that a file is opened first, so that the kernel knows it for one that nobody asks for


def by_path(kind, *prefixes, ways=ALL_WAYS):
    return Filters(kinds={kind}, by_path={kind}, prefixes={os.fsencode(prefix): {kind: ways} for prefix in prefixes})


def opened(path):
    for _ in range(TIMES):
        os.close(os.open(path, os.O_RDONLY))


def names(watching, pid, kind="file.open"):
    return [event.file.path for event in watching.events(kind, process=pid)]


def test_a_file_whose_folder_is_renamed_into_a_watched_place_is_told(watch, in_child, tmp_path):
    (tmp_path / "plain" / "deep").mkdir(parents=True)
    (tmp_path / "plain" / "deep" / "file").touch()
    watching = watch("file.open", filters=by_path("file.open", f"{tmp_path}/watched/"))

    def act():
        opened(tmp_path / "plain" / "deep" / "file")
        (tmp_path / "plain").rename(tmp_path / "watched")
        os.open(tmp_path / "watched" / "deep" / "file", os.O_RDONLY)

    pid, status = in_child(act)
    assert status == 0
    assert names(watching, pid) == [f"{tmp_path}/watched/deep/file"]


def test_names_that_change_places_are_each_told_by_the_path_they_have(watch, in_child, tmp_path):
    (tmp_path / "plain").touch()
    watching = watch("file.open", filters=by_path("file.open", f"{tmp_path}/watched\0"))

    def act():
        for _ in range(20):
            opened(tmp_path / "plain")
            (tmp_path / "plain").rename(tmp_path / "watched")
            os.close(os.open(tmp_path / "watched", os.O_RDONLY))
            (tmp_path / "watched").rename(tmp_path / "plain")

    pid, status = in_child(act)
    assert status == 0
    assert len(watching.events("file.open", process=pid, count=20)) == 20


def test_a_file_that_is_mounted_elsewhere_is_told_by_its_place_there(watch, in_child, tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "watched").mkdir()
    (tmp_path / "plain" / "file").touch()
    watching = watch("file.open", filters=by_path("file.open", f"{tmp_path}/watched/"))

    def act():
        call("unshare", CLONE_NEWNS)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        opened(tmp_path / "plain" / "file")
        subprocess.run(["mount", "--bind", tmp_path / "plain", tmp_path / "watched"], check=True)
        os.open(tmp_path / "watched" / "file", os.O_RDONLY)

    pid, status = in_child(act)
    assert status == 0
    assert names(watching, pid) == [f"{tmp_path}/watched/file"]


def test_a_process_with_another_root_is_told_by_the_path_it_sees(watch, in_child, tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "file").touch()
    watching = watch("file.open", filters=by_path("file.open", "/inside/"))

    def act():
        opened(tmp_path / "inside" / "file")
        os.chroot(tmp_path)
        os.open("/inside/file", os.O_RDONLY)

    pid, status = in_child(act)
    assert status == 0
    assert names(watching, pid) == ["/inside/file"]


def test_other_filters_are_in_force_at_once(watch, tmp_path):
    path = tmp_path / "file"
    path.touch()
    watching = watch("file.open", filters=by_path("file.open", "/nowhere/"))
    ask, answer = os.pipe(), os.pipe()

    def act():
        opened(path)
        os.write(answer[1], b"x")
        os.read(ask[0], 1)
        os.open(path, os.O_RDONLY)

    child = os.fork()
    if child == 0:
        act()
        os._exit(0)
    os.read(answer[0], 1)
    watching.sensor.set_filters(by_path("file.open", f"{path}\0"))
    os.write(ask[1], b"x")
    os.waitpid(child, 0)
    assert names(watching, child) == [str(path)]


def test_the_first_write_after_a_rename_is_told(watch, in_child, tmp_path):
    watching = watch("file.write", filters=by_path("file.write", f"{tmp_path}/watched\0"))

    def act():
        number = os.open(tmp_path / "plain", os.O_WRONLY | os.O_CREAT, 0o600)
        for _ in range(TIMES):
            os.write(number, b"x")
        (tmp_path / "plain").rename(tmp_path / "watched")
        os.write(number, b"x")
        os.write(number, b"x")

    pid, status = in_child(act)
    assert status == 0
    assert names(watching, pid, "file.write") == [f"{tmp_path}/watched"]


def test_what_a_policy_asks_for_is_told_each_time(watch, in_child, tmp_path):
    path = tmp_path / "file"
    path.touch()
    watching = watch("file.open", filters=by_path("file.open", f"{path}\0"))
    pid, _ = in_child(lambda: opened(path))
    assert len(watching.events("file.open", process=pid, count=TIMES)) == TIMES


@pytest.fixture
def new_cgroup():
    """Makes cgroups: the key of each, and a function that moves the calling process there."""
    folders = []

    def make():
        folder = Path(unified_cgroup(), f"watchkeeper-filters-{os.getpid()}-{len(folders)}")
        folder.mkdir()
        folders.append(folder)
        return folder.stat().st_ino, lambda: (folder / "cgroup.procs").write_text("0")

    yield make
    for folder in folders:
        folder.rmdir()


def test_a_kind_that_is_asked_for_in_containers_is_not_told_of_the_host(watch, in_child, tmp_path, new_cgroup):
    key, enter = new_cgroup()
    watching = watch("file.mkdir", filters=Filters(kinds={"file.mkdir"}, ways={"file.mkdir": CONTAINER}))

    def told(name):
        def act():
            enter()
            (tmp_path / name).mkdir()

        pid, status = in_child(act)
        assert status == 0
        watching.sensor.rings.wait(0.2)
        watching.drain()
        return any(event.kind == "file.mkdir" and event.header[7] == pid for event in watching.seen)

    assert told("nobody has said whose the cgroup is")
    tell_scope(watching.sensor.object, key, is_container=False)
    assert not told("the host's")
    tell_scope(watching.sensor.object, key, is_container=True)
    assert told("a container's")
    assert not watching.sensor.losses()


def test_a_path_that_is_asked_for_in_containers_is_not_told_of_the_host(watch, in_child, tmp_path, new_cgroup):
    path = tmp_path / "file"
    path.touch()
    watching = watch("file.open", filters=by_path("file.open", f"{path}\0", ways=CONTAINER))

    def opened_in(*, is_container):
        key, enter = new_cgroup()
        tell_scope(watching.sensor.object, key, is_container=is_container)
        return in_child(lambda: (enter(), opened(path)))[0]

    host, container = opened_in(is_container=False), opened_in(is_container=True)
    assert len(watching.events("file.open", process=container, count=TIMES)) == TIMES
    watching.nothing("file.open", process=host)


def test_a_file_that_is_asked_for_when_it_is_open_for_writing_is_not_told_when_it_is_read(watch, in_child, tmp_path):
    path = tmp_path / "file"
    path.touch()
    watching = watch("file.open", filters=by_path("file.open", f"{path}\0", ways=HOST_WRITE | CONTAINER_WRITE))

    def act():
        opened(path)
        os.open(path, os.O_WRONLY)
        opened(path)

    pid, _ = in_child(act)
    (event,) = watching.events("file.open", process=pid)
    watching.nothing("file.open", process=pid, where=lambda later: later is not event)
    assert event.file.for_write


@pytest.mark.parametrize("kind", ["network.connect", "network.listen", "network.send"])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_ports_that_nobody_asks_for_are_not_told(watch, in_child, kind, family):
    here = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.create_server((here, 0), family=family) as asked, socket.create_server((here, 0), family=family) as other:
        ports = [other.getsockname()[1], asked.getsockname()[1]]
        if kind == "network.listen":
            asked.close()
            other.close()
        watching = watch(kind, filters=Filters(kinds={kind}, by_port={kind: {ports[1]}}))

        def act():
            for port in ports:
                if kind == "network.listen":
                    socket.create_server((here, port), family=family).close()
                elif kind == "network.connect":
                    socket.create_connection((here, port)).close()
                    socket.socket(family, socket.SOCK_DGRAM).connect((here, port))
                else:
                    socket.socket(family, socket.SOCK_DGRAM).sendto(b"x", (here, port))

        pid, status = in_child(act)
    assert status == 0
    count = 2 if kind == "network.connect" else 1
    found = watching.events(kind, process=pid, count=count)
    assert len(found) == count
    assert {event.connection.local_port if kind == "network.listen" else event.connection.remote_port for event in found} == {ports[1]}


def test_the_agent_says_whose_the_cgroups_are(tmp_path):
    program = a_program(a_policy("\n- name: r\n  \"on\": [file.mkdir]\n  when: 'has(container.id)'\n  severity: P3\n"))
    agent = Agent(OBJECT, program)
    try:
        subprocess.run(["mkdir", tmp_path / "of-the-host"], check=True)
        agent.reload(a_program(a_policy("\n- name: r\n  \"on\": [file.mkdir]\n  when: 'process.uid == 0'\n  severity: P3\n")))
        subprocess.run(["mkdir", tmp_path / "asked-for"], check=True)
        told, end = [], time.monotonic() + 10 * SLOWER
        while "asked-for" not in told and time.monotonic() < end:
            told += [event.file.name for event in agent.events(0.1) if event.kind == "file.mkdir" and event.file.path.startswith(f"{tmp_path}/")]
        assert told == ["asked-for"]  # whatever others do on the host meanwhile
    finally:
        agent.close()
