"""How many records a second one core decodes and judges with the shipped library: records of a real storm, replayed. Needs root."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections import Counter

from watchkeeper_cli.policy_set import library_program
from watchkeeper_sensor.agent import Agent
from watchkeeper_sensor.events import EventStream
from watchkeeper_sensor.kernel.libbpf import BpfUnavailableError
from watchkeeper_sensor.kernel.programs import object_path, require_machine
from watchkeeper_sensor.kernel.records import HEADER, KINDS

STORM = """
import os, socket, subprocess, time
end = time.monotonic() + 6
while time.monotonic() < end:
    subprocess.run(["/bin/true", "a"])
    for _ in range(300):
        os.close(os.open("/etc/hosts", os.O_RDONLY))
        with open("/etc/watchkeeper-bench", "w") as f:
            f.write("x")
        os.chmod("/etc/watchkeeper-bench", 0o644)
        os.rename("/etc/watchkeeper-bench", "/etc/watchkeeper-bench2")
        os.unlink("/etc/watchkeeper-bench2")
"""
ROUNDS = 5


def main() -> None:
    try:
        require_machine(object_path())
    except BpfUnavailableError as reason:
        print(f"skipped: {reason}", file=sys.stderr)
        return
    agent = Agent(object_path(), library_program())
    taken: list[bytes] = []
    with subprocess.Popen([sys.executable, "-c", STORM]) as storm:
        while storm.poll() is None:
            agent.kernel.rings.wait(0.05)
            for ring in agent.kernel.rings.rings:
                taken += ring.take(100_000)
    lost = sum(agent.kernel.losses().values())
    agent.close()
    rows = sorted(((HEADER.unpack_from(record), record) for record in taken), key=lambda row: row[0][4])
    kinds = Counter(KINDS.get(header[0], "cgroup") for header, _ in rows)
    print(f"{len(rows):,} records, {lost:,} lost: {', '.join(f'{kind} {count:,}' for kind, count in kinds.most_common(8))}")
    gc.collect()
    gc.freeze()
    rates = {}
    for name in ("decode", "decode and judge"):
        best = float("inf")
        for _ in range(ROUNDS):
            stream, engine = EventStream(agent.around), agent.engine
            start = time.process_time()
            for _, record in rows:
                event = stream.event(HEADER.unpack_from(record), record)
                if event is not None and name != "decode":
                    engine.matcher.match(event)
            best = min(best, time.process_time() - start)
        rates[name] = len(rows) / best
        print(f"{name:18} {rates[name]:12,.0f} records/s   goal 300,000")


if __name__ == "__main__":
    main()
