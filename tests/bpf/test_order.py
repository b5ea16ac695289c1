"""Records of two rings come out in the order in which things happened."""

import subprocess
import sys
import time

STORM_SECONDS = 4
STORM = """
import os, sys, time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for _ in range(50):
        if os.fork() == 0:
            try:
                os.execv("/nonexistent/program", ["x"])
            except OSError:
                os._exit(0)
    try:
        while True:
            os.waitpid(-1, os.WNOHANG | 0) == (0, 0) and time.sleep(0.0005)
    except ChildProcessError:
        pass
"""


def test_no_act_of_a_process_comes_before_its_fork_nor_after_its_exit(watch):
    watching = watch("process.exec_failed", "process.fork", "process.exit")
    storms = [subprocess.Popen([sys.executable, "-c", STORM, str(STORM_SECONDS)]) for _ in range(2)]
    roots = {storm.pid for storm in storms}
    born, gone, failed, early, late, times_back = set(), set(), 0, 0, 0, 0
    end, last = time.monotonic() + STORM_SECONDS + 1.5, 0
    while time.monotonic() < end:
        watching.sensor.rings.wait(0.05)
        for event in watching.stream.take(watching.sensor.rings.rings):
            moment = event.header[4]
            times_back += moment < last
            last = max(last, moment)
            key = (event.header[7], event.header[6])
            if event.kind == "process.fork" and event.header[7] in roots:
                born.add(event.fork.child_id)
            elif event.kind == "process.exec_failed" and event.exec.path == "/nonexistent/program":
                failed += 1
                early += event.process.id not in born
                late += key in gone
            elif event.kind == "process.exit":
                gone.add(key)
    for storm in storms:
        storm.wait()
    losses = {kind: count for (kind, _, _), count in watching.sensor.losses().items()}
    assert failed > 50  # in an emulated kernel on a busy host; ten thousand elsewhere
    skipped = watching.sensor.skipped_since("process_fork")
    assert (max(0, early - skipped), late, times_back) == (0, 0, 0), f"of {failed}, lost {losses}, {early} early, {skipped} skipped"
    assert not {"process.fork", "process.exit"} & set(losses)
