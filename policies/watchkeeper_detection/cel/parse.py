"""Text → parsed tree, names unresolved. What is too long, too deep or too large is refused here, before anything recurses over it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, cast

from lark import Lark, Token
from lark.exceptions import LarkError, UnexpectedInput

from watchkeeper_detection.cel.errors import CelSyntaxError
from watchkeeper_detection.cel.grammar import grammar
from watchkeeper_detection.cel.literals import literal_value
from watchkeeper_detection.cel.tree import MAX_DEPTH, MAX_ELEMENTS, MAX_NODES, Scalar

MAX_TEXT = 16 * 1024

_RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)


@dataclass(frozen=True, slots=True)
class Written:
    """A parsed expression. `depth` and `count` (of nodes) bound what later steps recurse over."""

    line: int
    column: int
    depth: int
    count: int


@dataclass(frozen=True, slots=True)
class LiteralText(Written):
    value: Scalar
    type: str


@dataclass(frozen=True, slots=True)
class Ident(Written):
    """`name`, or `.name` when `absolute`."""

    name: str
    absolute: bool


@dataclass(frozen=True, slots=True)
class Selected(Written):
    operand: Parsed
    name: str


@dataclass(frozen=True, slots=True)
class Called(Written):
    """`function(arguments)`, `target.function(arguments)`, or an operator; `&&` and `||` take any number of arguments."""

    function: str
    target: Parsed | None
    arguments: tuple[Parsed, ...]


@dataclass(frozen=True, slots=True)
class ListText(Written):
    elements: tuple[Parsed, ...]


@dataclass(frozen=True, slots=True)
class MapText(Written):
    entries: tuple[tuple[Parsed, Parsed], ...]


@dataclass(frozen=True, slots=True)
class MessageText(Written):
    """`Type{field: value}`: protobuf messages are parsed so that the checker can refuse them by name."""

    operand: Parsed


Parsed: TypeAlias = LiteralText | Ident | Selected | Called | ListText | MapText | MessageText


def parse(text: str) -> Parsed:
    """Raises CelSyntaxError."""
    if len(text) > MAX_TEXT:
        raise CelSyntaxError(f"the expression is longer than {MAX_TEXT} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CelSyntaxError("the expression holds a lone surrogate") from None
    try:
        return cast("Parsed", _parser().parse(text))
    except UnexpectedInput as error:
        raise _syntax_error(text, error) from None
    except LarkError as error:
        raise CelSyntaxError(str(error).splitlines()[0]) from None


def _syntax_error(text: str, error: UnexpectedInput) -> CelSyntaxError:
    lines = text.split("\n")
    if error.line is None or error.line < 1:  # the end of the text
        return CelSyntaxError("the expression ends too early" if text.strip() else "the expression is empty", len(lines), len(lines[-1]) + 1)
    token = getattr(error, "token", None)
    if token is not None and token.type == "$END":
        return CelSyntaxError("the expression ends too early" if text.strip() else "the expression is empty", len(lines), len(lines[-1]) + 1)
    line = lines[error.line - 1] if error.line <= len(lines) else ""
    found = token.value if token is not None else line[error.column - 1 : error.column]
    return CelSyntaxError(f"unexpected {found!r}", error.line, error.column, _syntax_hint(str(found), line))


def _syntax_hint(found: str, line: str) -> str | None:
    if found in ("=", "and", "or", "not"):
        meant = {"=": "==", "and": "&&", "or": "||", "not": "!"}[found]
        return f"did you mean {meant}?"
    if found in ("&", "|"):
        return f"did you mean {found * 2}?"
    if found in ('"', "'") and line.count(found) % 2:
        return "the text in quotes does not end"
    return None


Parts = list[Any]  # of a rule: tokens, and what its rules were built into


def _place(at: Token, parts: tuple[Parsed, ...]) -> tuple[int, int, int, int]:
    line, column = at.line or 1, at.column or 1
    depth, count = 1 + max([part.depth for part in parts], default=0), 1 + sum([part.count for part in parts])
    if depth > MAX_DEPTH:
        raise CelSyntaxError(f"the expression is nested more than {MAX_DEPTH} levels deep", line, column)
    if count > MAX_NODES:
        raise CelSyntaxError(f"the expression has more than {MAX_NODES} parts", line, column, "put long lists into a PolicyList")
    return line, column, depth, count


def _call(at: Token, function: str, arguments: tuple[Parsed, ...], target: Parsed | None = None) -> Called:
    return Called(*_place(at, arguments if target is None else (target, *arguments)), function, target, arguments)


def _inside(parts: Parts) -> tuple[Parsed, ...]:
    """The `exprlist` among the parts, empty when there is none."""
    return next((part for part in parts if isinstance(part, tuple)), ())


def _not_reserved(name: Token) -> str:
    if str(name) in _RESERVED:
        raise CelSyntaxError(f"{str(name)!r} is a reserved word", name.line or 1, name.column or 1)
    return str(name)


def _binary(parts: Parts) -> Called:
    """Of `[(left, operator), right]`; the place is the operator's."""
    (left, operator), right = parts
    return _call(operator, f"_{operator}_", (left, right))


