"""What the sensor adds to an operation of the host: nothing attached, full library, file filtered out, file reported. Needs root.

Each round measures all of them one after the other, so that a noisy minute hits all alike; minimum and median of the rounds.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchkeeper_sensor.kernel.libbpf import BpfUnavailableError
from watchkeeper_sensor.kernel.programs import object_path, require_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 5
COUNTS = {"getppid": 1_000_000, "write": 500_000, "open-fails": 300_000, "open": 200_000, "rename": 50_000, "exec": 1_000, "connect": 10_000}
LOOP = Path(__file__).with_name("host_loop.c")
COMMAND = Path(sys.executable).with_name("watchkeeper")
START_SECONDS = 90.0  # on a machine that does much else
GOALS = {"getppid": "≤ 105", "write": "≤ 105", "open": "filtered ≤ 300, reported ≤ 1,400", "exec": "≤ +5 %"}

REPORTED = """
apiVersion: watchkeeper.dev/v1alpha1
kind: RuntimePolicy
metadata: {{name: bench-reported, namespace: watchkeeper}}
spec:
  title: Measured file
  rules:
  - name: opened
    "on": [file.open]
    when: file.path == "{path}" && file.claimed_path != "" && process.uid == 4294967294 # the claimed path: so that repeats are told, not counted
    severity: P4
"""


@contextmanager
def sensor(*options: str, stdout: Any = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
    """`watchkeeper up`, running and attached."""
    with tempfile.TemporaryDirectory() as state:
        process = subprocess.Popen([COMMAND, "up", "--output", "json", "--state", state, *options], stdout=stdout, stderr=subprocess.PIPE)
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        end, said = time.monotonic() + START_SECONDS, b""
        while b"watching" not in said and time.monotonic() < end:
            said += process.stderr.read() or b""
            time.sleep(0.05)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            process.stderr.close()


def measured(loop: Path, act: str, path: Path) -> float:
    """Nanoseconds per operation."""
    return float(subprocess.run([loop, act, str(COUNTS[act]), path], check=True, capture_output=True, text=True).stdout)


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
    with tempfile.TemporaryDirectory() as folder:
        loop, watched, other = Path(folder, "loop"), Path(folder, "watched"), Path(folder, "other")
        subprocess.run([compiler, "-O2", "-o", loop, LOOP], check=True)
        watched.touch()
        other.touch()
        policy = Path(folder, "policy.yaml")
        policy.write_text(REPORTED.format(path=watched))
        table: dict[tuple[str, str], list[float]] = {}
        for _ in range(ROUNDS):
            for act in COUNTS:
                table.setdefault((act, "nothing"), []).append(measured(loop, act, other))
            with sensor("--policies", str(policy)):
                for act in COUNTS:
                    table.setdefault((act, "library"), []).append(measured(loop, act, other))
                table.setdefault(("open", "reported"), []).append(measured(loop, "open", watched))
        show(table)


def show(table: dict[tuple[str, str], list[float]]) -> None:
    print(f"{'operation':12} {'condition':10} {'min ns':>12} {'median ns':>12} {'added':>10}   goal")
    for (act, condition), values in table.items():
        nothing = min(table[(act, "nothing")])
        added = "" if condition == "nothing" else f"{min(values) - nothing:+,.0f} ({(min(values) / nothing - 1) * 100:+.1f} %)"
        print(
            f"{act:12} {condition:10} {min(values):12,.1f} {statistics.median(values):12,.1f} {added:>18}   {GOALS.get(act, '') if condition != 'nothing' else ''}"
        )


if __name__ == "__main__":
    main()
