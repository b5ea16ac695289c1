"""Judges the JUnit report of a run: failures, and skips that the table of expected ones does not have.

The table (TOML) holds for each series, and under `all` for every one, patterns of test ids (`*` stands for anything) and a part of the reason that each
such skip gives. A row that no skip of the run matches is refused as well: the table says what is, not what was.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from pathlib import Path

REPORT = "junit.xml"


@dataclass(frozen=True)
class Outcome:
    test: str
    outcome: str
    reason: str


def outcomes(report: Path) -> list[Outcome]:
    """One row per test, `tests.bpf.test_x::test_y[case]`; outcome is passed, skipped, failure or error."""
    rows = []
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 (written by our own guest)
        ended = next((child for child in case if child.tag in {"skipped", "failure", "error"}), None)
        name = f"{case.get('classname')}::{case.get('name')}"
        rows.append(Outcome(name, "passed", "") if ended is None else Outcome(name, ended.tag, ended.get("message") or ""))
    return rows


def expected_skips(table: Path, series: str) -> dict[str, str]:
    """Pattern → reason, for a series."""
    rows = tomllib.loads(table.read_text())
    return {**rows.get("all", {}), **rows.get(series, {})}


def explains(pattern: str, reason: str, skipped: Outcome) -> bool:
    return reason in skipped.reason and re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), skipped.test) is not None


def complaints(rows: list[Outcome], expected: dict[str, str]) -> list[str]:
    """What is not as it should be, in words; empty when all is well."""
    if not rows:
        return ["no test ran"]
    said = [f"{row.test}: {row.outcome}: {row.reason.partition(chr(10))[0]}" for row in rows if row.outcome in {"failure", "error"}]
    skipped = [row for row in rows if row.outcome == "skipped"]
    said += [f"{row.test}: skipped, which is not expected: {row.reason}" for row in skipped if not any(explains(*one, row) for one in expected.items())]
    said += [
        f"{one[0]}: expected to be skipped ({one[1]}), and no such test was" for one in expected.items() if not any(explains(*one, row) for row in skipped)
    ]
    return said


def judge(folder: Path, table: Path, series: str) -> tuple[str, list[str]]:
    """A count in words, and the complaints, about the report that a kernel's run left in the folder."""
    report = folder / series / REPORT
    if not report.exists():
        return "no report", [f"the run left no {REPORT}"]
    rows = outcomes(report)
    counts = {kind: sum(row.outcome == kind for row in rows) for kind in ("passed", "skipped", "failure", "error")}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count), complaints(rows, expected_skips(table, series))
