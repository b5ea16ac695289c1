"""The process tree and containers: what processes that were there before are taken for."""

import os
import struct
import time

from watchkeeper_sensor.containers import Containers
from watchkeeper_sensor.containers.cgroups import Cgroups
from watchkeeper_sensor.containers.runtimes import Runtimes
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.process import Host
from watchkeeper_sensor.process_tree import ProcessTree

A = "a" * 64


def a_tree(tmp_path):
    containers = Containers(Cgroups({}), Runtimes(tmp_path))
    return ProcessTree(Host("boot", (0,) * 8, {}), containers), containers


def test_a_process_whose_cgroup_was_not_seen_is_placed_by_its_first_record(tmp_path):
    tree, containers = a_tree(tmp_path)
    image = tree.of(4_000_000, 10**9, 0)  # no such process: /proc tells nothing
    assert image.container_id is None
    containers.made(7, f"/docker/{A}")
    assert tree.of(4_000_000, 10**9, 7).container_id == A
    assert not containers.running.starts(A, 7)  # it ran before us
    assert tree.exited(4_000_000, 10**9) == A


def test_a_younger_process_whose_move_was_not_told_still_starts_its_container(tmp_path):
    tree, containers = a_tree(tmp_path)
    young = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + 10**9
    tree.of(4_000_000, young, 0)
    containers.made(7, f"/docker/{A}")
    tree.of(4_000_000, young, 7)
    assert containers.running.starts(A, 7)


def test_a_moved_process_belongs_to_where_it_is_and_earlier_events_to_where_it_was(tmp_path):
    tree, containers = a_tree(tmp_path)
    containers.made(7, f"/docker/{A}")
    containers.made(8, "/system.slice/x.service")
    before = tree.of(4_000_000, 10**9, 7)
    containers.running.starts(A, 7)
    assert tree.moved(4_000_000, 10**9, 8) == A  # it was the last one
    after = tree.of(4_000_000, 10**9, 8)
    assert (before.container_id, after.container_id) == (A, None)
    assert tree.moved(4_000_000, 10**9, 8) is None


def test_the_sensor_itself_is_no_part_of_the_tree(tmp_path):
    tree, _ = a_tree(tmp_path)
    tree.seed()
    assert os.getpid() not in {process_id for process_id, _ in tree._images}


SECOND = 10**9
HOST_MOUNTS, ITS_MOUNTS = 11, 12
RUNTIME, PROGRAM = 4_000_000, 4_000_001  # no such processes: /proc tells nothing


def packed(layout, **values):
    """A record with these values, zero elsewhere."""
    return struct.pack(
        "<" + "".join(layout.formats),
        *(values.get(name, bytes(int(form[:-1])) if form.endswith("s") else 0) for name, form in zip(layout.fields, layout.formats, strict=True)),
    )


def a_host(tmp_path):
    """A tree and its containers; the key 7 is of container A, 9 of a service of the host."""
    containers = Containers(Cgroups({}), Runtimes(tmp_path))
    containers.made(7, f"/docker/{A}")
    containers.made(9, "/system.slice/engine.service")
    return ProcessTree(Host("boot", (HOST_MOUNTS, *(0,) * 7), {}), containers)


def forks(tree, parent, child, cgroup, *, mounts=HOST_MOUNTS, in_namespace=30):
    values = {"child": child, "child_start": SECOND, "child_cgroup": cgroup, "child_in_namespace": in_namespace, "namespaces_mount": mounts}
    tree.forked(packed(records.FORK, **values), tree.of(parent, SECOND, 0))
    return tree.of(child, SECOND, cgroup)


def runs(tree, process, cgroup, *, mounts=ITS_MOUNTS, in_namespace=30):
    """The process runs a program, as the stream takes it."""
    values = {"record_cgroup": cgroup, "container_process": in_namespace, "namespaces_mount": mounts}
    image, _ = tree.executed(packed(records.EXEC, **values), tree.of(process, SECOND, cgroup))
    tree.containers.running.starts(image.container_id, cgroup)
    return image.container_entry, image.entered_container


def a_running_container(tmp_path):
    tree = a_host(tmp_path)
    tree.of(RUNTIME, SECOND, 9)
    forks(tree, RUNTIME, 4_000_100, 9)
    tree.moved(4_000_100, SECOND, 7)
    assert runs(tree, 4_000_100, 7, in_namespace=1) == (True, False)
    return tree


def test_who_is_moved_into_a_running_container_before_it_forks_has_entered_it_and_so_has_the_program_that_its_child_runs(tmp_path):
    tree = a_running_container(tmp_path)
    forks(tree, RUNTIME, PROGRAM, 9)
    tree.moved(PROGRAM, SECOND, 7)
    stage = forks(tree, PROGRAM, PROGRAM + 1, 7)
    assert stage.entered_container
    assert runs(tree, PROGRAM + 1, 7) == (False, True)


def test_who_is_forked_into_a_running_container_has_entered_it_also_when_the_runtime_runs_itself_there_first(tmp_path):
    tree = a_running_container(tmp_path)
    forks(tree, RUNTIME, PROGRAM, 7)
    assert runs(tree, PROGRAM, 7, mounts=HOST_MOUNTS) == (False, True)
    forks(tree, PROGRAM, PROGRAM + 1, 7, mounts=ITS_MOUNTS)
    assert runs(tree, PROGRAM + 1, 7) == (False, True)


def test_the_program_by_which_it_entered_is_the_first_alone(tmp_path):
    tree = a_running_container(tmp_path)
    forks(tree, RUNTIME, PROGRAM, 9)
    told = []
    for _ in range(3):  # the runtime's way in, then what a shell runs in its own place
        runs(tree, PROGRAM, 7)
        told.append(tree.of(PROGRAM, SECOND, 7).enters)
    assert told == [True, False, False]
    forks(tree, PROGRAM, PROGRAM + 1, 7, mounts=ITS_MOUNTS)
    runs(tree, PROGRAM + 1, 7)
    assert not tree.of(PROGRAM + 1, SECOND, 7).enters


def test_who_was_moved_in_unseen_has_entered_by_its_exec(tmp_path):
    tree = a_running_container(tmp_path)
    forks(tree, RUNTIME, PROGRAM, 9)
    assert runs(tree, PROGRAM, 7) == (False, True)


def test_children_of_who_entered_did_not_enter_themselves(tmp_path):
    tree = a_running_container(tmp_path)
    forks(tree, RUNTIME, PROGRAM, 7)
    assert runs(tree, PROGRAM, 7) == (False, True)
    forks(tree, PROGRAM, PROGRAM + 1, 7, mounts=ITS_MOUNTS)
    assert runs(tree, PROGRAM + 1, 7) == (False, False)


def test_a_container_with_the_hosts_processes_begins_with_its_first_program_which_did_not_enter(tmp_path):
    tree = a_host(tmp_path)
    tree.of(RUNTIME, SECOND, 9)
    forks(tree, RUNTIME, PROGRAM, 9)
    tree.moved(PROGRAM, SECOND, 7)
    forks(tree, PROGRAM, PROGRAM + 1, 7)
    assert runs(tree, PROGRAM + 1, 7) == (True, False)


def test_its_own_processes_did_not_enter(tmp_path):
    tree = a_running_container(tmp_path)
    forks(tree, 4_000_100, 4_000_101, 7, mounts=ITS_MOUNTS)
    assert runs(tree, 4_000_101, 7) == (True, False)  # a child of the first process
    forks(tree, 4_000_101, 4_000_102, 7, mounts=ITS_MOUNTS)
    assert runs(tree, 4_000_102, 7) == (False, False)
