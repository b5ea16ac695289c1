"""A checked tree → a Python function. Never through text, and never calling more than it must: see `rails.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.cel.errors import CelError, CelErrors
from watchkeeper_detection.cel.rails import CapturedRails, EventRails, Rails
from watchkeeper_detection.cel.spelling import spell
from watchkeeper_detection.cel.tree import And, Node, Not, Or

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from watchkeeper_detection.event import Event

Lists = "Mapping[str, Collection[str]]"


def compile_condition(tree: Node, lists: Mapping[str, Collection[str]]) -> Callable[[Event], bool]:
    """Whether the condition definitely holds: absent and failed are False. `lists` become constants of the function."""
    return _function(EventRails(lists), tree, "e", as_condition=True)


def compile_value(tree: Node, lists: Mapping[str, Collection[str]]) -> Callable[[Event], object]:
    """The value, ABSENT, or a Failure (which a caller counts)."""
    return _function(EventRails(lists), tree, "e", as_condition=False)


def compile_captured(tree: Node, lists: Mapping[str, Collection[str]]) -> Callable[[Mapping[str, object]], bool]:
    """The same condition over captured scalars by path (`step.path` of an earlier step); what is not there is absent."""
    return _function(CapturedRails(lists), tree, "c", as_condition=True)


def parts(tree: Node, lists: Mapping[str, Collection[str]]) -> list[tuple[str, Callable[[Event], object]]]:
    """What the condition is put together from by `&&`, `||` and `!`, each with its text and its own evaluator."""
    found: list[tuple[str, Callable[[Event], object]]] = []
    pending = [tree]
    while pending:
        node = pending.pop(0)
        if isinstance(node, And | Or):
            pending[:0] = node.operands
        elif isinstance(node, Not) and isinstance(node.operand, And | Or | Not):
            pending.insert(0, node.operand)
        else:
            found.append((spell(node), compile_value(node, lists)))
    return found


def _function(rails: Rails, tree: Node, parameter: str, *, as_condition: bool) -> Callable[[Any], Any]:
    try:
        return rails.function(tree, parameter, as_condition=as_condition)
    except RecursionError:
        raise CelErrors((CelError("the expression is nested too deeply", tree.line, tree.column),)) from None
