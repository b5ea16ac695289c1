"""The process tree and containers: what processes that were there before are taken for."""

import os
import time

from watchkeeper_sensor.containers import Containers
from watchkeeper_sensor.containers.cgroups import Cgroups
from watchkeeper_sensor.containers.runtimes import Runtimes
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
