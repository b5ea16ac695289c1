"""How many records a second one core decodes and judges with the shipped library: records of real acts, replayed. Needs root.

The kernel's filters are the library's, so a mix holds what an agent gets to see. Below each mix: what its kinds cost, a record.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchkeeper_cli.policy_set import library_program
from watchkeeper_sensor.agent import Agent
from watchkeeper_sensor.events import EventStream
from watchkeeper_sensor.kernel.libbpf import BpfUnavailableError
from watchkeeper_sensor.kernel.programs import object_path, require_machine
from watchkeeper_sensor.kernel.records import HEADER, KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchkeeper_sensor.decoding.kernel_event import KernelEvent

ORDINARY = """
cat > a.c <<'C'
#include <stdio.h>
int main(void) { puts("x"); return 0; }
C
for round in 1 2 3 4 5 6 7 8; do
    cc -O1 -o a a.c || clang-14 -O1 -o a a.c
    for file in /etc/*.conf; do grep -q root $file; done
    dpkg -l | tail -3; apt-cache policy bash; ps aux | wc -l; ls -la /usr/bin | sort | tail -2; date; id; uname -a; env | sort | head -2
    find /etc -name '*.d' | sort | head; tar cf - /etc | gzip | wc -c; awk -F: '{print $1}' /etc/passwd; sed -n 1p /etc/hosts
    cp /etc/services t1; mv t1 t2; chmod 644 t2; rm t2; mkdir d; rmdir d; openssl version
    python3 -c 'import json, urllib.request, ssl'
done
"""
CHANGES = """
python3 - <<'P'
import os, time
end = time.monotonic() + 4
while time.monotonic() < end:
    with open("one.conf", "w") as file:
        file.write("x")
    os.chmod("one.conf", 0o600)
    os.rename("one.conf", "two.conf")
    os.unlink("two.conf")
    os.mkdir("folder")
    os.rmdir("folder")
P
"""
CONNECTIONS = "cc -O1 -o loop {loop} || clang-14 -O1 -o loop {loop}; ./loop connect 6000 x"
PROCESSES = "for number in $(seq 3000); do /bin/true $number; done"
MIXES = {
    "an ordinary host": ORDINARY,
    "a flood of files": CHANGES,
    "a flood of connections": CONNECTIONS.format(loop=Path(__file__).with_name("host_loop.c")),
    "a storm of processes": PROCESSES,
}
ROUNDS = 7
SHOWN = 6  # kinds of a mix

Rows = list[tuple[tuple[Any, ...], bytes]]


def main() -> None:
    try:
        require_machine(object_path())
    except BpfUnavailableError as reason:
        print(f"skipped: {reason}", file=sys.stderr)
        return
    agent = Agent(object_path(), library_program())
    mixes = {name: recorded(agent, script) for name, script in MIXES.items()}
    agent.close()
    gc.collect()
    gc.freeze()
    print(f"{'mix':24} {'records':>9} {'decode/s':>12} {'decode + judge/s':>17} {'of the goal of 300,000':>23}")
    for name, rows in mixes.items():
        replayed = Replayed(agent, rows)
        decode, both = replayed.rate(lambda _event: None), replayed.rate(replayed.judge)
        print(f"{name:24} {len(rows):9,} {decode:12,.0f} {both:17,.0f} {both / 300_000:23.2f}")
        for kind, count, decoding, judging in replayed.by_kind()[:SHOWN]:
            print(f"    {kind:22} {count / len(rows):7.1%} decode {decoding:6.2f} µs, judge {judging:6.2f} µs")


def recorded(agent: Agent, script: str) -> Rows:
    """What the kernel tells while the script runs, in order."""
    taken: list[bytes] = []
    lost_before = sum(agent.kernel.losses().values())
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(["sh", "-c", script], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ran,
    ):
        while ran.poll() is None:
            agent.kernel.rings.wait(0.05)
            for ring in agent.kernel.rings.rings:
                taken += ring.take(100_000)
    lost = sum(agent.kernel.losses().values()) - lost_before
    if lost:
        print(f"{lost:,} records of a mix were lost")
    return sorted(((HEADER.unpack_from(record), record) for record in taken), key=lambda row: row[0][4])


class Replayed:
    """Records, decoded and judged again and again; the rounds share what the agent remembers, as the hours of a host do."""

    def __init__(self, agent: Agent, rows: Rows) -> None:
        self._agent = agent
        self._rows = rows
        self.judge = agent.engine.matcher.match_now

    def rate(self, judge: Callable[[KernelEvent], object]) -> float:
        """Records a second, best round."""
        best = float("inf")
        for _ in range(ROUNDS):
            stream = EventStream(self._agent.around)
            start = time.process_time()
            for _, record in self._rows:
                event = stream.event(HEADER.unpack_from(record), record)
                if event is not None:
                    judge(event)
            best = min(best, time.process_time() - start)
        return len(self._rows) / best

    def by_kind(self) -> list[tuple[str, int, float, float]]:
        """Kind, records, µs to decode one, µs to judge it; the dearest kinds first. The clock's own time is taken off."""
        decoding: defaultdict[str, float] = defaultdict(float)
        judging: defaultdict[str, float] = defaultdict(float)
        counts: Counter[str] = Counter()
        clock = time.perf_counter
        idle = min(-clock() + clock() for _ in range(1000))
        stream = EventStream(self._agent.around)
        for header, record in self._rows:
            kind = KINDS.get(header[0], str(header[0]))
            start = clock()
            event = stream.event(header, record)
            decoded = clock()
            if event is not None:
                self.judge(event)
            judging[kind] += clock() - decoded - idle
            decoding[kind] += decoded - start - idle
            counts[kind] += 1
        kinds = sorted(counts, key=lambda kind: -decoding[kind] - judging[kind])
        return [(kind, counts[kind], decoding[kind] / counts[kind] * 1e6, judging[kind] / counts[kind] * 1e6) for kind in kinds]


if __name__ == "__main__":
    main()
