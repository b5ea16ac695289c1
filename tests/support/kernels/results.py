"""Judges the JUnit report of a run: failures, and skips that the table of expected ones does not have.

The table (TOML) holds for each series, and under `all` for every one, patterns of test ids (`*` stands for anything) and a part of the reason that each
such skip gives. A row whose tests ran and were not skipped is refused as well: the table says what is, not what was.
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


def complaints(rows: list[Outcome], expected: dict[str, str]) -> list[str]:
    """What is not as it should be, in words; empty when all is well."""
    if not rows:
        return ["no test ran"]
    said = [f"{row.test}: {row.outcome}: {row.reason.partition(chr(10))[0]}" for row in rows if row.outcome in {"failure", "error"}]
    unexpected = {row.test: row.reason for row in rows if row.outcome == "skipped"}
    for pattern, reason in expected.items():
        meant = [row for row in rows if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), row.test)]
        as_expected = [row for row in meant if row.outcome == "skipped" and reason in row.reason]
        if meant and not as_expected:
            said.append(f"{pattern}: expected to be skipped ({reason}), and no such test was")
        for row in as_expected:
            unexpected.pop(row.test, None)
    return said + [f"{test}: skipped, which is not expected: {reason}" for test, reason in unexpected.items()]


def judge(folder: Path, table: Path, series: str) -> tuple[str, list[str]]:
    """A count in words, and the complaints, about the report that a kernel's run left in the folder."""
    report = folder / series / REPORT
    if not report.exists():
        return "no report", [f"the run left no {REPORT}"]
    rows = outcomes(report)
    counts = {kind: sum(row.outcome == kind for row in rows) for kind in ("passed", "skipped", "failure", "error")}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count), complaints(rows, expected_skips(table, series))
