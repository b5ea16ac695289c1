"""Floods beside the sensor with the full library: what is lost and counted, that no exec or exit is, and how late detections are written. Needs root.

The flood runs in a cgroup of its own; probes beside it, in another, say how the rest of the host fares. A detection's delay is from the kernel's record of
the act to the line that `up` prints, which comes after the spool has it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.bench.host import sensor
from tests.bench.soak import ROOTS, resident_mib

from watchkeeper_sensor.kernel.libbpf import BpfUnavailableError
from watchkeeper_sensor.kernel.programs import object_path, require_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = Path(__file__).with_name("flood.c")
FLOOD_RATE, FLOOD_SECONDS = 200_000, 60.0
BURST_SECONDS = 2.0
PROCESSES_A_SECOND = 50
PROBE_SECONDS = 0.02
GOAL_MS, GOAL_RECOVERY = 50.0, 2.0
SETTLE_SECONDS = 5.0

POLICY = """
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {{name: bench-flood, namespace: watchkeeper}}
spec:
  title: Measured acts
  rules:
  - {{name: probe, "on": [file.rename], when: 'file.path.startsWith("{probes}/")', severity: P4}}
  - {{name: began, "on": [process.exec], when: 'process.exe == "{program}"', severity: P4}}
  - {{name: ended, "on": [process.exit], when: 'process.exe == "{program}"', severity: P4}}
"""


@dataclass(slots=True)
class Seen:
    """Detections of our acts as `up` prints them: rule → (when it was printed, milliseconds after the act), in order."""

    came: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {"probe": [], "began": [], "ended": []})

    def read(self, lines: IO[bytes]) -> None:
        for line in lines:
            now = time.time()
            detection = json.loads(line)
            if detection["policy"].endswith("bench-flood"):
                happened = datetime.fromisoformat(detection["observed_at"]).timestamp()
                self.came[detection["rule"]].append((time.monotonic(), (now - happened) * 1e3))


@dataclass(frozen=True, slots=True)
class Done:
    acts: int
    processes: int
    seconds: float


class Bench:
    """The sensor runs; floods come and go."""

    def __init__(self, folder: Path, running: subprocess.Popen[bytes], metrics: Path, seen: Seen) -> None:
        self.folder, self.running, self.seen = folder, running, seen
        self._metrics = metrics
        self._cgroup = next((root for root in ROOTS if (root / "cgroup.procs").exists()), None)

    def counts(self, name: str) -> dict[str, int]:
        """Kind → what a metric says of it."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._metrics))
            connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        rows = [line for line in text.splitlines() if line.startswith(f"{name}_total{{")]
        return {line.partition('kind="')[2].partition('"')[0]: int(float(line.rpartition(" ")[2])) for line in rows}

    def flood(self, rate: float, seconds: float) -> Done:
        """Run a flood in a cgroup of its own, where cgroups can be had."""
        cgroup = self._cgroup / "watchkeeper-bench" if self._cgroup else None
        if cgroup:
            cgroup.mkdir(exist_ok=True)
        enter = f"echo $$ > {cgroup}/cgroup.procs; " if cgroup else ""
        words = [self.folder / "flood", self.folder / "flooded", seconds, rate, self.folder / "short", PROCESSES_A_SECOND]
        ran = subprocess.run(["sh", "-c", f"{enter}exec {' '.join(map(str, words))}"], check=True, capture_output=True, text=True)
        acts, processes, took = ran.stdout.split()
        if cgroup:
            with contextlib.suppress(OSError):
                cgroup.rmdir()
        return Done(int(acts), int(processes), float(took))

    @contextlib.contextmanager
    def probing(self) -> Iterator[None]:
        """Acts that are to be detected, fifty a second."""
        is_over = threading.Event()
        place = self.folder / "probes" / "one"
        place.touch()

        def probe() -> None:
            while not is_over.wait(PROBE_SECONDS):
                place.rename(place.with_suffix(".moved"))
                place.with_suffix(".moved").rename(place)

        thread = threading.Thread(target=probe)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


