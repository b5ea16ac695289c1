"""Lint over a whole library: what is allowed, and still not what its author meant.

Each lint is one small function over the library and one row of `LINTS`. What can't be checked at all (a wrong type, an
unknown field or list, a message that names no field) is not here: `checking.py` refuses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.lint import cases, conditions, guards, upkeep
from watchkeeper_detection.lint.subject import Level, Library, Lint, LintCase, LintedRule, Row, Spot

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LINTS", "Level", "Library", "Lint", "LintCase", "LintedRule", "Row", "Spot", "lint_library"]

LINTS = (
    Row("duplicate-condition", "error", "Two rules have the same condition on the same kinds of event.", conditions.duplicates),
    Row("unguarded-negation", "error", "A condition denies an open field without asking whether it is there.", conditions.unguarded_negations),
    Row("untold-field", "warning", "A rule reads a field that nobody tells yet.", conditions.untold_fields),
    Row(
        "not-indexed",
        "note",
        "A rule is tried on every event of its kinds, because its condition has no necessary test of a closed field.",
        conditions.not_indexed,
    ),
    Row("no-cases", "error", "A policy has no cases.", cases.without_cases),
    Row("no-fires-case", "error", "A rule has no case that fires it.", cases.without_fires_case),
    Row("no-quiet-case", "error", "A policy has no case that looks similar and must stay quiet.", cases.without_quiet_case),
    Row("dead-field", "error", "A rule reads a path of a record that occurs in none of its cases.", cases.dead_fields),
    Row("swallowed-by-unless", "error", "A case that holds a rule back is true whenever the rule is.", guards.swallowed_by_unless),
    Row("swallowed-by-exception", "error", "An exception holds back all that a rule's cases fire.", guards.swallowed_by_exception),
    Row("attacker-chosen-guard", "warning", "What holds a rule back reads only what an attacker can choose.", guards.chosen_by_the_attacker),
    Row("unknown-technique", "error", "An ATT&CK id that the matrix does not have.", upkeep.unknown_techniques),
    Row("no-technique", "warning", "A rule names no ATT&CK technique.", upkeep.without_technique),
    Row("tactic-folder", "note", "No technique of a policy belongs to the tactic of its folder.", upkeep.in_another_tactics_folder),
    Row("no-runbook", "warning", "A rule has no runbook; for P1 and P2 somebody is waiting for one.", upkeep.without_runbook),
    Row("no-blind-spots", "warning", "A policy does not say where it can't see.", upkeep.without_blind_spots),
    Row("urgent-but-unsure", "warning", "A rule calls somebody, and is often wrong.", upkeep.urgent_but_unsure),
    Row("unused-list", "warning", "No rule and no exception reads a list.", upkeep.unused_lists),
    Row("file-name", "warning", "A policy has another name than its file.", upkeep.named_unlike_its_file),
    Row("bare-on", "warning", "The key `on` without quotes is the boolean true for kubectl.", upkeep.bare_keys),
)


def lint_library(library: Library) -> Iterator[Lint]:
    """Every lint of the library, in the order of `LINTS`."""
    for row in LINTS:
        for spot in row.spots(library):
            yield row.lint(spot)
