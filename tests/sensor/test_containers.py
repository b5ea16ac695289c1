"""Containers by cgroup: what paths name, what is remembered, what is looked for and how often, and when a container runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper_sensor.containers import GONE, HOST, RETRY_SECONDS, Containers
from watchkeeper_sensor.containers import cgroups as cgroups_module
from watchkeeper_sensor.containers.cgroups import UNKNOWN_SECONDS, WALK_SECONDS, Cgroups, hierarchies, key_of
from watchkeeper_sensor.containers.naming import Place, place_of
from watchkeeper_sensor.containers.running import Running
from watchkeeper_sensor.containers.runtimes import Runtimes

A, B = "a" * 64, "0123456789abcdef" * 4
UID = "0f3e4c52-9c51-4f3e-8a45-2b1d0c9e7a10"
SLICE = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice"

PATHS = {
    "a process of the host": ("/user.slice/user-1000.slice/session-2.scope", Place()),
    "the root": ("/", Place()),
    "Docker, cgroupfs driver": (f"/docker/{A}", Place(A, None, True)),
    "Docker, systemd driver": (f"/system.slice/docker-{A}.scope", Place(A, None, True)),
    "a cgroup that the container made": (f"/docker/{A}/system.slice/nginx.service", Place(A, None, False)),
    "containerd in Kubernetes, systemd driver": (f"{SLICE}/cri-containerd-{A}.scope", Place(A, UID, True)),
    "containerd in Kubernetes, cgroupfs driver": (f"/kubepods/burstable/pod{UID}/{A}", Place(A, UID, True)),
    "a guaranteed pod": (f"/kubepods/pod{UID}/{A}", Place(A, UID, True)),
    "a pod below the kubelet's own slice": (f"/kubelet.slice/kubelet{SLICE}/cri-containerd-{A}.scope", Place(A, UID, True)),
    "a static pod": (f"/kubepods/burstable/pod{'9' * 32}/{A}", Place(A, "9" * 32, True)),
    "a pod's own cgroup": (SLICE, Place(None, UID, False)),
    "the systemd driver's path given to the cgroupfs driver": (f"/system.slice/kubepods-pod1.slice:cri-containerd:{A}", Place(A, None, True)),
    "CRI-O": (f"{SLICE}/crio-{A}.scope", Place(A, UID, True)),
    "CRI-O with crun's cgroup below": (f"{SLICE}/crio-{A}.scope/container", Place(A, UID, False)),
    "CRI-O's monitor is of the host": (f"{SLICE}/crio-conmon-{A}.scope", Place(None, UID, False)),
    "Podman, systemd driver": (f"/machine.slice/libpod-{A}.scope", Place(A, None, True)),
    "Podman, cgroups split": (f"/system.slice/web.service/libpod-payload-{A}", Place(A, None, True)),
    "Podman's monitor is of the host": (f"/machine.slice/libpod-conmon-{A}.scope", Place()),
    "a pod of Podman, cgroupfs driver": (f"/libpod_parent/{B}/libpod-{A}", Place(A, None, True)),
    "a pod of Podman, systemd driver": (f"/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope", Place(A, None, True)),
    "LXC up to version 3": ("/lxc/web", Place("web", None, True)),
    "LXC": ("/lxc.payload.web/init.scope", Place("web", None, False)),
    "LXC's monitor is of the host": ("/lxc.monitor.web", Place()),
    "Docker in Docker belongs to the outer one": (f"/docker/{A}/docker/{B}", Place(A, None, False)),
    "a forged name below belongs to the forger": (f"{SLICE}/cri-containerd-{A}.scope/cri-containerd-{B}.scope", Place(A, UID, False)),
    "63 digits are no id": (f"/docker/{'a' * 63}", Place()),
    "upper-case digits are no id": (f"/docker/{'A' * 64}", Place()),
    "an id with more after it is none": (f"/docker/{A}x", Place()),
}


@pytest.mark.parametrize(("path", "place"), PATHS.values(), ids=PATHS.keys())
def test_a_path_names_its_container(path, place):
    assert place_of(path) == place


def test_a_node_that_is_a_container_itself_is_the_host():
    inside = f"/docker/{A}/kubelet.slice{SLICE}/cri-containerd-{B}.scope"
    assert place_of(inside, ignored=frozenset({A})) == Place(B, UID, True)
    assert place_of(f"/docker/{A}/init.scope", ignored=frozenset({A})) == Place()


@given(st.text(alphabet=st.sampled_from("/abcdef0123456789-_.:\\\n" + "é"), max_size=300))
def test_a_path_below_a_container_is_always_its_own(tail):
    assert place_of(f"/docker/{A}/{tail}").container_id == A


@given(st.text(max_size=2000))
def test_no_path_is_too_strange(path):
    place = place_of(path)
    assert place.container_id is None or len(place.container_id) <= 64


MOUNTS = """22 1 0:20 / /sys rw - sysfs sysfs rw
24 22 0:22 / /sys/fs/cgroup ro - tmpfs tmpfs ro
25 24 0:23 / /sys/fs/cgroup/unified rw,nosuid shared:4 - cgroup2 cgroup2 rw
26 24 0:24 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
27 24 0:25 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
28 24 0:26 /docker/x /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
29 24 0:24 / /elsewhere rw - cgroup cgroup rw,memory
"""


def test_hierarchies_are_found_where_they_are_mounted_whole():
    found = {name: str(path) for name, path in hierarchies(MOUNTS).items()}
    assert found == {"": "/sys/fs/cgroup/unified", "memory": "/sys/fs/cgroup/memory", "cpu": "/sys/fs/cgroup/cpu,cpuacct"}


def test_the_hosts_whole_hierarchy_goes_before_the_part_of_our_own():
    own, whole, part = "/nowhere/own", "/proc", "/nowhere/part"  # /proc has inode 1, as the root of a hierarchy has
    lines = [f"25 24 0:23 {root} {path} rw - cgroup2 cgroup2 rw" for root, path in (("/", own), ("/../..", whole), ("/../../x", part))]
    assert str(hierarchies("\n".join(lines))[""]) == whole
    assert str(hierarchies("\n".join(reversed(lines)))[""]) == whole
    assert str(hierarchies(lines[0])[""]) == own
    assert hierarchies(lines[2]) == {}


def test_a_host_without_v2_has_its_v1_hierarchies():
    text = "".join(line + "\n" for line in MOUNTS.splitlines() if "cgroup2" not in line)
    assert set(hierarchies(text)) == {"memory", "cpu"}


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tree(tmp_path):
    """Two hierarchies as folders: v2 and memory."""
    mounted = {"": tmp_path / "unified", "memory": tmp_path / "memory"}
    for folder in mounted.values():
        folder.mkdir()
    return mounted


def test_what_the_kernel_told_needs_no_walk(tree, clock):
    cgroups = Cgroups(tree, clock=clock)
    cgroups.learn(7, f"/docker/{A}")
    assert cgroups.place_of(7).container_id == A
    assert cgroups.walks == 0


def test_a_walk_finds_cgroups_of_all_hierarchies_and_tells_them_apart(tree, clock):
    for name, id_ in (("", A), ("memory", B)):
        (tree[name] / "docker" / id_).mkdir(parents=True)
    cgroups = Cgroups(tree, clock=clock)
    keys = [key_of(f"{tree[name]}/docker/{id_}", name) for name, id_ in (("", A), ("memory", B))]
    assert [cgroups.place_of(key).container_id for key in keys] == [A, B]
    assert cgroups.walks == 1
    assert keys[0] >> 56 == 0
    assert keys[1] >> 56 == 1


def test_an_unknown_key_is_not_looked_for_again_at_once(tree, clock):
    cgroups = Cgroups(tree, clock=clock)
    for _ in range(100):
        assert cgroups.place_of(99) is None
    assert cgroups.walks == 1
    (tree[""] / "docker" / A).mkdir(parents=True)
    clock.now += WALK_SECONDS
    assert cgroups.place_of(99) is None
    assert cgroups.walks == 1  # this key waits longer
    clock.now += UNKNOWN_SECONDS
    cgroups.place_of(99)
    assert cgroups.walks == 2


def test_many_unknown_keys_do_not_make_many_walks(tree, clock):
    cgroups = Cgroups(tree, clock=clock)
    for key in range(100_000):
        cgroups.place_of(key + 1_000_000)
    assert cgroups.walks == 1
    assert len(cgroups._unknown) <= cgroups_module.UNKNOWN_KEYS


def test_a_walk_has_an_end_and_sees_shallow_cgroups_first(tree, clock, monkeypatch):
    monkeypatch.setattr(cgroups_module, "WALK_FOLDERS", 20)
    deep = tree[""] / "docker" / A
    for number in range(50):
        (deep / f"made-by-it-{number}").mkdir(parents=True)
    (tree[""] / "docker" / B).mkdir()
    cgroups = Cgroups(tree, clock=clock)
    assert cgroups.place_of(key_of(f"{tree['']}/docker/{B}", "")).container_id == B
    assert cgroups.walks_cut == 1


def test_keys_are_bounded(tree, clock, monkeypatch):
    monkeypatch.setattr(cgroups_module, "KEYS", 10)
    cgroups = Cgroups(tree, clock=clock)
    for key in range(1, 101):
        cgroups.learn(key, f"/docker/{key:064x}")
    assert [key for key in range(1, 101) if cgroups.is_known(key)] == list(range(91, 101))


def test_a_removed_cgroup_is_known_until_many_others_were_removed(tree, clock, monkeypatch):
    monkeypatch.setattr(cgroups_module, "REMOVED", 10)
    cgroups = Cgroups(tree, clock=clock)
    for key in range(1, 101):
        cgroups.learn(key, f"/docker/{key:064x}")
        cgroups.forget(key)
        assert cgroups.place_of(key).container_id == f"{key:064x}"  # its records may still come
    assert [key for key in range(1, 101) if cgroups.is_known(key)] == list(range(91, 101))


def test_a_number_that_is_used_again_is_the_new_cgroups(tree, clock, monkeypatch):
    monkeypatch.setattr(cgroups_module, "REMOVED", 2)
    cgroups = Cgroups(tree, clock=clock)
    cgroups.learn(1, f"/docker/{A}")
    cgroups.forget(1)
    cgroups.learn(1, f"/docker/{B}")
    for key in range(2, 10):
        cgroups.learn(key, "/system.slice")
        cgroups.forget(key)
    assert cgroups.place_of(1).container_id == B


def test_a_node_in_a_container_takes_what_lies_above_it_for_the_host(tree, clock):
    pod = tree[""] / "kubelet" / f"pod{UID}" / B
    pod.mkdir(parents=True)
    cgroups = Cgroups(tree, clock=clock)
    assert cgroups.told(pod.stat().st_ino, f"/docker/{A}/kubelet/pod{UID}/{B}") == Place(B, UID, True)
    assert cgroups.told(99, f"/docker/{A}/kubelet/pod{UID}/{'c' * 64}") == Place("c" * 64, UID, True)  # one that is gone already
    assert cgroups.told(98, f"/docker/{'d' * 64}/kubelet/{B}").container_id == "d" * 64  # another node's


def test_many_containers_one_after_the_other_are_forgotten(tree, clock, tmp_path):
    containers = Containers(Cgroups(tree, clock=clock), Runtimes(tmp_path), clock=clock)
    for number in range(1, 10_001):
        container_id = f"{number:064x}"
        for hierarchy in range(5):
            containers.made(hierarchy << 56 | number, f"/kubepods/pod{UID}/{container_id}")
        containers.running.joins(container_id, (number, number))
        containers.running.starts(container_id, number)
        assert containers.removed(number) == container_id
        assert containers.running.removed(container_id, number)
        for hierarchy in range(1, 5):
            containers.removed(hierarchy << 56 | number)
    held = (containers._known, containers._retry_at, containers._pod_uids, containers._gone)
    assert [len(one) for one in held] == [GONE] * 4
    assert len(containers._cgroups._places) == cgroups_module.REMOVED + len(tree)  # with the two roots
    assert (len(containers.running), len(containers.running._members)) == (0, 0)


def test_a_container_runs_from_its_first_exec_to_its_last_process():
    running = Running()
    running.joins(A, (1, 10))
    assert running.starts(A, 5)
    assert not running.starts(A, 5)
    running.joins(A, (2, 20))
    assert not running.leaves(A, (1, 10))
    assert not running.leaves(A, (3, 30))  # never was in it
    assert running.leaves(A, (2, 20))
    assert running.starts(A, 5)  # again


def test_a_container_that_ran_no_program_does_not_stop():
    running = Running()
    running.joins(A, (1, 10))
    assert not running.leaves(A, (1, 10))


def test_a_removed_cgroup_stops_what_runs_in_its_hierarchy_alone():
    running = Running()
    running.starts(A, 1 << 56 | 5)
    assert not running.removed(A, 3 << 56 | 5)
    assert running.removed(A, 1 << 56 | 9)
    assert not running.removed(A, 1 << 56 | 9)


def test_a_container_that_no_file_describes_is_said_so_and_looked_for_again_later(tree, clock, tmp_path):
    containers = Containers(Cgroups(tree, clock=clock), Runtimes(tmp_path), clock=clock)
    containers.made(7, f"/kubepods/burstable/pod{UID}/{A}")
    found = containers.of(containers.id_of(7))
    assert (found.container.id, found.container.resolved, found.pod.uid) == (A, False, UID)
    folder = tmp_path / "run/containerd/io.containerd.runtime.v2.task/k8s.io" / A
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"annotations": {"io.kubernetes.cri.container-name": "web"}}')
    assert containers.of(A).container.resolved is False  # not at every question
    clock.now += RETRY_SECONDS
    assert (containers.of(A).container.resolved, containers.of(A).container.name) == (True, "web")
    assert containers.of(A) is containers.of(A)


def test_the_moment_of_the_start_outlives_a_later_look(tree, clock, tmp_path):
    containers = Containers(Cgroups(tree, clock=clock), Runtimes(tmp_path), clock=clock)
    containers.started(A, 1_773_282_600_000_000_000)
    clock.now += RETRY_SECONDS
    assert containers.of(A).container.started_at == "2026-03-12T02:30:00Z"


def test_the_host_and_unknown_cgroups_are_told_apart(tree, clock, tmp_path):
    containers = Containers(Cgroups(tree, clock=clock), Runtimes(tmp_path), clock=clock)
    containers.made(7, "/system.slice/ssh.service")
    assert (containers.id_of(0), containers.id_of(7), containers.id_of(8)) == (None, None, None)
    assert [containers.is_unknown(key) for key in (0, 7, 8)] == [False, False, True]
    assert containers.unknown_keys == 1
    assert containers.of(None) is HOST


def test_a_removed_cgroup_names_the_container_whose_own_it_was(tree, clock, tmp_path):
    containers = Containers(Cgroups(tree, clock=clock), Runtimes(tmp_path), clock=clock)
    containers.made(7, f"/docker/{A}")
    containers.made(8, f"/docker/{A}/below")
    assert [containers.removed(key) for key in (8, 7, 9)] == [None, A, None]
