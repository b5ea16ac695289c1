"""Text → parsed tree, names unresolved. What is too long, too deep or too large is refused here, before anything recurses over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, cast

from lark import Token, Tree
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

_BINARY = {
    "relation_lt": "_<_",
    "relation_le": "_<=_",
    "relation_gt": "_>_",
    "relation_ge": "_>=_",
    "relation_eq": "_==_",
    "relation_ne": "_!=_",
    "relation_in": "_in_",
    "addition_add": "_+_",
    "addition_sub": "_-_",
    "multiplication_mul": "_*_",
    "multiplication_div": "_/_",
    "multiplication_mod": "_%_",
}


def parse(text: str) -> Parsed:
    """Raises CelSyntaxError."""
    if len(text) > MAX_TEXT:
        raise CelSyntaxError(f"the expression is longer than {MAX_TEXT} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CelSyntaxError("the expression holds a lone surrogate") from None
    try:
        tree = grammar().parse(text)
    except UnexpectedInput as error:
        raise _syntax_error(text, error) from None
    except LarkError as error:
        raise CelSyntaxError(str(error).splitlines()[0]) from None
    return _Builder().build(tree)


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


class _Builder:
    """Lark's tree from the leaves up, without recursion; nodes that only pass one child on vanish."""

    def __init__(self) -> None:
        self._built: dict[int, object] = {}

    def build(self, tree: Tree[Token]) -> Parsed:
        for subtree in tree.iter_subtrees():
            self._built[id(subtree)] = self._node(subtree)
        return cast("Parsed", self._built[id(tree)])

    def _child(self, child: Tree[Token] | Token) -> Parsed:
        return cast("Parsed", self._built[id(child)])

    def _parts(self, tree: Tree[Token], index: int) -> tuple[Parsed, ...]:
        """Elements of the `exprlist` at that place, none when it is not there."""
        return cast("tuple[Parsed, ...]", self._built[id(tree.children[index])]) if len(tree.children) > index else ()

    def _place(self, at: Token | Tree[Token], parts: tuple[Parsed, ...]) -> tuple[int, int, int, int]:
        place = at if isinstance(at, Token) else at.meta
        line, column = place.line or 1, place.column or 1
        depth, count = 1 + max((part.depth for part in parts), default=0), 1 + sum(part.count for part in parts)
        if depth > MAX_DEPTH:
            raise CelSyntaxError(f"the expression is nested more than {MAX_DEPTH} levels deep", line, column)
        if count > MAX_NODES:
            raise CelSyntaxError(f"the expression has more than {MAX_NODES} parts", line, column, "put long lists into a PolicyList")
        if len(parts) > 2 * MAX_ELEMENTS:
            raise CelSyntaxError(f"a list has more than {MAX_ELEMENTS} elements", line, column, "put long lists into a PolicyList")
        return line, column, depth, count

    def _call(self, at: Token | Tree[Token], function: str, arguments: tuple[Parsed, ...], target: Parsed | None = None) -> Called:
        parts = arguments if target is None else (target, *arguments)
        return Called(*self._place(at, parts), function, target, arguments)

    def _node(self, tree: Tree[Token]) -> object:
        rule, children = str(tree.data), tree.children
        if rule in _BINARY or rule in ("unary_not", "unary_neg"):
            return tree  # the operator is known to the rule above
        if rule in ("exprlist", "fieldinits", "mapinits"):
            return tuple(self._child(child) for child in children if not isinstance(child, Token))
        match rule:
            case "expr" if len(children) == 3:
                return self._call(tree, "_?_:_", tuple(self._child(child) for child in children))
            case "conditionalor" | "conditionaland" if len(children) == 2:
                return self._logic("_||_" if rule == "conditionalor" else "_&&_", tree)
            case "relation" | "addition" | "multiplication" if len(children) == 2:
                left = cast("Tree[Token]", children[0])
                return self._call(tree, _BINARY[str(left.data)], (self._child(left.children[0]), self._child(children[1])))
            case "unary" if len(children) == 2:
                operator = "!_" if cast("Tree[Token]", children[0]).data == "unary_not" else "-_"
                return self._call(tree, operator, (self._child(children[1]),))
            case "literal":
                token = cast("Token", children[0])
                value, type_name = literal_value(token.type, str(token), token.line or 1, token.column or 1)
                return LiteralText(*self._place(token, ()), value, type_name)
        return self._member(rule, tree)

    def _logic(self, operator: str, tree: Tree[Token]) -> Called:
        left, right = self._child(tree.children[0]), self._child(tree.children[1])
        if isinstance(left, Called) and left.function == operator:
            return self._call(tree, operator, (*left.arguments, right))
        return self._call(tree, operator, (left, right))

    def _member(self, rule: str, tree: Tree[Token]) -> object:
        children = tree.children
        match rule:
            case "member_dot":
                name = cast("Token", children[1])
                operand = self._child(children[0])
                line, column, depth, _ = self._place(name, (operand,))
                return Selected(line, column, depth, operand.count, operand, name.strip("`"))  # a path counts once, however long
            case "member_dot_arg":
                name = cast("Token", children[1])
                return self._call(name, str(name), self._parts(tree, 2), self._child(children[0]))
            case "member_index":
                return self._call(tree, "_[_]", (self._child(children[0]), self._child(children[1])))
            case "member_object":
                operand = self._child(children[0])
                return MessageText(*self._place(tree, (operand,)), operand)
            case "ident" | "dot_ident":
                name = self._not_reserved(cast("Token", children[0]))
                return Ident(*self._place(name, ()), str(name), rule == "dot_ident")
            case "ident_arg" | "dot_ident_arg":
                name = self._not_reserved(cast("Token", children[0]))
                return self._call(name, str(name), self._parts(tree, 1))
            case "list_lit":
                elements = self._parts(tree, 0)
                if len(elements) > MAX_ELEMENTS:
                    raise CelSyntaxError(f"a list has more than {MAX_ELEMENTS} elements", tree.meta.line, tree.meta.column, "put long lists into a PolicyList")
                return ListText(*self._place(tree, elements), elements)
            case "map_lit":
                parts = self._parts(tree, 0)
                return MapText(*self._place(tree, parts), tuple(zip(parts[::2], parts[1::2], strict=True)))
        return self._child(children[0])

    @staticmethod
    def _not_reserved(name: Token) -> Token:
        if str(name) in _RESERVED:
            raise CelSyntaxError(f"{str(name)!r} is a reserved word", name.line or 1, name.column or 1)
        return name
