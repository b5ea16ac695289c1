"""Three rails of code for every node: *true* (holds definitely), *false* (does definitely not hold), *value*.

A condition compiles on the first two, where absence needs no test of its own: `field == "x"` is `e.a.b == "x"`, and an
absent field (None) makes both rails false. Only what needs more goes through values, where absent and failed are objects.
"""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.cel import code, functions, loops
from watchkeeper_detection.cel.cost import cost
from watchkeeper_detection.cel.errors import CelError, CelErrors
from watchkeeper_detection.cel.fast import Fast, is_json, text_only
from watchkeeper_detection.cel.function_table import FUNCTIONS
from watchkeeper_detection.cel.signatures import signatures
from watchkeeper_detection.cel.tree import (
    And,
    Bind,
    Call,
    Choice,
    Constant,
    Default,
    Field,
    ListName,
    ListOf,
    Local,
    Loop,
    MapOf,
    Node,
    Not,
    Or,
    Present,
    Select,
    TypeName,
    Unknown,
    Variable,
)
from watchkeeper_detection.cel.values import ABSENT, NO_VALUE, CelType, Failure, Map, UInt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

_LOOPS: dict[str, Callable[..., Any]] = {
    "exists": loops.exists,
    "all": loops.every_value,
    "exists_one": loops.exists_one,
    "filter": loops.filtered,
    "map": loops.transformed,
    "transformList": loops.transformed,
    "transformMap": loops.transformed_map,
    "transformMapEntry": loops.transformed_entries,
}

# field types whose values records hold in another form
_CONVERTED: dict[str, Callable[..., Any]] = {
    "timestamp": functions.field_timestamp,
    "duration": functions.field_duration,
    "uint": functions.field_uint,
    "bytes": functions.field_bytes,
}


