"""What a flood costs those who had no part in it: nothing, while there is room kept for them."""

import os
import time

from tests.bpf.test_containers import cgroup

FLOOD = 120_000  # acts: more records than the ring has room for
PROBES = 200


def flooded(path, count):
    """Acts that are told each, as fast as they can be made."""
    file = os.open(path, os.O_RDONLY)
    for number in range(count):
        os.fchmod(file, 0o600 + number % 2)


def test_one_cgroups_flood_leaves_room_for_the_others(watch, tmp_path, in_child):
    """Nobody reads the ring meanwhile: the agent is behind. The one that floods loses at its own rate, others lose nothing."""
    (tmp_path / "file").touch()
    (tmp_path / "mine").touch()
    watching = watch("file.chmod", "file.mkdir")
    with cgroup("watchkeeper-flood") as folder:

        def act():
            (folder / "cgroup.procs").write_text(str(os.getpid()))
            flooded(tmp_path / "file", FLOOD)

        before = watching.sensor.losses()
        pid, status = in_child(act)
        assert status == 0
        for number in range(PROBES):
            (tmp_path / "mine").chmod(0o600 + number % 2)
        waiting = watching.sensor.rings.rings[1].waiting_bytes
        told = watching.events("file.chmod", process=os.getpid(), count=PROBES)
        time.sleep(0.1)
        lost = {key: count - before.get(key, 0) for key, count in watching.sensor.losses().items() if count != before.get(key, 0)}
    assert len(told) == PROBES
    assert waiting > watching.sensor.rings.rings[1].size / 2, "the agent was not behind"
    assert {(kind, cause) for kind, cause, _ in lost} == {("file.chmod", "rate_limit")}
    of_flood = len(watching.events("file.chmod", process=pid))
    assert of_flood + sum(lost.values()) == FLOOD
