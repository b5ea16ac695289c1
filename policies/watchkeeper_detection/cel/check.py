"""The checker: a parsed expression and the vocabulary → a checked tree, or every error at once, each with place and nearest name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.cel.checker import Checker
from watchkeeper_detection.cel.errors import CelError, CelErrors, CelSyntaxError
from watchkeeper_detection.cel.guards import unguarded
from watchkeeper_detection.cel.parse import parse
from watchkeeper_detection.cel.tree import Node, require_bounds
from watchkeeper_detection.cel.types import DYN, read_type

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Scope:
    """What an expression may name.

    kinds      kinds of event that it is judged on: a field must exist on at least one of them
    lists      names valid as `lists.NAME`
    steps      earlier steps of a sequence: name → kinds of event
    variables  further variables: name → CEL type
    container  name space that names are looked up in first
    lenient    let pass what has no type: it fails when it is evaluated (the conformance cases that skip the checker)
    """

    kinds: tuple[str, ...] = ()
    lists: frozenset[str] = frozenset()
    steps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    container: str = ""
    lenient: bool = False


class Checked(msgspec.Struct, frozen=True):
    """A checked expression and what it reads.

    reads       paths of the vocabulary, of the event judged
    step_reads  (step, full path) of earlier steps
    open_paths  full paths read below open fields: `audit.requestObject.spec.containers[].image`
    lists       names of the lists that it reads
    unguarded   (open path, line, column) read under `!=`, `!` or `not in` where nothing asks whether it is there
    """

    tree: Node
    type: str
    reads: tuple[str, ...]
    step_reads: tuple[tuple[str, str], ...]
    open_paths: tuple[str, ...]
    lists: tuple[str, ...]
    unguarded: tuple[tuple[str, int, int], ...]


def check(text: str, scope: Scope, *, want: str | None = None) -> Checked:
    """`want` is the type that the expression must have (`bool` for conditions). Raises CelErrors."""
    try:
        parsed = parse(text)
    except CelSyntaxError as error:
        raise CelErrors((error,)) from None
    checker = Checker(scope)
    try:
        tree, found = checker.infer(parsed)
        require_bounds(tree)
    except (RecursionError, ValueError) as error:
        message = "the expression is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CelErrors((CelError(message),)) from None
    found = checker.unifier.final(found)
    if want is not None and not checker.errors and found != DYN and found != read_type(want):
        raise CelErrors((CelError(f"the expression is {found}, not {want}", tree.line, tree.column, _wanted_hint(want)),))
    if checker.errors:
        raise CelErrors(tuple(sorted(checker.errors, key=lambda error: (error.line, error.column))))
    return Checked(
        tree,
        str(found),
        tuple(sorted(checker.reads)),
        tuple(sorted(checker.step_reads)),
        tuple(sorted(checker.open_paths(tree))),
        tuple(sorted(checker.lists)),
        unguarded(tree),
    )


def _wanted_hint(want: str) -> str | None:
    return "a condition compares: write FIELD == VALUE, or has(FIELD)" if want == "bool" else None