def _logic(parts: Parts) -> Called:
    """`&&` and `||` take any number of operands, so that long ones are not deep."""
    left, operator, right = parts
    function = f"_{operator}_"
    flat = left.arguments if isinstance(left, Called) and left.function == function else (left,)
    return _call(operator, function, (*flat, right))


def _left_and_operator(parts: Parts) -> tuple[Parsed, Token]:
    return parts[0], parts[1]


def _without_tokens(parts: Parts) -> tuple[Parsed, ...]:
    return tuple([part for part in parts if not isinstance(part, Token)])


class _Builder:
    """One method per rule of the grammar, called while it parses: nothing recurses, whatever the nesting."""

    conditionalor = conditionaland = staticmethod(_logic)
    relation = addition = multiplication = staticmethod(_binary)
    relation_lt = relation_le = relation_gt = relation_ge = relation_eq = relation_ne = relation_in = staticmethod(_left_and_operator)
    addition_add = addition_sub = multiplication_mul = multiplication_div = multiplication_mod = staticmethod(_left_and_operator)
    exprlist = mapinits = staticmethod(_without_tokens)

    def expr(self, parts: Parts) -> Called:
        return _call(parts[1], "_?_:_", (parts[0], parts[2], parts[4]))

    def unary_not(self, parts: Parts) -> Token:
        return cast("Token", parts[0])

    unary_neg = unary_not

    def unary(self, parts: Parts) -> Called:
        return _call(parts[0], f"{parts[0]}_", (parts[1],))

    def member_dot(self, parts: Parts) -> Selected:
        operand, _, name = parts
        line, column, depth, _ = _place(name, (operand,))
        return Selected(line, column, depth, operand.count, operand, name.strip("`"))  # a path counts once, however long

    def member_dot_arg(self, parts: Parts) -> Called:
        return _call(parts[2], str(parts[2]), _inside(parts), parts[0])

    def member_index(self, parts: Parts) -> Called:
        return _call(parts[1], "_[_]", (parts[0], parts[2]))

    def member_object(self, parts: Parts) -> MessageText:
        return MessageText(*_place(parts[1], (parts[0],)), parts[0])

    def fieldinits(self, parts: Parts) -> None:
        del parts

    def ident(self, parts: Parts) -> Ident:
        return Ident(*_place(parts[-1], ()), _not_reserved(parts[-1]), len(parts) == 2)

    dot_ident = ident

    def ident_arg(self, parts: Parts) -> Called:
        name = parts[1] if parts[0] == "." else parts[0]
        return _call(name, _not_reserved(name), _inside(parts))

    dot_ident_arg = ident_arg

    def paren_expr(self, parts: Parts) -> Parsed:
        return cast("Parsed", parts[1])

    def list_lit(self, parts: Parts) -> ListText:
        elements, opening = _inside(parts), parts[0]
        if len(elements) > MAX_ELEMENTS:
            raise CelSyntaxError(f"a list has more than {MAX_ELEMENTS} elements", opening.line, opening.column, "put long lists into a PolicyList")
        return ListText(*_place(opening, elements), elements)

    def map_lit(self, parts: Parts) -> MapText:
        flat = _inside(parts)
        return MapText(*_place(parts[0], flat), tuple(zip(flat[::2], flat[1::2], strict=True)))

    def literal(self, parts: Parts) -> LiteralText:
        [token] = parts
        value, kind = literal_value(token.type, str(token), token.line, token.column)
        return LiteralText(*_place(token, ()), value, kind)


@cache
def _parser() -> Lark:
    return grammar(_Builder())
