"""Calls that need no function: comparisons and tests on plain values, with literal patterns, networks and lists as constants."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.cel import code, functions, network, patterns, strings
from watchkeeper_detection.cel.tree import Call, Constant, Default, Field, ListName, ListOf, Local, Loop, Node, Select, walk
from watchkeeper_detection.cel.values import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ADDRESSES = 8192  # remembered for each set of networks
_PLAIN_TYPES = frozenset({"string", "int", "double", "bool", "list(string)"})
_ORDER: dict[str, tuple[type[ast.cmpop], type[ast.cmpop]]] = {
    "_<_": (ast.Lt, ast.GtE),
    "_<=_": (ast.LtE, ast.Gt),
    "_>_": (ast.Gt, ast.LtE),
    "_>=_": (ast.GtE, ast.Lt),
}
_TURNED = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}


class Fast:
    """The part of the compiler that avoids calls. `plain` expressions give the Python value, None where it is absent."""

    plain_locals: set[str]
    plain_types = _PLAIN_TYPES

    if TYPE_CHECKING:

        def value(self, node: Node) -> ast.expr: ...
        def temporary(self) -> str: ...
        def known(self, value: Any) -> ast.expr: ...
        def runtime(self, function: Callable[..., Any]) -> ast.expr: ...
        def list_values(self, node: ListName) -> frozenset[str]: ...
        def plain_field(self, node: Field) -> ast.expr: ...
        def is_plain(self, node: Field) -> bool: ...
        def local(self, name: str) -> ast.expr: ...
        def loose_field(self, node: Field) -> ast.expr: ...

    def plain(self, node: Node) -> ast.expr | None:
        """The node's plain value, where it has a type that Python holds as it is and can't fail."""
        match node:
            case Constant(value=value, type=kind) if kind in _PLAIN_TYPES:
                return code.constant(value)
            case Field(type=kind) if kind in self.plain_types and self.is_plain(node):
                return self.plain_field(node)
            case Local(name=name, type="string") if name in self.plain_locals:
                return self.local(name)
            case Call(function=".lowerAscii" | ".upperAscii" as function, arguments=(operand,)) if operand.type == "string":
                return self._through(operand, strings.lower_ascii if function == ".lowerAscii" else strings.upper_ascii)
            case Call(function="size" | ".size", arguments=(operand,)) if operand.type in ("string", "list(string)"):
                return self._through(operand, len)
            case Default(operand=Field(type=kind) as operand, default=Constant(value=value, type=default_kind)) if kind == default_kind:
                plain = self.plain(operand)
                kept = self.temporary()
                return plain and code.choice(code.is_(code.kept(kept, plain), value=None), code.constant(value), code.name(kept))
        return None

    def loose(self, node: Node) -> ast.expr:
        """The node's value for tests that absent and failed don't pass: instead of those it may give None, which no test passes either."""
        match node:
            case Field() if not self.is_plain(node):
                return self.loose_field(node)
            case Select(operand=operand, name=name) if is_json(operand):
                return self.entry(self.loose(operand), name)
            case Call(function=".lowerAscii", arguments=(operand,)):
                return self._loosely_called(strings.lower_ascii, operand, "str")
            case Call(function=".join", arguments=(operand, Constant(value=str() as between))):
                return self._loosely_called(joined_by(between), operand, "list")
        return self.value(node)

    def _loosely_called(self, function: Callable[[Any], Any], operand: Node, of_class: str) -> ast.expr:
        kept = self.temporary()
        fits = code.compare(code.attribute(code.kept(kept, self.loose(operand)), "__class__"), ast.Is(), code.name(of_class))
        return code.choice(fits, code.call(self.runtime(function), code.name(kept)), code.constant(None))

    def entry(self, of: ast.expr, name: str) -> ast.expr:
        """What a decoded JSON value holds under this name, None where it is no object or does not."""
        kept = self.temporary()
        is_object = code.compare(code.attribute(code.kept(kept, of), "__class__"), ast.Is(), code.name("dict"))
        return code.choice(is_object, code.call(code.attribute(code.name(kept), "get"), code.constant(name)), code.constant(None))

    def _through(self, operand: Node, function: Callable[[Any], Any]) -> ast.expr | None:
        plain = self.plain(operand)
        if plain is None:
            return None
        kept = self.temporary()
        return code.choice(code.is_(code.kept(kept, plain), value=None), code.constant(None), code.call(self.runtime(function), code.name(kept)))

    def fast(self, node: Call, *, expected: bool) -> ast.expr | None:
        """The rail of a call, None when it has to go through values."""
        if node.function in ("_==_", "_!=_"):
            return self._equals(node, expected=expected is (node.function == "_==_"))
        if node.function == "_in_":
            return self._in(node.arguments[0], node.arguments[1], expected=expected)
        if node.function in _ORDER:
            return self._ordered(node, expected=expected)
        return self._tested(node, expected=expected)

    def _equals(self, node: Call, *, expected: bool) -> ast.expr | None:
        left, right = node.arguments
        if isinstance(left, Constant):
            left, right = right, left
        if isinstance(right, Constant) and right.type in _PLAIN_TYPES:
            return self._equals_constant(left, right, expected=expected)
        if left.type != right.type or left.type not in ("string", "int", "bool"):
            return None
        one, other = self.plain(left), self.plain(right)
        if one is None or other is None:
            return None
        first, second = self.temporary(), self.temporary()
        compared = code.compare(code.name(first), ast.Eq() if expected else ast.NotEq(), code.name(second))
        return code.both(code.is_not_none(code.kept(first, one)), code.is_not_none(code.kept(second, other)), compared)

    def _equals_constant(self, left: Node, right: Constant, *, expected: bool) -> ast.expr | None:
        plain = self.plain(left) if left.type == right.type else None
        if plain is not None:
            if expected:
                return code.is_(plain, value=right.value) if isinstance(right.value, bool) else code.compare(plain, ast.Eq(), code.constant(right.value))
            return code.compare(plain, ast.NotIn(), code.constant((None, right.value)))
        if right.type == "string":  # nothing but the same text equals a text
            if expected:
                return code.compare(self.loose(left), ast.Eq(), code.constant(right.value))
            kept = self.temporary()
            return code.both(
                code.compare(code.kept(kept, self.value(left)), ast.NotEq(), code.constant(right.value)),
                code.compare(code.attribute(code.name(kept), "__class__"), ast.NotIn(), code.name("NO_VALUE")),
            )
        if right.type == "bool" and expected:
            return code.is_(self.loose(left), value=bool(right.value))
        return None

    def constants(self, node: Node, kind: str) -> frozenset[Any] | None:
        """The elements of a list that is known when compiling."""
        if isinstance(node, ListName):
            return self.list_values(node) if kind in ("string", "dyn") else None
        if not isinstance(node, ListOf) or not node.elements:
            return None
        values = [element.value for element in node.elements if isinstance(element, Constant) and element.type in ("string", kind)]
        same = len(values) == len(node.elements) and len({value.__class__ for value in values}) == 1
        return frozenset(values) if same and values[0].__class__ in (str, int) else None

    def _in(self, left: Node, right: Node, *, expected: bool) -> ast.expr | None:
        constants = self.constants(right, left.type)
        plain = self.plain(left)
        if constants is not None and plain is not None:
            return code.compare(plain, ast.In() if expected else ast.NotIn(), self.known(constants if expected else constants | {None}))
        if constants is not None and all(value.__class__ is str for value in constants):
            return self._dynamic_in(left, constants, expected=expected)
        where = self.texts(right)
        if plain is None or where is None or left.type != "string":
            return None
        texts = self.temporary()
        test = code.is_not_none(code.kept(texts, where))
        operator = ast.In() if expected else ast.NotIn()
        if isinstance(left, Constant):
            return code.both(test, code.compare(plain, operator, code.name(texts)))
        kept = self.temporary()
        return code.both(code.is_not_none(code.kept(kept, plain)), test, code.compare(code.name(kept), operator, code.name(texts)))

    def texts(self, node: Node) -> ast.expr | None:
        """The node's plain list of texts, or its plain map with texts for keys, if it gives one."""
        if isinstance(node, Field) and node.type == "map(string, string)" and "list(string)" in self.plain_types and self.is_plain(node):
            return self.plain_field(node)
        return self.plain(node) if node.type == "list(string)" else None

    def _dynamic_in(self, left: Node, constants: frozenset[str], *, expected: bool) -> ast.expr:
        kept = self.temporary()
        kind = code.attribute(code.kept(kept, (self.loose if expected else self.value)(left)), "__class__")
        among = code.compare(code.name(kept), ast.In(), self.known(constants))
        if expected:
            return code.both(code.compare(kind, ast.Is(), code.name("str")), among)
        not_text = code.compare(code.attribute(code.name(kept), "__class__"), ast.IsNot(), code.name("str"))
        return code.both(code.compare(kind, ast.NotIn(), code.name("NO_VALUE")), code.either(not_text, code.negated(among)))

    def _ordered(self, node: Call, *, expected: bool) -> ast.expr | None:
        left, right = node.arguments
        function = node.function
        if isinstance(left, Constant):
            left, right, function = right, left, _TURNED[function]
        if not isinstance(right, Constant) or left.type != right.type or left.type not in ("int", "double", "string"):
            return None
        plain = self.plain(left)
        if plain is None:
            return None
        kept = self.temporary()
        operator = _ORDER[function][0 if expected else 1]()
        return code.both(code.is_not_none(code.kept(kept, plain)), code.compare(code.name(kept), operator, code.constant(right.value)))

    def any_text(self, node: Loop, *, expected: bool) -> ast.expr | None:
        """`[texts].exists(x, subject.contains(x))` and its like: one test of the subject against all of them."""
        match node:
            case Loop(
                macro="exists",
                names=(name,),
                predicate=Call(function=".contains" | ".startsWith" | ".endsWith" as function, arguments=(subject, Local(name=tested))),
            ):
                texts = self.constants(node.over, "string")
                if texts is None or tested != name or any(isinstance(each, Local) and each.name == name for each in walk(subject)):
                    return None
                kept = self.temporary()
                test = code.is_(code.call(self.known(patterns.any_of(function, texts)), code.name(kept)), value=expected)
                plain = self.plain(subject) if subject.type == "string" else None
                if plain is not None:
                    return code.both(code.is_not_none(code.kept(kept, plain)), test)
                return code.both(code.compare(code.attribute(code.kept(kept, self.loose(subject)), "__class__"), ast.Is(), code.name("str")), test)
        return None

    def texts_asked_for(self, node: Loop) -> frozenset[str] | None:
        """The texts of `over.exists(x, x == "text")` and `over.exists(x, x in ["text", …])`."""
        match node:
            case Loop(macro="exists", names=(name,), predicate=Call(function="_==_" | "_in_" as function, arguments=(Local(name=tested), wanted))) if (
                name == tested
            ):
                if function == "_in_":
                    return self.constants(wanted, "string")
                if isinstance(wanted, Constant) and wanted.value.__class__ is str and wanted.type == "string":
                    return frozenset((wanted.value,))
        return None

    def _tested(self, node: Call, *, expected: bool) -> ast.expr | None:
        """`subject.startsWith("x")` and its like: one test of a text against what is known when compiling."""
        if not node.arguments:
            return None
        kept = self.temporary()
        test = self._test(node, code.name(kept), expected=expected)
        if test is None:
            return None
        subject = node.arguments[0]
        plain = self.plain(subject) if subject.type == "string" else None
        if plain is not None:
            return code.both(code.is_not_none(code.kept(kept, plain)), test)
        return code.both(code.compare(code.attribute(code.kept(kept, self.loose(subject)), "__class__"), ast.Is(), code.name("str")), test)

    def _test(self, node: Call, text: ast.expr, *, expected: bool) -> ast.expr | None:
        argument = node.arguments[1] if len(node.arguments) == 2 else None
        if isinstance(argument, Constant) and isinstance(argument.value, str):
            made: ast.expr | None = None
            match node.function:
                case ".startsWith":
                    made = code.call(code.attribute(text, "startswith"), code.constant(argument.value))
                case ".endsWith":
                    made = code.call(code.attribute(text, "endswith"), code.constant(argument.value))
                case ".contains":
                    made = code.compare(code.constant(argument.value), ast.In(), text)
                case "ieq":
                    made = code.compare(code.call(code.attribute(text, "casefold")), ast.Eq(), code.constant(argument.value.casefold()))
            if made is not None:
                return made if expected else code.negated(made)
        test = self.compiled_argument(node)
        return None if test is None else code.is_(code.call(self.known(test), text), value=expected)

    def compiled_argument(self, node: Call) -> Callable[[str], Any] | None:
        """A test of the first argument, a text, with the second compiled into it, where that is known; gives a bool or ABSENT."""
        if node.function == "isPublicIP":
            return network.is_public if node.arguments[0].type == "string" else None
        if len(node.arguments) != 2 or node.arguments[0].type not in ("string", "dyn"):
            return None
        argument = node.arguments[1]
        try:
            if isinstance(argument, Constant) and isinstance(argument.value, str):
                return _compiled(node.function, argument.value)
            texts = self.constants(argument, "string") if node.function in ("inCidr", "iin") else None
            if texts is None:
                return None
            return _networks(texts) if node.function == "inCidr" else _among(frozenset(text.casefold() for text in texts))
        except Failed:
            return None  # it fails when it is evaluated, as the specification wants it


