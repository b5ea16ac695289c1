"""`make score-host`: perform every act of a table on this host and say which the shipped library saw, and under which technique.

The table has the columns action, rule, technique, maturity. An act counts as seen when a detection names one of its own processes; `right` when one of
those detections has the act's ATT&CK technique, or a more or less exact form of it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.bench.host import sensor
from tests.host.acts import ACTS, CONTAINER, PRIVILEGED
from tests.host.container import HandMadeContainer

SETTLE_SECONDS = 2.6  # thresholds and sequences wait two seconds for late records
SHARE_OF_ALL = 0.70


def same_technique(wanted: str, got: str) -> bool:
    return wanted.startswith("TA") or got.partition(".")[0] == wanted.partition(".")[0]


def perform(name: str) -> int:
    """Process id that the act's processes descend from."""
    if name in CONTAINER:
        with HandMadeContainer(privileged=name in PRIVILEGED) as container:
            pid, _ = container.run(sys.executable, "-m", "tests.host.acts", name)
        return pid
    with subprocess.Popen([sys.executable, "-m", "tests.host.acts", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        process.wait()
    return process.pid


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if row["action"].startswith(("syscall.", "suite:"))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--only", help="Acts whose name contains this.")
    options = parser.parse_args()
    rows = [row for row in rows_of(options.table) if not options.only or options.only in row["action"]]
    roots: dict[int, str] = {}
    with tempfile.NamedTemporaryFile() as output:
        with sensor("--severity", "P4", stdout=output):
            for row in rows:
                if row["action"] in ACTS:
                    roots[perform(row["action"])] = row["action"]
            time.sleep(SETTLE_SECONDS)
        found = seen(Path(output.name), roots)
    return report(rows, found)


def seen(output: Path, roots: dict[int, str]) -> dict[str, list[dict[str, object]]]:
    """Act → detections of its processes."""
    found: dict[str, list[dict[str, object]]] = {}
    for line in output.read_text().splitlines():
        detection = json.loads(line)
        who = detection.get("act") or {}
        for process in (who.get("process_id"), *who.get("ancestor_process_ids", ())):
            if process in roots:
                found.setdefault(roots[process], []).append(detection)
                break
    return found


def counted(detections: list[dict[str, object]]) -> list[str]:
    """Each rule with its severity, the gravest first, and how often it held where that was more than once."""
    rules = Counter((one["severity"], f"{one['policy']}/{one['rule']}") for one in detections)
    return [f"{rule} {severity}{f' x{count}' if count > 1 else ''}" for (severity, rule), count in sorted(rules.items())]  # type: ignore[type-var]


def repeated(rows: list[dict[str, str]], found: dict[str, list[dict[str, object]]]) -> None:
    """Acts that raised more than one detection, the start of their container left out."""
    for row in rows:
        of_the_act = [one for one in found.get(row["action"], ()) if one["policy"] != "container-strong-start"]
        if len(of_the_act) > 1:
            print(f"more than one: {row['action']}: {', '.join(counted(of_the_act))}")


def report(rows: list[dict[str, str]], found: dict[str, list[dict[str, object]]]) -> int:
    totals: dict[str, list[int]] = {}
    for row in rows:
        detections = found.get(row["action"], [])
        techniques = {technique for detection in detections for technique in detection["attack"]}  # type: ignore[attr-defined]
        right = bool(detections) and (not row["technique"] or any(same_technique(row["technique"], one) for one in techniques))
        mark = "right" if right else "seen" if detections else "MISSED" if row["action"] in ACTS else "no act"
        print(f"{mark:7} {row['maturity'] or '-':10} {row['technique'] or '-':10} {row['action']:75} {', '.join(counted(detections))[:160]}")
        for group in (row["maturity"], "all"):
            total = totals.setdefault(group, [0, 0, 0])
            total[0] += 1
            total[1] += bool(detections)
            total[2] += right
    for group, (count, any_, right_) in totals.items():
        print(f"{group:10} {count:3} acts, seen {any_} ({any_ / count:.0%}), with the right technique {right_} ({right_ / count:.0%})")
    repeated(rows, found)
    stable, everything = totals.get("stable", [0, 0, 0]), totals["all"]
    return 0 if stable[2] == stable[0] and everything[2] >= SHARE_OF_ALL * everything[0] else 1


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("root is needed to load the sensor and to perform the acts")
    sys.exit(main())
