"""A checked tree → a Python function. Never through text, and never calling more than it must: see `rails.py`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.cel import code, functions
from watchkeeper_detection.cel.errors import CelError, CelErrors
from watchkeeper_detection.cel.paths import captured_key, is_open
from watchkeeper_detection.cel.rails import Rails
from watchkeeper_detection.cel.soundness import require_sound
from watchkeeper_detection.cel.spelling import spell
from watchkeeper_detection.cel.tree import And, Field, Node, Not, Or, Variable
from watchkeeper_detection.fields import attribute_name, fields

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from watchkeeper_detection.event import Event


class EventRails(Rails):
    """Reads an event: `e.audit.user.username`. A field of an earlier step is absent."""

    def is_plain(self, node: Field) -> bool:
        return bool(node.step) or not (node.words or is_open(node.path)) or is_first_text(node)

    def plain_field(self, node: Field) -> ast.expr:
        if node.step:
            return code.constant(None)
        whole = self._attributes(node.path.split("."))
        if not node.words:
            return whole
        kept = self.temporary()
        return code.choice(code.kept(kept, whole), code.element(code.name(kept), 0), code.constant(None))

    def opened_field(self, node: Field) -> ast.expr:
        *above, last = node.path.split(".")
        words = code.constant(node.words)
        if is_open(node.path):
            return code.call(self.runtime(functions.read_open), self._attributes(above), code.constant(attribute_name(last)), words)
        return code.call(self.runtime(functions.below), self._attributes([*above, last]), words)

    def loose_field(self, node: Field) -> ast.expr:
        if not is_open(node.path) or int in map(type, node.words):
            return self.opened_field(node)
        *above, last = node.path.split(".")
        kept = self.temporary()
        is_open_already = code.compare(code.attribute(code.kept(kept, self._attributes([*above, last])), "__class__"), ast.IsNot(), code.name("Raw"))
        opening = code.call(self.runtime(functions.opened), self._attributes(above), code.constant(attribute_name(last)))
        found = code.choice(is_open_already, code.name(kept), opening)
        for word in node.words:
            found = self.entry(found, str(word))
        return found

    def _attributes(self, words: list[str]) -> ast.expr:
        made = code.name("e")
        for word in words:
            made = code.attribute(made, attribute_name(word))
        return made

    def variable(self, node: Variable) -> ast.expr:
        return code.attribute(code.name("e"), attribute_name(node.name))


def is_first_text(node: Field) -> bool:
    """Whether this is the first element of a list of texts that is no open field, as the address of a request is."""
    return node.words == (0,) and fields()[node.path].type == "list(string)" and not is_open(node.path)


class CapturedRails(Rails):
    """Reads a mapping of captured scalars: `c.get("audit.user.username")`. A list is none: what asks for one fails."""

    plain_types = Rails.plain_types - {"list(string)"}

    def is_plain(self, node: Field) -> bool:
        del node
        return True

    def plain_field(self, node: Field) -> ast.expr:
        return self._captured(captured_key(node))

    def opened_field(self, node: Field) -> ast.expr:
        return self.plain_field(node)

    def variable(self, node: Variable) -> ast.expr:
        kept = self.temporary()
        return code.choice(code.is_(code.kept(kept, self._captured(node.name)), value=None), code.name("ABSENT"), code.name(kept))

    def _captured(self, key: str) -> ast.expr:
        return code.call(code.attribute(code.name("c"), "get"), code.constant(key))


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
    require_sound(tree)
    try:
        return rails.function(tree, parameter, as_condition=as_condition)
    except RecursionError:
        raise CelErrors((CelError("the expression is nested too deeply", tree.line, tree.column),)) from None
