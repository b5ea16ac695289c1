"""Checked policies as data: what `checking.py` makes of RuntimePolicies and what the engine compiles.

Versioned and encodable by msgspec, so that it can be cached by content hash and sent to nodes, which re-check its bounds
and compile it without a parser. Never code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.cel.tree import TREE_VERSION, Node
from watchkeeper_detection.detection import Confidence, Severity

if TYPE_CHECKING:
    from collections.abc import Collection

PROGRAM_VERSION = 2


class Guard(msgspec.Struct, frozen=True):
    """A named condition that holds a rule back: an `unless` of the rule, or a PolicyException.

    name      of an exception outside root `namespace/name`
    until_ns  an exception holds for events before this time only (0: for ever)
    """

    name: str
    when: Node
    exception: bool = False
    until_ns: int = 0


class Threshold(msgspec.Struct, frozen=True):
    count: int
    within_ns: int
    by: tuple[Node, ...]
    distinct: Node | None


class FirstSeen(msgspec.Struct, frozen=True):
    of: tuple[Node, ...]
    per: tuple[Node, ...]
    learn_ns: int


class Suppress(msgspec.Struct, frozen=True):
    by: tuple[Node, ...]
    for_ns: int


class Step(msgspec.Struct, frozen=True):
    """One step of a sequence.

    when    conjuncts that the event alone decides
    joined  conjuncts that also read earlier steps: decided when the steps meet, over the captured scalars
    keep    what `joined`, later steps, guards or the message read of this step's event: path and tree
    """

    name: str
    kinds: tuple[str, ...]
    when: Node | None
    joined: tuple[Node, ...]
    by: tuple[Node, ...]
    keep: tuple[tuple[str, Node], ...]


class Sequence(msgspec.Struct, frozen=True):
    within_ns: int
    ordered: bool
    steps: tuple[Step, ...]


class Word(msgspec.Struct, frozen=True):
    """Part of a message: literal text, or the value at a path (`step` names the sequence step that it is read from)."""

    text: str = ""
    path: str = ""
    value: Node | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, checked. Exactly one of `when` (with at most one of threshold, first_seen) and `sequence`.

    state_key   hash of policy, rule and condition: state outlives an edit of the message, not one of the condition
    attack      v19 ids, each followed by its v18 id where that differs
    include     globs of the namespaces that the policy covers (empty: all), `exclude` those that it leaves out
    kill        what does this is to be killed at the hook; `enforces` says whether it is (mode Enforce) or would have been
    reveals     messages show secrets: for a person at a terminal who asked for them
    reads       vocabulary paths that any part of the rule reads from an event
    open_paths  paths that it reads below open fields
    """

    policy: str
    namespace: str
    rule: str
    rule_id: str
    title: str
    severity: Severity
    confidence: Confidence
    attack: tuple[str, ...]
    message: tuple[Word, ...]
    kinds: tuple[str, ...]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    when: Node | None = None
    unless: tuple[Guard, ...] = ()
    exceptions: tuple[Guard, ...] = ()
    threshold: Threshold | None = None
    first_seen: FirstSeen | None = None
    suppress: Suppress | None = None
    sequence: Sequence | None = None
    kill: bool = False
    enforces: bool = False
    reveals: bool = False
    status: str = "stable"
    runbook: str = ""
    blind_spots: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    open_paths: tuple[str, ...] = ()
    state_key: str = ""
    revision: str = ""

    @property
    def name(self) -> str:
        return f"{self.policy}/{self.rule}"


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """All rules in force and the lists they name."""

    rules: tuple[Rule, ...] = ()
    lists: dict[str, tuple[str, ...]] = {}
    version: tuple[int, int] = (PROGRAM_VERSION, TREE_VERSION)


def encode(program: Program) -> bytes:
    return msgspec.msgpack.encode(program)


def decode(data: bytes) -> Program | None:
    """The program in `data`, or None when it was written by another version or is damaged."""
    try:
        program = msgspec.msgpack.decode(data, type=Program)
    except (msgspec.DecodeError, RecursionError):
        return None
    return program if program.version == (PROGRAM_VERSION, TREE_VERSION) else None


def narrowed(program: Program, *, severity: Severity, first_seen: bool) -> Program:
    """The program with the rules of this severity or worse only, and without first-seen rules where there is no baseline for them."""
    rules = tuple(rule for rule in program.rules if rule.severity <= severity and (first_seen or rule.first_seen is None))
    return msgspec.structs.replace(program, rules=rules)


def narrowed_to(program: Program, kinds: Collection[str]) -> Program:
    """The program with the rules that an event of one of these kinds can concern."""
    wanted = frozenset(kinds)
    rules = tuple(
        rule
        for rule in program.rules
        if not wanted.isdisjoint(rule.kinds) or (rule.sequence and any(not wanted.isdisjoint(step.kinds) for step in rule.sequence.steps))
    )
    return msgspec.structs.replace(program, rules=rules)
