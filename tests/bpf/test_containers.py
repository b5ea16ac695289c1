"""Cgroups and containers: the key that the kernel and the agent give, and containers that start, stop, and are gone before anyone looks."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from watchkeeper_sensor.containers.cgroups import CONTROLLERS, Cgroups, cgroup_key_of, hierarchies
from watchkeeper_sensor.containers.runtimes import Runtimes
from watchkeeper_sensor.process_view import NAMESPACES

MOUNTED = hierarchies()
V1 = next((name for name in CONTROLLERS[1:] if name in MOUNTED), "memory")
"""The controller by whose v1 hierarchy containers are told apart here; new kernels have none for memory."""
LIFECYCLE = ("process.exec", "process.fork", "process.exit", "container.start", "container.stop")
TOP = f"watchkeeper-{os.getpid()}"  # tests of several processes must not meet
ID = f"5d{os.getpid():062x}"
OTHER = "a1" * 32
POD = "0f3e4c52-9c51-4f3e-8a45-2b1d0c9e7a10"
BUNDLE = {
    "process": {"user": {"uid": 0}, "args": ["/bin/true"]},
    "mounts": [{"destination": "/host", "type": "bind", "source": "/", "options": ["rbind", "rw"]}],
    "linux": {"namespaces": [{"type": "pid"}, {"type": "network", "path": "/proc/1/ns/net"}]},
    "annotations": {
        "io.kubernetes.cri.container-name": "web",
        "io.kubernetes.cri.image-name": "registry.example/web:1",
        "io.kubernetes.cri.sandbox-name": "web-0",
        "io.kubernetes.cri.sandbox-namespace": "shop",
    },
}
LAYOUTS = {
    "Docker, cgroupfs driver": f"docker/{ID}",
    "Docker, systemd driver": f"system.slice/docker-{ID}.scope",
    "containerd in Kubernetes, systemd driver": f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD.replace('-', '_')}.slice/cri-containerd-{ID}.scope",
    "containerd in Kubernetes, cgroupfs driver": f"kubepods/burstable/pod{POD}/{ID}",
    "CRI-O with a cgroup of its own below": f"kubepods.slice/kubepods-pod{POD.replace('-', '_')}.slice/crio-{ID}.scope/container",
    "Podman": f"machine.slice/libpod-{ID}.scope/container",
}


@contextlib.contextmanager
def cgroup(path, hierarchy=""):
    """A cgroup by its path in one hierarchy; removed afterwards, with what was made above it."""
    if hierarchy not in MOUNTED:
        pytest.skip(f"no {hierarchy or 'v2'} hierarchy here")
    made = []
    folder = MOUNTED[hierarchy]
    for part in (TOP, *path.split("/")):
        folder = folder / part
        if not folder.exists():
            folder.mkdir()
            made.append(folder)
    try:
        yield folder
    finally:
        for one in reversed(made):
            end = time.monotonic() + 5
            while one.exists():  # a process that has just ended may be in it for a moment
                with contextlib.suppress(OSError):
                    one.rmdir()
                assert time.monotonic() < end, f"{one} is still in use"


@contextlib.contextmanager
def out_of_the_way(*hierarchies_):
    """The test process, and so its children, in the root of these hierarchies for a while."""
    before = {name: line for line in Path("/proc/self/cgroup").read_text().splitlines() for name in line.split(":")[1].split(",")}
    moved = []
    for name in hierarchies_:
        path = before[name].split(":", 2)[2] if name in before else "/"
        if path != "/" and name in MOUNTED:
            (MOUNTED[name] / "cgroup.procs").write_text(str(os.getpid()))
            moved.append((name, path))
    try:
        yield
    finally:
        for name, path in moved:
            Path(f"{MOUNTED[name]}{path}", "cgroup.procs").write_text(str(os.getpid()))


def start_in(folders, *command, **options):
    """A program that was started in cgroups; it runs when this returns."""

    def enter():
        for folder in folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    return subprocess.Popen(command, preexec_fn=enter, **options)  # noqa: PLW1509 (tests have one thread, and the cgroup must be entered before the exec)


def run_in(folder, *command):
    """Process id of a program that was started in a cgroup and has ended."""
    process = start_in([folder], *command)
    process.wait()
    return process.pid


@pytest.mark.parametrize("hierarchy", CONTROLLERS)
def test_the_kernel_and_the_agent_give_a_process_the_same_key(watch, hierarchy):
    watching = watch(*LIFECYCLE)
    others = [name for name in CONTROLLERS[1:] if name != hierarchy]
    with out_of_the_way(*others), cgroup("watchkeeper-test", hierarchy) as folder:
        with start_in([folder], "/bin/sleep", "30") as sleeping:
            (event,) = watching.events("process.exec", process=sleeping.pid)
            key = cgroup_key_of(sleeping.pid, MOUNTED)
            sleeping.kill()
        assert event.header[5] == key
        assert key >> 56 == CONTROLLERS.index(hierarchy)
        assert key & (1 << 56) - 1 == folder.stat().st_ino


def test_the_v2_cgroup_goes_before_those_of_v1(watch):
    watching = watch(*LIFECYCLE)
    with cgroup("watchkeeper-test") as unified, cgroup("watchkeeper-test", V1) as memory, start_in([memory, unified], "/bin/sleep", "30") as process:
        (event,) = watching.events("process.exec", process=process.pid)
        assert event.header[5] == cgroup_key_of(process.pid) == unified.stat().st_ino
        process.kill()


@pytest.mark.parametrize("hierarchy", ["", V1], ids=["v2", "v1"])
@pytest.mark.parametrize("path", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_container_is_known_by_its_cgroup(watch, path, hierarchy):
    watching = watch(*LIFECYCLE)
    with cgroup(path, hierarchy) as folder:
        pid = run_in(folder, "/bin/true")
        (event,) = watching.events("process.exec", process=pid)
        assert event.container.id == ID
        assert event.container.resolved is False
        assert event.pod.uid == (POD if "kubepods" in path else None)


def test_a_container_that_is_gone_before_anyone_looks_is_known(watch):
    watching = watch(*LIFECYCLE)
    watching.stream.tree.seed()
    cgroups = watching.stream.around.containers._cgroups
    walks = cgroups.walks
    with cgroup(f"docker/{ID}", V1) as folder:
        pid = run_in(folder, "/bin/true")
    assert not folder.exists()
    (event,) = watching.events("process.exec", process=pid)
    (end,) = watching.events("process.exit", process=pid)
    assert (event.container.id, end.container.id) == (ID, ID)
    assert cgroups.walks == walks  # the kernel told it; nobody read /sys


def test_a_container_starts_with_its_first_program_and_stops_with_its_last_process(watch):
    watching = watch(*LIFECYCLE)
    with cgroup(f"docker/{ID}", V1) as folder:
        first = run_in(folder, "/bin/sh", "-c", "/bin/true; /bin/true; exit 0")
        (start,) = watching.events("container.start", where=lambda event: event.container.id == ID)
        (stop,) = watching.events("container.stop", where=lambda event: event.container.id == ID)
        again = run_in(folder, "/bin/true")
        starts = watching.events("container.start", count=2, where=lambda event: event.container.id == ID)
    assert start.process.process_id == first
    assert start.process.exe == os.path.realpath("/bin/sh")
    assert stop.process.process_id == first
    assert start.observed_at < stop.observed_at
    assert start.container.started_at is not None
    assert [event.process.process_id for event in starts] == [first, again]
    assert len({event.id for event in watching.seen}) == len(watching.seen)


def test_a_start_tells_what_the_container_is_given(watch, tmp_path):
    watching = watch(*LIFECYCLE)
    containers = watching.stream.around.containers
    containers.runtimes = Runtimes(tmp_path, dict(zip(NAMESPACES, watching.stream.around.host.namespaces, strict=True)))
    bundle = tmp_path / "run/containerd/io.containerd.runtime.v2.task/k8s.io" / ID / "config.json"
    bundle.parent.mkdir(parents=True)
    bundle.write_text(json.dumps(BUNDLE))
    with cgroup(LAYOUTS["containerd in Kubernetes, systemd driver"], V1) as folder:
        run_in(folder, "/bin/true")
    (start,) = watching.events("container.start", where=lambda event: event.container.id == ID)
    (stop,) = watching.events("container.stop", where=lambda event: event.container.id == ID)
    container = start.container
    assert (container.name, container.image, container.runtime, container.resolved) == ("web", "registry.example/web:1", "containerd", True)
    assert (start.pod.name, start.pod.namespace, start.pod.uid) == ("web-0", "shop", POD)
    assert (container.host_network, container.host_process, container.user_id) == (True, False, 0)
    assert container.writable_mount_sources == ["/"]
    assert container.drift is False
    assert start.target.name == "web"
    assert stop.container.name == "web"


def test_a_container_that_ran_before_the_sensor_does_not_start_again(watch):
    with cgroup(f"docker/{ID}", V1) as folder:
        old = start_in([folder], "/bin/sleep", "30")
        watching = watch(*LIFECYCLE)
        watching.stream.tree.seed()
        pid = run_in(folder, "/bin/true")  # as an exec of the runtime
        (event,) = watching.events("process.exec", process=pid)
        assert event.container.id == ID
        watching.nothing("container.start", where=lambda event: event.container.id == ID)
        old.kill()
        old.wait()
        (stop,) = watching.events("container.stop", where=lambda event: event.container.id == ID)
        assert stop.process.process_id == old.pid


def test_a_process_that_is_moved_into_a_container_belongs_to_it_without_an_exec(watch):
    watching = watch(*LIFECYCLE)
    process = subprocess.Popen(["/bin/sh", "-c", "read line; exit 0"], stdin=subprocess.PIPE)
    (event,) = watching.events("process.exec", process=process.pid)
    assert event.container.id is None
    with cgroup(f"docker/{ID}", V1) as folder:
        (folder / "cgroup.procs").write_text(str(process.pid))
        process.communicate(b"go\n")
        (end,) = watching.events("process.exit", process=process.pid)
    assert end.container.id == ID


def test_a_container_cant_take_another_ones_name_from_below(watch):
    watching = watch(*LIFECYCLE)
    with cgroup(f"docker/{ID}", V1) as folder, cgroup(f"docker/{ID}/docker/{OTHER}", V1) as inner:
        assert inner.is_relative_to(folder)
        pid = run_in(inner, "/bin/true")
        (event,) = watching.events("process.exec", process=pid)
    assert event.container.id == ID


def test_ten_containers_a_second_are_all_known(watch):
    watching = watch(*LIFECYCLE)
    ids = [f"{number:032x}{os.getpid():032x}" for number in range(1, 31)]
    pids = []
    for one in ids:
        with cgroup(f"docker/{one}", V1) as folder:
            pids.append(run_in(folder, "/bin/true"))
    (_,) = watching.events("process.exit", process=pids[-1])
    told = {event.header[7]: event.container.id for event in watching.seen if event.kind == "process.exec"}
    assert [told[pid] for pid in pids] == ids
    for kind in ("container.start", "container.stop"):
        assert [event.container.id for event in watching.seen if event.kind == kind and event.container.id in ids] == ids
    assert not [kind for kind, _, _ in watching.sensor.losses() if kind.startswith(("cgroup.", "process.exec"))]


def test_an_older_cgroup_is_found_by_a_walk():
    with cgroup(f"docker/{ID}", V1) as folder:
        cgroups = Cgroups()
        place = cgroups.place_of(folder.stat().st_ino | CONTROLLERS.index(V1) << 56)
    assert place is not None
    assert place.container_id == ID
    assert cgroups.walks == 1


NODE_IN_A_CONTAINER = """
import os, sys
from pathlib import Path
from tests.bpf.conftest import OBJECT, PROGRAMS, Sensor, Watching
from watchkeeper_sensor.containers.cgroups import hierarchies
container_id = sys.argv[1]
assert {name: str(path) for name, path in hierarchies().items()} == {sys.argv[2]: f"/sys/fs/cgroup/{sys.argv[2]}"}, hierarchies()
sensor = Sensor(OBJECT, (), PROGRAMS)
watching = Watching(sensor, ("process.exec", "process.exit", "container.start"))
watching.stream.tree.seed()
folder = Path("/sys/fs/cgroup", sys.argv[2], "kubelet", container_id)
folder.mkdir(parents=True)
child = os.fork()
if child == 0:
    (folder / "cgroup.procs").write_text(str(os.getpid()))
    os.execv("/bin/true", ["/bin/true"])
os.waitpid(child, 0)
(event,) = watching.events("process.exec", process=child)
plain = os.fork()
if plain == 0:
    os.execv("/bin/true", ["/bin/true"])
os.waitpid(plain, 0)
(own,) = watching.events("process.exec", process=plain)
sensor.close()
folder.rmdir()
folder.parent.rmdir()
print(event.container.id == container_id, own.container.id, watching.stream.around.containers.is_unknown(own.header[5]))
"""


def test_a_node_that_is_a_container_sees_its_own_containers_and_is_the_host():
    commands = (
        f"umount -l -a -t cgroup,cgroup2 && mkdir -p /sys/fs/cgroup/{V1} && mount -t cgroup -o {V1} none /sys/fs/cgroup/{V1}",
        'exec "$0" -c "$1" "$2" "$3"',
    )
    with out_of_the_way(*CONTROLLERS[1:]), cgroup(f"docker/{OTHER}", V1) as node:
        inside = ["unshare", "--cgroup", "--mount", "sh", "-ec", "; ".join(commands), sys.executable, NODE_IN_A_CONTAINER, ID, V1]
        process = start_in([node], *inside, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        told, _ = process.communicate()
    assert (process.returncode, told) == (0, "True None False\n")