class Rails(Fast, ABC):
    """Compiles one tree. Subclasses say how a field is read."""

    subject: str

    def __init__(self, lists: Mapping[str, Collection[str]]) -> None:
        self._lists = lists
        self._names: dict[str, Any] = {
            "__builtins__": {},
            "ABSENT": ABSENT,
            "NO_VALUE": NO_VALUE,
            "str": str,
            "bool": bool,
            "list": list,
            "dict": dict,
            "Raw": msgspec.Raw,
        }
        self._made = 0
        self._locals: dict[str, str] = {}
        self.plain_locals: set[str] = set()
        self._loops = False

    def function(self, tree: Node, parameter: str, *, as_condition: bool) -> Callable[[Any], Any]:
        body = self.true(tree) if as_condition else self.value(tree)
        before = [code.assigned("budget", code.list_of(code.constant(loops.ITERATIONS)))] if self._loops else []
        return code.built(parameter, before, body, self._names)

    # names of the generated function

    def temporary(self) -> str:
        self._made += 1
        return f"t{self._made}"

    def known(self, value: Any) -> ast.expr:
        """A name for a constant that Python's own syntax can't spell."""
        self._made += 1
        self._names[f"k{self._made}"] = value
        return code.name(f"k{self._made}")

    def runtime(self, function: Callable[..., Any]) -> ast.expr:
        text = f"f_{id(function)}"
        self._names[text] = function
        return code.name(text)

    def list_values(self, node: ListName) -> frozenset[str]:
        if node.name not in self._lists:
            raise CelErrors((CelError(f"there is no list {node.name}", node.line, node.column),))
        return frozenset(self._lists[node.name])

    # how a field is read

    @abstractmethod
    def plain_field(self, node: Field) -> ast.expr:
        """Python expression for a closed field or captured scalar: its plain value, None when absent."""

    @abstractmethod
    def opened_field(self, node: Field) -> ast.expr:
        """Python expression for a field that is open or has words: its value, or ABSENT."""

    def loose_field(self, node: Field) -> ast.expr:
        """The same, or None in place of ABSENT."""
        return self.opened_field(node)

    @abstractmethod
    def is_plain(self, node: Field) -> bool: ...

    @abstractmethod
    def variable(self, node: Variable) -> ast.expr: ...

    # rails

    def true(self, node: Node) -> ast.expr:
        """Truthy exactly when the node is definitely true."""
        match node:
            case And(operands=operands):
                return code.both(*map(self.true, sorted(operands, key=cost)))
            case Or(operands=operands):
                return code.either(*map(self.true, sorted(operands, key=cost)))
            case Not(operand=operand):
                return self.false(operand)
        return self._decided(node, expected=True)

    def false(self, node: Node) -> ast.expr:
        """Truthy exactly when the node is definitely false."""
        match node:
            case And(operands=operands):
                return code.either(*map(self.false, sorted(operands, key=cost)))
            case Or(operands=operands):
                return code.both(*map(self.false, sorted(operands, key=cost)))
            case Not(operand=operand):
                return self.true(operand)
        return self._decided(node, expected=False)

    def _decided(self, node: Node, *, expected: bool) -> ast.expr:
        rail = self.true if expected else self.false
        match node:
            case Choice(condition=condition, then=then, otherwise=otherwise):
                kept = self.temporary()
                chosen = code.is_(code.kept(kept, self.value(condition)), value=True)
                return code.choice(chosen, rail(then), code.both(code.is_(code.name(kept), value=False), rail(otherwise)))
            case Bind(name=name, value=value, body=body):
                with_value = self.value(value)
                return code.call(self._lambda((name,), lambda: rail(body)), with_value)
            case Loop(macro="exists" | "all", predicate=predicate) if predicate is not None:
                texts = self.any_text(node, expected=expected)
                if texts is not None:
                    return texts
                if len(node.names) == 1 and isinstance(node.over, ListOf) and len(node.over.elements) == 1:
                    return self._named(node.names[0], node.over.elements[0], lambda: rail(predicate))
                return self._quantified(node, predicate, expected=expected)
            case Present():
                present = self._present(node)
                return present if expected else code.negated(present)
            case Call():
                fast = self.fast(node, expected=expected)
                if fast is not None:
                    return fast
        return code.is_(self.value(node), value=expected)

    def _quantified(self, node: Loop, predicate: Node, *, expected: bool) -> ast.expr:
        """`exists` is true when some element is true, false when every element is false; `all` the other way round."""
        self._loops = True
        plain = self.plain(node.over)
        over = self.loose(node.over) if plain is None else plain
        among = self.texts_asked_for(node) if expected else None
        if among is not None:
            return code.call(self.runtime(loops.some_among), code.name("budget"), over, self.known(among))
        walk = loops.some if (node.macro == "exists") is expected else loops.every
        names_plain = node.names if len(node.names) == 1 and (plain is not None or isinstance(node.over, ListName)) else ()
        test = self._lambda(node.names, lambda: (self.true if expected else self.false)(predicate), plain=names_plain)
        return code.call(self.runtime(walk), code.name("budget"), over, test, two=len(node.names) == 2)

    def _named(self, name: str, value: Node, body: Callable[[], ast.expr]) -> ast.expr:
        """`[value].exists(name, body)`, which gives a value a name: one that is absent or failed makes it undecided."""
        outer, outer_plain = dict(self._locals), set(self.plain_locals)
        kept = self._locals[name] = self.temporary()
        if value.type == "string":
            self.plain_locals.add(name)
            is_there = code.compare(code.attribute(code.kept(kept, self.loose(value)), "__class__"), ast.Is(), code.name("str"))
        else:
            is_there = code.compare(code.attribute(code.kept(kept, self.value(value)), "__class__"), ast.NotIn(), code.name("NO_VALUE"))
        made = code.both(is_there, body())
        self._locals, self.plain_locals = outer, outer_plain
        return made

    def _lambda(self, names: tuple[str, ...], body: Callable[[], ast.expr], *, plain: tuple[str, ...] = ()) -> ast.expr:
        outer, outer_plain = dict(self._locals), set(self.plain_locals)
        for name in names:
            self._made += 1
            self._locals[name] = f"v{self._made}"
        self.plain_locals = (self.plain_locals - set(names)) | set(plain)
        made = code.function_of([self._locals[name] for name in names], body())
        self._locals, self.plain_locals = outer, outer_plain
        return made

    def local(self, name: str) -> ast.expr:
        return code.name(self._locals[name])

    def value(self, node: Node) -> ast.expr:
        """The node's value, ABSENT, or a Failure."""
        match node:
            case Constant(value=value, type=kind):
                return self.known(UInt(value)) if kind == "uint" else code.constant(value)
            case Field():
                return self._field_value(node)
            case Variable():
                return self.variable(node)
            case Local(name=name):
                if name not in self._locals:
                    raise CelErrors((CelError(f"nothing binds {name}", node.line, node.column),))
                return self.local(name)
            case ListName():
                return self.known(self.list_values(node))
            case TypeName(name=name):
                return self.known(CelType(name))
            case Unknown(name=name):
                return self.known(Failure(name))
            case Select(operand=operand, name=name):
                return code.call(self.runtime(functions.field_of), self.value(operand), code.constant(name))
            case Present(operand=Select() as operand):
                return code.call(self.runtime(functions.has_field), self.value(operand.operand), code.constant(operand.name))
            case Present(operand=Field() as operand):
                return self._field_present(operand)
            case Default(operand=operand, default=default):
                return code.call(self.known(functions.default_of(default.type)), self.value(operand), self.value(default))
        return self._composed(node)

    def _composed(self, node: Node) -> ast.expr:
        match node:
            case And(operands=operands) | Or(operands=operands):
                return self._logic_value(operands, stop=isinstance(node, Or))
            case Not(operand=operand):
                kept = self.temporary()
                is_bool = code.compare(code.attribute(code.kept(kept, self.value(operand)), "__class__"), ast.Is(), code.name("bool"))
                return code.choice(is_bool, code.is_(code.name(kept), value=False), code.call(self.runtime(undecided), code.name(kept)))
            case Choice(condition=condition, then=then, otherwise=otherwise):
                kept = self.temporary()
                first = code.is_(code.kept(kept, self.value(condition)), value=True)
                trouble = code.call(self.runtime(undecided), code.name(kept))
                return code.choice(first, self.value(then), code.choice(code.is_(code.name(kept), value=False), self.value(otherwise), trouble))
            case ListOf(elements=elements):
                return code.call(self.runtime(listed), *map(self.value, elements))
            case MapOf(entries=entries):
                return code.call(self.runtime(mapped), *(self.value(part) for entry in entries for part in entry))
            case Bind(name=name, value=value, body=body):
                with_value = self.value(value)
                return code.call(self._lambda((name,), lambda: self.value(body)), with_value)
            case Loop():
                return self._loop_value(node)
            case Call():
                return self._call_value(node)
        return self.known(Failure("no such overload"))

    def _call_value(self, node: Call) -> ast.expr:
        overloads = signatures().get(node.function, ())
        counts = {len(overload.arguments) for overload in overloads}
        if len(node.arguments) not in counts and not any(overload.repeated and node.arguments for overload in overloads):
            return self.known(Failure("no such overload"))
        constant = self.compiled_argument(node)
        if constant is not None:
            return code.call(self.known(functions.strict(text_only(constant))), self.value(node.arguments[0]))
        return code.call(self.runtime(FUNCTIONS[node.function]), *map(self.value, node.arguments))

    def _logic_value(self, operands: tuple[Node, ...], *, stop: bool) -> ast.expr:
        kept = [self.temporary() for _ in operands]
        stopped = code.either(*(code.is_(code.kept(name, self.value(operand)), value=stop) for name, operand in zip(kept, operands, strict=True)))
        through = code.both(*(code.is_(code.name(name), value=not stop) for name in kept))
        trouble = code.call(self.runtime(undecided), *map(code.name, kept))
        return code.choice(stopped, code.constant(stop), code.choice(through, code.constant(not stop), trouble))

    def _loop_value(self, node: Loop) -> ast.expr:
        self._loops = True
        predicate, result = node.predicate, node.result
        tests: list[ast.expr] = [self._lambda(node.names, lambda: self.value(predicate))] if predicate is not None else []
        if result is not None:
            if predicate is None:
                tests.append(code.constant(None))
            tests.append(self._lambda(node.names, lambda: self.value(result)))
        return code.call(self.runtime(_LOOPS[node.macro]), code.name("budget"), self.value(node.over), *tests, two=len(node.names) == 2)

    def _present(self, node: Present) -> ast.expr:
        operand = node.operand
        if isinstance(operand, Field):
            return self._field_present(operand)
        if isinstance(operand, Select) and is_json(operand):
            return code.is_not_none(self.loose(operand))
        return code.is_(self.value(node), value=True)

    def _field_present(self, node: Field) -> ast.expr:
        if self.is_plain(node):
            return code.is_not_none(self.plain_field(node))
        return code.compare(self.opened_field(node), ast.IsNot(), code.name("ABSENT"))

    def _field_value(self, node: Field) -> ast.expr:
        if not self.is_plain(node):
            return self.opened_field(node)
        plain = self.plain_field(node)
        convert = _CONVERTED.get(node.type)
        if convert is not None:
            return code.call(self.runtime(convert), plain)
        kept = self.temporary()
        absent = code.is_(code.kept(kept, plain), value=None)
        return code.choice(absent, code.name("ABSENT"), code.name(kept))


def undecided(*operands: Any) -> Any:
    """What `&&`, `||`, `!` or `?:` comes out as when its operands don't decide it."""
    trouble: Any = None
    for operand in operands:
        if operand.__class__ is not bool:
            trouble = loops.worse(trouble, operand)
    return trouble


def listed(*elements: Any) -> Any:
    for element in elements:
        if element.__class__ in NO_VALUE:
            return element
    return elements


def _mapped(*parts: Any) -> object:
    made = Map()
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        made.put(key, value)
    return made


mapped = functions.strict(_mapped)