def joined_by(between: str) -> Callable[[list[Any]], Any]:
    """`join` of a list that may hold anything."""
    join = functions.strict(strings.join)
    return lambda texts: join(texts, between)


def is_json(node: Node) -> bool:
    """Whether the node's value, where it has one, was decoded from JSON: an open field, what a macro finds in one, or something below."""
    while isinstance(node, Select):
        node = node.operand
    return bool(node.origin) if isinstance(node, Local) else isinstance(node, Field)


def _compiled(function: str, argument: str) -> Callable[[str], Any] | None:
    match function:
        case "matches" | ".matches":
            return patterns.matcher(argument)
        case "glob":
            return patterns.glob_matcher(argument)
        case "inCidr":
            return _networks((argument,))
    return None


def _networks(texts: Iterable[str]) -> Callable[[str], Any]:
    """Addresses repeat: the outcome is remembered."""
    return lru_cache(maxsize=ADDRESSES)(network.Networks(texts))


def text_only(test: Callable[[str], Any]) -> Callable[[Any], Any]:
    """The test for values of any type. Raises Failed for what is no text."""

    def judge(text: Any) -> Any:
        return test(strings.a_string(text))

    return judge


def _among(texts: frozenset[str]) -> Callable[[str], bool]:
    return lambda text: text.casefold() in texts
