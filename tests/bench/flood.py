"""Floods: 200,000 told opens a second for a minute, then as many as the machine can make, with the full library. What is lost, how late detections come.

Beside the flood a program is run ten times a second whose exec is a detection: none of them may be lost, and its delay is the agent's. Needs root.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket

from tests.bench.host import sensor

from watchkeeper_sensor.kernel.libbpf import BpfUnavailableError
from watchkeeper_sensor.kernel.programs import object_path, require_machine

SOURCE = Path(__file__).with_name("flood.c")
RUNS = (("quiet", 0, 10), ("200,000 a second", 200_000, 60), ("burst of 2,000,000 a second", 2_000_000, 3))
EXECS_PER_SECOND = 10
PROCESSES = 2
PATIENCE_SECONDS = 30.0
CALM_MS = 50.0
POLICY = """
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {{name: bench-flood, namespace: watchkeeper}}
spec:
  title: Flood
  rules:
  - name: opened
    "on": [file.open]
    when: file.path.startsWith("{folder}/") && file.claimed_path != "" && process.uid == 4294967294 # the claimed path: so that repeats are told, not counted
    severity: P4
  - name: ran
    "on": [process.exec]
    when: process.exe == "{program}"
    severity: P4
"""


class Metrics(HTTPConnection):
    """The agent's metrics, by name."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket(AF_UNIX, SOCK_STREAM)
        self.sock.connect(self._path)

    def sum_of(self, name: str, label: str = "") -> int:
        self.request("GET", "/metrics")
        text = self.getresponse().read().decode()
        return sum(int(float(found[2])) for found in re.finditer(rf"^{name}(?:_total)?(\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE) if label in (found[1] or ""))


class Canary(threading.Thread):
    """Runs a program again and again."""

    def __init__(self, program: Path) -> None:
        super().__init__(daemon=True)
        self._program, self._ended, self.runs = program, threading.Event(), 0

    def run(self) -> None:
        while not self._ended.wait(1 / EXECS_PER_SECOND):
            subprocess.run([self._program], check=True)
            self.runs += 1

    def end(self) -> None:
        self._ended.set()
        self.join()


def main() -> None:
    try:
        require_machine(object_path())
    except BpfUnavailableError as reason:
        print(f"skipped: {reason}", file=sys.stderr)
        return
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang") or shutil.which("clang-14")
    if compiler is None:
        print("skipped: no C compiler", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([compiler, "-O2", "-o", folder / "flood", SOURCE], check=True)
        shutil.copy("/bin/true", folder / "ran")
        (folder / "files").mkdir()
        (folder / "policy.yaml").write_text(POLICY.format(folder=folder / "files", program=folder / "ran"))
        output, socket_path = folder / "output", folder / "metrics"
        with (
            output.open("wb") as stdout,
            sensor("--policies", str(folder / "policy.yaml"), "--severity", "P4", "--metrics", f"unix:{socket_path}", stdout=stdout) as running,
        ):
            for title, rate, seconds in RUNS:
                measure(title, rate, seconds, folder, Metrics(socket_path), running.pid)


def measure(title: str, rate: int, seconds: int, folder: Path, metrics: Metrics, pid: int) -> None:
    written = Written(folder / "output")
    written.start()
    canary = Canary(folder / "ran")
    told, lost = metrics.sum_of("watchkeeper_sensor_events"), metrics.sum_of("watchkeeper_sensor_records_lost")
    others = metrics.sum_of("watchkeeper_sensor_records_lost", 'kind="process.')
    canary.start()
    start, opened = time.monotonic(), 0
    if rate:
        words = [folder / "flood", folder / "files", str(rate / PROCESSES), str(seconds)]
        floods = [subprocess.Popen(words, stdout=subprocess.PIPE) for _ in range(PROCESSES)]
        opened = sum(int(flood.communicate()[0]) for flood in floods)
    else:
        time.sleep(seconds)
    took, ended_at = time.monotonic() - start, time.time()
    time.sleep(PATIENCE_SECONDS / 5)
    canary.end()
    end = time.monotonic() + PATIENCE_SECONDS
    while len(written.delays) < canary.runs and time.monotonic() < end:
        time.sleep(0.1)
    written.end()
    told, lost = metrics.sum_of("watchkeeper_sensor_events") - told, metrics.sum_of("watchkeeper_sensor_records_lost") - lost
    others = metrics.sum_of("watchkeeper_sensor_records_lost", 'kind="process.') - others
    report(title, opened, took, told, lost, others)
    ms = sorted(delay for _, delay in written.delays)
    calm = next((at - ended_at for at, delay in written.delays if at > ended_at and delay <= CALM_MS), None)
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20
    print(
        f"  execs: {len(ms)} of {canary.runs} detected; act to detection p50 {ms[len(ms) // 2]:.0f} ms, p99 {ms[len(ms) * 99 // 100]:.0f} ms (goal ≤ 50 quiet); "
        f"calm {'again ' + format(max(calm, 0.0), '.1f') + ' s after' if calm is not None else 'not again'} (goal ≤ 2 s); {resident:.0f} MiB resident",
        flush=True,
    )


def report(title: str, opened: int, took: float, told: int, lost: int, others: int) -> None:
    print(
        f"{title}: {opened:,} opens in {took:.0f} s ({opened / took:,.0f} a second): {told:,} events told + {lost:,} counted as lost = {told + lost:,}; lost of processes {others}"
    )


class Written(threading.Thread):
    """Notes when lines of the output appear."""

    def __init__(self, output: Path) -> None:
        super().__init__(daemon=True)
        self._output, self._ended = output, threading.Event()
        self.delays: list[tuple[float, float]] = []  # (when the program ran, in seconds since the epoch; milliseconds until its detection was written)

    def run(self) -> None:
        with self._output.open("rb") as lines:
            lines.seek(0, os.SEEK_END)
            rest = b""
            while not self._ended.wait(0.002):
                seen_at, read = time.time(), rest + lines.read()
                *whole, rest = read.split(b"\n")
                for line in whole:
                    found = json.loads(line)
                    if found.get("rule") == "ran":
                        at = datetime.fromisoformat(found["observed_at"]).timestamp()
                        self.delays.append((at, (seen_at - at) * 1000))

    def end(self) -> None:
        self._ended.set()
        self.join()


if __name__ == "__main__":
    main()
