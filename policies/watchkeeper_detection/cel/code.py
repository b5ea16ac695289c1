"""Pieces of Python syntax trees, as the compiler needs them. Never source text: nothing of an expression can become code."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_AT: dict[str, Any] = {"lineno": 1, "col_offset": 0}  # what Python wants of every node; walking the tree for it afterwards takes as long as compiling


def name(text: str) -> ast.expr:
    return ast.Name(text, ast.Load(), **_AT)


def constant(value: Any) -> ast.expr:
    return ast.Constant(value, **_AT)


def attribute(of: ast.expr, text: str) -> ast.expr:
    return ast.Attribute(of, text, ast.Load(), **_AT)


def element(of: ast.expr, index: int) -> ast.expr:
    return ast.Subscript(of, constant(index), ast.Load(), **_AT)


def call(function: ast.expr, *arguments: ast.expr, two: bool = False) -> ast.expr:
    keywords = [ast.keyword("two", constant(value=True), **_AT)] if two else []
    return ast.Call(function, list(arguments), keywords, **_AT)


def compare(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.expr:
    return ast.Compare(left, [operator], [right], **_AT)


def is_(left: ast.expr, value: bool | None) -> ast.expr:  # noqa: FBT001 (the value compared with)
    return compare(left, ast.Is(), constant(value))


def is_not_none(left: ast.expr) -> ast.expr:
    return compare(left, ast.IsNot(), constant(None))


def both(*operands: ast.expr) -> ast.expr:
    return ast.BoolOp(ast.And(), list(operands), **_AT) if len(operands) > 1 else operands[0]


def either(*operands: ast.expr) -> ast.expr:
    return ast.BoolOp(ast.Or(), list(operands), **_AT) if len(operands) > 1 else operands[0]


def negated(operand: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), operand, **_AT)


def kept(temporary: str, value: ast.expr) -> ast.expr:
    """`(temporary := value)`."""
    return ast.NamedExpr(ast.Name(temporary, ast.Store(), **_AT), value, **_AT)


def choice(condition: ast.expr, then: ast.expr, otherwise: ast.expr) -> ast.expr:
    return ast.IfExp(condition, then, otherwise, **_AT)


def list_of(*elements: ast.expr) -> ast.expr:
    return ast.List(list(elements), ast.Load(), **_AT)


def tuple_of(*elements: ast.expr) -> ast.expr:
    return ast.Tuple(list(elements), ast.Load(), **_AT)


def function_of(parameters: Sequence[str], body: ast.expr) -> ast.expr:
    """`lambda parameters: body`."""
    return ast.Lambda(_arguments(parameters), body, **_AT)


def _arguments(parameters: Sequence[str]) -> ast.arguments:
    return ast.arguments(posonlyargs=[], args=[ast.arg(each, **_AT) for each in parameters], kwonlyargs=[], kw_defaults=[], defaults=[])


def assigned(target: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(target, ast.Store(), **_AT)], value, **_AT)


def built(parameter: str, before: list[ast.stmt], body: ast.expr, names: dict[str, Any]) -> Callable[[Any], Any]:
    """A function of one parameter that returns the expression; `names` is all it can see."""
    function = ast.FunctionDef("condition", _arguments([parameter]), [*before, ast.Return(body, **_AT)], [], **_AT)
    exec(compile(ast.Module([function], []), "<condition>", "exec"), names)  # noqa: S102 (the tree was built here, from checked nodes)
    return names["condition"]  # type: ignore[no-any-return]
