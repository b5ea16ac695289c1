"""MITRE ATT&CK as this product stores it: techniques of v19, and what they were called in v18.

v19 (April 2026) split the tactic Defense Evasion into Stealth and Defense Impairment and gave T1562 and its kin new ids; most tools still speak v18, so outputs carry both.
Source of the renames: the `revoked-by` relations of MITRE's v19 STIX data.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from watchkeeper_detection.attack_matrix import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MATRIX_VERSION = "19"
PREVIOUS_VERSION = "18"


@dataclass(frozen=True, slots=True)
class Tactic:
    """One tactic: what the adversary is after. `previous` is its short name in v18 where that differs."""

    id: str
    short_name: str
    name: str
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class Technique:
    """One technique or sub-technique of v19.

    name       its own name; a sub-technique's full name is `full_name`
    tactics    short names of its tactics, in the order of the matrix
    platforms  platforms that it applies to, as MITRE spells them
    """

    id: str
    name: str
    tactics: tuple[str, ...]
    platforms: tuple[str, ...]

    @property
    def parent(self) -> str | None:
        """Id of the technique that this is a sub-technique of."""
        parent, dot, _ = self.id.partition(".")
        return parent if dot else None

    @property
    def full_name(self) -> str:
        """Parent's and own name, `Valid Accounts: Cloud Accounts`."""
        return self.name if self.parent is None else f"{TECHNIQUES[self.parent].name}: {self.name}"

    @property
    def url(self) -> str:
        return f"https://attack.mitre.org/techniques/{self.id.replace('.', '/')}/"


TACTICS: Mapping[str, Tactic] = MappingProxyType(
    {
        tactic.short_name: tactic
        for tactic in (
            Tactic("TA0043", "reconnaissance", "Reconnaissance"),
            Tactic("TA0042", "resource-development", "Resource Development"),
            Tactic("TA0001", "initial-access", "Initial Access"),
            Tactic("TA0002", "execution", "Execution"),
            Tactic("TA0003", "persistence", "Persistence"),
            Tactic("TA0004", "privilege-escalation", "Privilege Escalation"),
            Tactic("TA0005", "stealth", "Stealth", previous="defense-evasion"),
            Tactic("TA0112", "defense-impairment", "Defense Impairment", previous="defense-evasion"),
            Tactic("TA0006", "credential-access", "Credential Access"),
            Tactic("TA0007", "discovery", "Discovery"),
            Tactic("TA0008", "lateral-movement", "Lateral Movement"),
            Tactic("TA0009", "collection", "Collection"),
            Tactic("TA0011", "command-and-control", "Command and Control"),
            Tactic("TA0010", "exfiltration", "Exfiltration"),
            Tactic("TA0040", "impact", "Impact"),
        )
    }
)

PLATFORMS: Mapping[str, str] = MappingProxyType(
    {
        "C": "Containers",
        "I": "IaaS",
        "P": "Identity Provider",
        "S": "SaaS",
        "O": "Office Suite",
        "L": "Linux",
        "W": "Windows",
        "M": "macOS",
        "E": "ESXi",
        "N": "Network Devices",
        "R": "PRE",
    }
)


def _technique(row: str) -> Technique:
    id_, name, tactics, platforms = row.split("|")
    return Technique(id_, name, tuple(tactics.split()), tuple(PLATFORMS[letter] for letter in platforms))


TECHNIQUES: Mapping[str, Technique] = MappingProxyType({technique.id: technique for technique in map(_technique, ROWS.split("\n")[1:-1])})

REPLACED_IN_V19: Mapping[str, str] = MappingProxyType(
    {
        "T1562": "T1685",
        "T1562.001": "T1685",
        "T1562.002": "T1685.001",
        "T1562.003": "T1690",
        "T1562.004": "T1686",
        "T1562.006": "T1685",
        "T1562.007": "T1686.001",
        "T1562.008": "T1685.002",
        "T1562.009": "T1688",
        "T1562.010": "T1689",
        "T1562.011": "T1685.003",
        "T1562.012": "T1685.004",
        "T1562.013": "T1686.002",
        "T1070.001": "T1685.005",
        "T1070.002": "T1685.006",
        "T1656": "T1684.001",
        "T1672": "T1684.002",
    }
)
"""Ids that v18 had and v19 revoked, each with its successor."""

_NAMES_IN_V18: Mapping[str, str] = MappingProxyType(
    {
        **{current: previous for previous, current in REPLACED_IN_V19.items()},
        "T1685": "T1562.001",  # three ids became one; this one had the name
        "T1686.003": "T1562.004",  # v18 knew host firewalls of every system by this one id
    }
)
_WITHOUT_V18 = frozenset({"T1682", "T1683", "T1683.001", "T1683.002", "T1684", "T1687"})


def current(technique: str) -> str:
    """The v19 id of a technique that may be named by its v18 id."""
    return REPLACED_IN_V19.get(technique, technique)


def with_v18(technique: str) -> tuple[str, ...]:
    """The id, followed by the v18 id of the same technique where that was another one."""
    previous = _NAMES_IN_V18.get(technique)
    return (technique,) if previous is None else (technique, previous)


def by_version(ids: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A detection's `attack`, which mixes both, as ids of v19 and as ids of v18; a technique that v18 did not have is left out there."""
    now = tuple(dict.fromkeys(current(id_) for id_ in ids))
    before = tuple(dict.fromkeys(_NAMES_IN_V18.get(id_, id_) for id_ in now if id_ not in _WITHOUT_V18))
    return now, before
