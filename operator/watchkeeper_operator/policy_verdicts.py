"""What judging the policies says: a verdict per object, and what is in force."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.program import Program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchkeeper_operator.policy_objects import Key, Written
    from watchkeeper_operator.resources.conditions import Reason


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one object as it stands. `in_force`: this revision, or the last good one, or none."""

    written: Written
    accepted: bool
    reason: Reason
    message: str
    in_force: Written | None


@dataclass(frozen=True, slots=True)
class Judged:
    """All objects judged together.

    number    counts up with each judgement
    revision  of what is in force: two that have the same one hold the same
    in_force  policies, exceptions and lists, in this order, each by namespace and name; also lists that are gone and only old revisions read
    good      what is to be kept: the last good revision of each, also where a quota now keeps it out of force
    """

    number: int = 0
    revision: str = ""
    verdicts: Mapping[Key, Verdict] = field(default_factory=dict)
    in_force: tuple[Written, ...] = ()
    program: Program = field(default_factory=Program)
    good: Mapping[Key, Written] = field(default_factory=dict)

    def bodies(self, kind: str) -> tuple[dict[str, Any], ...]:
        """Objects of a kind that are in force, as nodes are told them."""
        return tuple(written.body for written in self.in_force if written.key.kind == kind)