def measure(bench: Bench, name: str, rate: float, seconds: float) -> None:
    names = ("watchkeeper_sensor_records_told", "watchkeeper_sensor_records_lost", "watchkeeper_sensor_acts_repeated")
    before = [bench.counts(one) for one in names]
    seen = {rule: len(came) for rule, came in bench.seen.came.items()}
    with bench.probing():
        done = bench.flood(rate, seconds)
        ended = time.monotonic()
        time.sleep(SETTLE_SECONDS)
    time.sleep(1.0)
    told, lost, repeated = ({kind: count - was.get(kind, 0) for kind, count in bench.counts(one).items()} for one, was in zip(names, before, strict=True))
    acts = "file.chmod"
    accounted = sum(counts.get(acts, 0) for counts in (told, lost, repeated))
    print(f"{name}: {done.acts / done.seconds:,.0f} acts a second for {done.seconds:.0f} s ({rate:,.0f} asked for)" if rate else
          f"{name}: {done.acts / done.seconds:,.0f} acts a second for {done.seconds:.1f} s, all that this machine makes")  # fmt: skip
    print(f"    {acts}: {done.acts:,} done, {told.get(acts, 0):,} told, {lost.get(acts, 0):,} lost and counted; {accounted / done.acts:.4f} accounted for")
    others = {kind: count for kind, count in lost.items() if count and kind != acts}
    print(f"    lost of other kinds: {', '.join(f'{kind} {count:,}' for kind, count in others.items()) or 'none'}")
    began, finished = (len(bench.seen.came[rule]) - seen[rule] for rule in ("began", "ended"))
    print(f"    processes: {done.processes:,} ran; {began:,} execs and {finished:,} exits detected")
    delays = [delay for rule in ("probe", "began") for _, delay in bench.seen.came[rule][seen[rule] :]]
    print(f"    act to detection written: {percentiles(delays)} (goal: p99 ≤ {GOAL_MS:.0f})")
    late = [at for rule in ("probe", "began") for at, delay in bench.seen.came[rule][seen[rule] :] if delay > GOAL_MS and at > ended]
    print(f"    after its end: {max(late, default=ended) - ended:.2f} s until no detection was later than {GOAL_MS:.0f} ms (goal {GOAL_RECOVERY:.0f})")
    print(f"    memory: {resident_mib(bench.running.pid):.1f} MiB resident", flush=True)


def percentiles(delays: list[float]) -> str:
    if len(delays) < 2:
        return "too few detections came"
    cut = statistics.quantiles(delays, n=100)
    return f"median {cut[49]:.1f} ms, p99 {cut[98]:.1f} ms, most {max(delays):.1f} ms"


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seconds", type=float, default=FLOOD_SECONDS, help="how long the flood lasts")
    seconds = ask.parse_known_args()[0].seconds
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang") or shutil.which("clang-14")
    try:
        require_machine(object_path())
    except BpfUnavailableError as reason:
        print(f"skipped: {reason}", file=sys.stderr)
        return
    if compiler is None:
        print("skipped: no C compiler", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory(dir=shared_memory()) as memory:
        folder = Path(place)
        subprocess.run([compiler, "-O2", "-pthread", "-o", folder / "flood", SOURCE], check=True)
        shutil.copy("/bin/true", folder / "short")
        (folder / "probes").mkdir()
        (Path(memory) / "flooded").touch()
        (folder / "flooded").symlink_to(Path(memory) / "flooded")
        policy = folder / "policy.yaml"
        policy.write_text(POLICY.format(probes=folder / "probes", program=folder / "short"))
        run(folder, policy, lambda bench: (measure(bench, "flood", FLOOD_RATE, seconds), measure(bench, "burst", 0, BURST_SECONDS)))


def shared_memory() -> str | None:
    """Where files cost least to change."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def run(folder: Path, policy: Path, floods: Callable[[Bench], object]) -> None:
    out, into = os.pipe()
    seen, metrics = Seen(), folder / "metrics"
    with os.fdopen(out, "rb") as lines, os.fdopen(into, "wb") as output:
        reader = threading.Thread(target=seen.read, args=(lines,))
        reader.start()
        with sensor("--policies", str(policy), "--severity", "P4", "--metrics", f"unix:{metrics}", stdout=output) as running:
            time.sleep(1.0)
            floods(Bench(folder, running, metrics, seen))
        output.close()
        reader.join()


if __name__ == "__main__":
    main()
