"""Which ATT&CK techniques the loaded rules look for: as rows for a table, and as a layer for MITRE's Navigator.

Coverage says that a rule names a technique, not that the technique is always caught: what a rule can't see is in its blind spots.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from watchkeeper_detection.attack import MATRIX_VERSION, TACTICS, TECHNIQUES, by_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LAYER_FORMAT = "4.5"
NAVIGATOR_VERSION = "5.2.0"
PLATFORM_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "containers": ("Containers",),
        "cloud": ("IaaS", "Identity Provider", "SaaS", "Office Suite"),
        "linux": ("Linux",),
        "windows": ("Windows",),
    }
)
"""What a user asks for by one word; Kubernetes is MITRE's platform Containers."""


class RuleLike(Protocol):
    """What coverage reads of a checked rule. `attack` may mix ids of v19 and v18."""

    @property
    def policy(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def attack(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """One technique under one tactic.

    rules           names (`policy/rule`) of the rules that name this very technique, sorted
    rules_below     how many rules name one of its sub-techniques
    """

    tactic: str
    technique: str
    name: str
    platforms: tuple[str, ...]
    rules: tuple[str, ...]
    rules_below: int

    @property
    def covered(self) -> bool:
        return bool(self.rules or self.rules_below)


def rules_by_technique(rules: Iterable[RuleLike]) -> dict[str, tuple[str, ...]]:
    """v19 id → sorted names of the rules that name it; ids that ATT&CK does not have are left out (lint reports them)."""
    found: dict[str, set[str]] = defaultdict(set)
    for rule in rules:
        for technique in by_version(rule.attack)[0]:
            if technique in TECHNIQUES:
                found[technique].add(f"{rule.policy}/{rule.rule}")
    return {technique: tuple(sorted(found[technique])) for technique in sorted(found)}


def coverage_rows(rules: Iterable[RuleLike], platforms: Sequence[str] = ()) -> tuple[CoverageRow, ...]:
    """A row per tactic and technique of these platforms (of all, when none is named), covered or not, in the matrix's order."""
    found = rules_by_technique(rules)
    below: dict[str, set[str]] = defaultdict(set)
    for id_, names in found.items():
        parent = TECHNIQUES[id_].parent
        if parent is not None:
            below[parent].update(names)
    return tuple(
        CoverageRow(tactic, technique.id, technique.full_name, technique.platforms, found.get(technique.id, ()), len(below.get(technique.id, ())))
        for tactic in TACTICS
        for technique in TECHNIQUES.values()
        if tactic in technique.tactics and _applies(technique.platforms, platforms)
    )


def coverage_by_tactic(rows: Iterable[CoverageRow]) -> dict[str, tuple[int, int]]:
    """Tactic → (techniques covered, techniques in all); a sub-technique counts as one of its own."""
    counts = {tactic: [0, 0] for tactic in TACTICS}
    for row in rows:
        counts[row.tactic][0] += row.covered
        counts[row.tactic][1] += 1
    return {tactic: (covered, total) for tactic, (covered, total) in counts.items() if total}


def navigator_layer(rules: Iterable[RuleLike], platforms: Sequence[str] = (), *, name: str = "Watchkeeper") -> dict[str, Any]:
    """A layer for https://mitre-attack.github.io/attack-navigator/: score = number of rules, comment = their names."""
    found = {technique: names for technique, names in rules_by_technique(rules).items() if _applies(TECHNIQUES[technique].platforms, platforms)}
    parents = {TECHNIQUES[technique].parent for technique in found}
    return {
        "name": name,
        "versions": {"attack": MATRIX_VERSION, "navigator": NAVIGATOR_VERSION, "layer": LAYER_FORMAT},
        "domain": "enterprise-attack",
        "description": "Techniques that the loaded policies name; the score is the number of rules.",
        "filters": {"platforms": list(platforms) or sorted({platform for row in TECHNIQUES.values() for platform in row.platforms})},
        "sorting": 3,  # by score, highest first
        "layout": {"layout": "side", "showID": True, "showName": True},
        "hideDisabled": False,
        "techniques": [
            *(_layer_technique(technique, names, opened=technique in parents) for technique, names in found.items()),
            *({"techniqueID": parent, "showSubtechniques": True} for parent in sorted(parent for parent in parents if parent) if parent not in found),
        ],
        "gradient": {"colors": ["#e8f1fa", "#08519c"], "minValue": 0, "maxValue": max((len(names) for names in found.values()), default=1)},
        "metadata": [],
        "links": [],
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
    }


def _layer_technique(technique: str, names: tuple[str, ...], *, opened: bool) -> dict[str, Any]:
    return {
        "techniqueID": technique,
        "score": len(names),
        "comment": "\n".join(names),
        "enabled": True,
        "showSubtechniques": opened,
        "metadata": [],
        "links": [],
    }


def _applies(technique: Sequence[str], asked: Sequence[str]) -> bool:
    return not asked or not set(asked).isdisjoint(technique)
