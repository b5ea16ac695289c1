"""Macros: what looks like a call but names a variable, a field or a slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from watchkeeper_detection.cel.parse import Called, Ident, ListText, LiteralText, Parsed
from watchkeeper_detection.cel.paths import open_path
from watchkeeper_detection.cel.tree import Bind, Default, Field, Loop, Macro, Node
from watchkeeper_detection.cel.types import BOOL, DYN, INT, Type, Unifier, list_of, map_of

if TYPE_CHECKING:
    from watchkeeper_detection.cel.check import Scope

Typed = tuple[Node, Type]

# macro → numbers of arguments that it takes; a name less and one name more are the two-variable forms
_LOOPS = {
    "all": (2, 3),
    "exists": (2, 3),
    "exists_one": (2, 3),
    "existsOne": (2, 3),
    "filter": (2,),
    "map": (2, 3),
    "transformList": (3, 4),
    "transformMap": (3, 4),
    "transformMapEntry": (3, 4),
}


class Macros:
    """The part of the checker that knows the macros."""

    scope: Scope
    unifier: Unifier
    locals: dict[str, tuple[Type, str]]

    if TYPE_CHECKING:

        def refuse(self, message: str, at: Parsed, hint: str | None = None) -> Typed: ...
        def place(self, at: Parsed, kind: Type) -> dict[str, Any]: ...
        def infer(self, at: Parsed) -> Typed: ...
        def present(self, at: Parsed) -> Typed: ...
        def qualified(self, at: Called) -> str | None: ...
        def require_scalars(self, arguments: list[Typed], at: Parsed) -> None: ...
        def dotted(self, at: Parsed) -> tuple[str, ...] | None: ...

    def macro(self, at: Called) -> Typed | None:
        """The macro that this call is, None when it is a function."""
        if at.target is not None and at.function in _LOOPS and len(at.arguments) in _LOOPS[at.function]:
            return self._loop(at, at.target)
        match self.qualified(at), len(at.arguments):
            case "has", 1:
                return self.present(at.arguments[0])
            case "get", 2:
                return self._get(at)
            case "cel.bind", 3:
                return self._bind(at, at.arguments[0], at.arguments[1], at.arguments[2])
            case "cel.block", 2:
                return self._block(at)
            case ("cel.index", 1) | ("cel.iterVar", 2):
                return self.infer(Ident(at.line, at.column, 1, 1, _slot(at) or "?", absolute=False))
            case ("has" | "get" | "cel.bind" | "cel.block") as name, _:
                return self.refuse(f"{name} takes other arguments", at, {"has": "has(FIELD)", "get": "get(FIELD, DEFAULT)"}.get(name))
        return None

    def _loop(self, at: Called, target: Parsed) -> Typed:
        over, over_kind = self.infer(target)
        self.require_scalars([(over, over_kind)], at)
        two = at.function.startswith("transform") or (len(at.arguments) == 3 and at.function != "map")
        names = tuple(self._variable(argument) for argument in at.arguments[: 2 if two else 1])
        if None in names or len(set(names)) != len(names):
            return self.refuse(f"{at.function}() names its variable first", at.arguments[0], f"LIST.{at.function}(x, …)")
        kinds = self._element_kinds(over_kind, at, two=two)
        origin = open_path(over)
        origins = ["", f"{origin}[]" if origin else ""] if two else [f"{origin}[]" if origin else ""]
        outer = dict(self.locals)
        self.locals |= {cast("str", name): (kind, source) for name, kind, source in zip(names, kinds, origins, strict=True)}
        steps = at.arguments[len(names) :]
        found = [self.infer(step) for step in steps]
        self.locals = outer
        return self._finished(at, over, cast("tuple[str, ...]", names), found, over_kind)

    def _finished(self, at: Called, over: Node, names: tuple[str, ...], found: list[Typed], over_kind: Type) -> Typed:
        macro = cast("Macro", "exists_one" if at.function == "existsOne" else at.function)
        transforms = macro == "map" or macro.startswith("transform")
        result = found.pop() if transforms else None
        predicate = found.pop() if found else None
        if predicate is not None and not self.unifier.accepts([(BOOL, predicate[1])]):
            self.refuse(f"{at.function}() asks a condition of each element, this is {self.unifier.final(predicate[1])}", at.arguments[len(names)])
        kind = BOOL
        if macro == "filter":
            over_found = self.unifier.resolve(over_kind)
            kind = over_found if over_found.name == "list" else list_of(over_found.args[0] if over_found.name == "map" else DYN)
        elif macro in ("map", "transformList") and result is not None:
            kind = list_of(result[1])
        elif macro == "transformMap" and result is not None:
            over_found = self.unifier.resolve(over_kind)
            kind = map_of(over_found.args[0] if over_found.name == "map" else INT if over_found.name == "list" else DYN, result[1])
        elif result is not None:
            kind = result[1]
        node = Loop(macro=macro, over=over, names=names, predicate=predicate and predicate[0], result=result and result[0], **self.place(at, kind))
        return node, kind

    def _variable(self, at: Parsed) -> str | None:
        if isinstance(at, Ident) and not at.absolute:
            return at.name
        return _slot(at) if isinstance(at, Called) and self.qualified(at) == "cel.iterVar" else None

    def _element_kinds(self, over: Type, at: Called, *, two: bool) -> list[Type]:
        found = self.unifier.resolve(over)
        if found.unknown:
            self.unifier.accepts([(found, list_of(self.unifier.fresh()))])
            found = self.unifier.resolve(found)
        if found.name == "list":
            return [INT, found.args[0]] if two else [found.args[0]]
        if found.name == "map":
            return list(found.args) if two else [found.args[0]]
        if found.name != "dyn":
            self.refuse(f"{at.function}() walks a list or a map, this is {self.unifier.final(found)}", at)
        return [DYN, DYN] if two else [DYN]

    def _get(self, at: Called) -> Typed:
        (operand, kind), (default, default_kind) = self.infer(at.arguments[0]), self.infer(at.arguments[1])
        if not isinstance(operand, Field) and open_path(operand) is None and self.unifier.resolve(kind).name != "dyn":
            self.refuse("get() reads a field: get(FIELD, DEFAULT)", at.arguments[0])
        if not self.unifier.accepts([(kind, default_kind)]):
            self.refuse(f"the field is {self.unifier.final(kind)}, the default {self.unifier.final(default_kind)}", at.arguments[1])
        return Default(operand=operand, default=default, **self.place(at, default_kind)), default_kind

    def _bind(self, at: Called, variable: Parsed, value_text: Parsed, body_text: Parsed) -> Typed:
        name = self._variable(variable)
        if name is None:
            return self.refuse("cel.bind() names its variable first", variable, "cel.bind(x, VALUE, EXPRESSION)")
        value, value_kind = self.infer(value_text)
        outer = dict(self.locals)
        self.locals[name] = (value_kind, open_path(value) or "")
        body, kind = self.infer(body_text)
        self.locals = outer
        return Bind(name=name, value=value, body=body, **self.place(at, kind)), kind

    def _block(self, at: Called) -> Typed:
        """`cel.block([a, b], x)`: each slot is bound around the result, later ones see earlier ones."""
        slots, outer = at.arguments[0], dict(self.locals)
        if not isinstance(slots, ListText):
            return self.refuse("cel.block() takes a list of slots first", at)
        bound: list[tuple[str, Node]] = []
        for number, slot in enumerate(slots.elements):
            value, kind = self.infer(slot)
            self.locals[f"@{number}"] = (kind, open_path(value) or "")
            bound.append((f"@{number}", value))
        node, kind = self.infer(at.arguments[1])
        self.locals = outer
        for name, value in reversed(bound):
            node = Bind(name=name, value=value, body=node, **self.place(at, kind))
        return node, kind


def _slot(at: Called) -> str | None:
    """Name of the variable that `cel.index(1)` or `cel.iterVar(0, 1)` stands for."""
    numbers = [argument.value for argument in at.arguments if isinstance(argument, LiteralText) and argument.type == "int"]
    return "@" + ":".join(str(number) for number in numbers) if len(numbers) == len(at.arguments) else None
