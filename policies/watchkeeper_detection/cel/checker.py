"""Types and names of one expression. Errors are collected; what has one gets the type `dyn`, so that the rest is still judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.cel.errors import CelError
from watchkeeper_detection.cel.literal_arguments import literal_error
from watchkeeper_detection.cel.macros import Macros
from watchkeeper_detection.cel.names import Names
from watchkeeper_detection.cel.parse import Called, Ident, ListText, LiteralText, MapText, MessageText, Parsed, Selected
from watchkeeper_detection.cel.paths import open_paths
from watchkeeper_detection.cel.signatures import MACROS, OTHER_NAMES, signatures
from watchkeeper_detection.cel.tree import And, Call, Choice, Constant, Field, ListOf, MapOf, Node, Not, Or, Present, Select, Unknown
from watchkeeper_detection.cel.types import BOOL, DYN, STRING, Type, Unifier, list_of, map_of, read_type
from watchkeeper_detection.fields import nearest

if TYPE_CHECKING:
    from watchkeeper_detection.cel.check import Scope
    from watchkeeper_detection.cel.signatures import Overload

Typed = tuple[Node, Type]

_SYMBOLS = {"_[_]": "[]", "-_": "-", "!_": "!"}


class Checker(Names, Macros):
    """One use per expression. `infer` gives the node and its type, `errors` what is wrong."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.errors: list[CelError] = []
        self.unifier = Unifier()
        self.reads: set[str] = set()
        self.step_reads: set[tuple[str, str]] = set()
        self.lists: set[str] = set()
        self.locals: dict[str, tuple[Type, str]] = {}

    def open_paths(self, tree: Node) -> set[str]:
        return open_paths(tree)

    def refuse(self, message: str, at: Parsed, hint: str | None = None) -> Typed:
        """Note the error; a lenient checker leaves it to the evaluation."""
        if not self.scope.lenient:
            self.errors.append(CelError(message, at.line, at.column, hint))
        return Unknown(name=message, line=at.line, column=at.column), DYN

    def place(self, at: Parsed, kind: Type) -> dict[str, Any]:
        """What every node made for this text has in common."""
        return {"type": str(self.unifier.final(kind)), "line": at.line, "column": at.column}

    def infer(self, at: Parsed) -> Typed:
        match at:
            case LiteralText(value=value, type=kind):
                return Constant(value=value, type=kind, line=at.line, column=at.column), read_type(kind)
            case Ident() | Selected():
                return self.named(at)
            case ListText(elements=elements):
                found = [self.infer(element) for element in elements]
                list_kind = list_of(self.unifier.joined([each for _, each in found]))
                return ListOf(elements=tuple(node for node, _ in found), **self.place(at, list_kind)), list_kind
            case MapText():
                return self._map(at)
            case MessageText():
                return self.refuse("there are no messages in this language", at, 'write a map: {"key": value}')
        return self._called(at)

    def _map(self, at: MapText) -> Typed:
        pairs = [(self.infer(key), self.infer(value)) for key, value in at.entries]
        key = self.unifier.joined([kind for (_, kind), _ in pairs])
        for (written, _), ((_, each), _) in zip(at.entries, pairs, strict=True):
            if self.unifier.final(each).name not in ("bool", "int", "uint", "string", "dyn"):
                key = DYN  # a map's type must not double what it is made of
                self.refuse(f"a map's key can't be {self.unifier.final(each)}", written)
        kind = map_of(key, self.unifier.joined([kind for _, (_, kind) in pairs]))
        return MapOf(entries=tuple((key_node, value_node) for (key_node, _), (value_node, _) in pairs), **self.place(at, kind)), kind

    def _called(self, at: Called) -> Typed:
        match at.function:
            case "_&&_" | "_||_":
                operands = tuple(self._bool(argument) for argument in at.arguments)
                node: Node = (And if at.function == "_&&_" else Or)(operands=operands, **self.place(at, BOOL))
                return node, BOOL
            case "!_":
                return Not(operand=self._bool(at.arguments[0]), **self.place(at, BOOL)), BOOL
            case "_?_:_":
                return self._choice(at)
            case "_[_]":
                return self._index(at)
        return self.macro(at) or self._function(at)

    def _bool(self, at: Parsed) -> Node:
        node, kind = self.infer(at)
        if not self.unifier.accepts([(BOOL, kind)]):
            self.refuse(f"expected a condition, this is {self.unifier.final(kind)}", at, "compare it: == VALUE, or ask has(FIELD)")
        return node

    def _choice(self, at: Called) -> Typed:
        condition = self._bool(at.arguments[0])
        (then, then_kind), (otherwise, otherwise_kind) = self.infer(at.arguments[1]), self.infer(at.arguments[2])
        if self.unifier.accepts([(then_kind, otherwise_kind)]):
            kind = self.unifier.joined([then_kind, otherwise_kind])
        else:
            kind = DYN
            self.refuse(f"both sides of ?: must have one type, these are {self.unifier.final(then_kind)} and {self.unifier.final(otherwise_kind)}", at)
        return Choice(condition=condition, then=then, otherwise=otherwise, **self.place(at, kind)), kind

    def _index(self, at: Called) -> Typed:
        """`field["key"]` and `field[0]` become part of the field's path."""
        (operand, kind), (key, key_kind) = self.infer(at.arguments[0]), self.infer(at.arguments[1])
        if isinstance(operand, Field) and isinstance(key, Constant) and key.type in ("string", "int"):
            deeper = self.below(operand, key.value, at.arguments[1])
            if deeper is not None:
                return deeper
        return self._overloaded("_[_]", "_[_]", [(operand, kind), (key, key_kind)], at, member=False)

    def select(self, operand: Node, kind: Type, name: str, at: Parsed) -> Typed:
        """`operand.name` on a value: a map's entry."""
        if isinstance(operand, Field):
            deeper = self.below(operand, name, at)
            if deeper is not None:
                return deeper
        found = self.unifier.resolve(kind)
        if found.unknown:
            found = DYN
        if found.name == "map":
            if not self.unifier.accepts([(found.args[0], STRING)]):
                self.refuse(f"the map's keys are {found.args[0]}, not string", at)
            result = found.args[1]
        elif found.name == "dyn":
            result = DYN
        else:
            return self.refuse(f"{self.unifier.final(found)} has no fields", at, _element_hint(found))
        return Select(operand=operand, name=name, **self.place(at, result)), result

    def _function(self, at: Called) -> Typed:
        qualified = self.qualified(at)
        if at.target is not None and qualified is not None:
            return self._overloaded(qualified, qualified, [self.infer(argument) for argument in at.arguments], at, member=False)
        written = at.arguments if at.target is None else (at.target, *at.arguments)
        name = at.function if at.target is None else f".{at.function}"
        arguments = [self.infer(argument) for argument in written]
        if name not in signatures():
            return self._unknown_function(at, name)
        return self._overloaded(name, at.function, arguments, at, member=at.target is not None)

    def qualified(self, at: Called) -> str | None:
        """`math.greatest` of `math.greatest(…)`: a function whose name has points, unless a value is called so."""
        if at.target is None:
            return at.function
        names = self.dotted(at.target)
        if names is None or names[0] in self.locals:
            return None
        name = ".".join((*names, at.function))
        return name if name in signatures() or name in OTHER_NAMES else None

    def _unknown_function(self, at: Called, name: str) -> Typed:
        known = {each.lstrip(".") for each in (*signatures(), *MACROS, *OTHER_NAMES) if each.lstrip(".")[0].isalpha()}
        bare = name.lstrip(".")
        if name.startswith(".") and bare in signatures():
            return self.refuse(f"{bare} is not called on a value", at, f"write {bare}(…)")
        if f".{name}" in signatures():
            return self.refuse(f"{bare} is called on a value", at, f"write VALUE.{bare}(…)")
        best = nearest(bare, known)
        return self.refuse(f"there is no function {bare}", at, f"did you mean {best}?" if best else None)

    def _overloaded(self, name: str, shown: str, arguments: list[Typed], at: Called, *, member: bool) -> Typed:
        kinds = [kind for _, kind in arguments]
        nodes = tuple(node for node, _ in arguments)
        if self._compared_with_null(name, nodes, at):
            return Call(function=name, arguments=nodes, **self.place(at, BOOL)), BOOL
        self.require_scalars(arguments, at)
        result = self._result(signatures()[name], kinds)
        if result is None:
            self._no_overload(name, shown, kinds, at)
            result = DYN
        node = Call(function=name, arguments=nodes, member=member, **self.place(at, result))
        wrong = None if self.scope.lenient else literal_error(node)
        if wrong is not None:
            self.refuse(wrong, at)
        return node, result

    def require_scalars(self, arguments: list[Typed], at: Parsed) -> None:
        for node, kind in arguments:
            if isinstance(node, Field) and node.step and self.unifier.final(kind).name in ("list", "map"):
                self.refuse(
                    f"of an earlier step only single values are kept, {node.step}.{node.path} is {kind}", at, "ask about it in that step's own condition"
                )

    def _result(self, overloads: tuple[Overload, ...], kinds: list[Type]) -> Type | None:
        """The type of the first overload that fits; dynamic when several fit and differ."""
        found: list[Type] = []
        exact = not any(_dynamic(self.unifier.resolve(kind)) for kind in kinds)
        for overload in overloads:
            renamed: dict[str, Type] = {}
            wanted = [self.unifier.instance(argument, renamed) for argument in overload.arguments]
            if overload.repeated:
                wanted = [*wanted[:-1], *[wanted[-1]] * max(1, len(kinds) - len(wanted) + 1)]
            if len(wanted) != len(kinds) or not self.unifier.accepts(list(zip(wanted, kinds, strict=True))):
                continue
            result = self.unifier.instance(overload.result, renamed)
            if exact:
                return result
            found.append(self.unifier.resolve(result))
        if not found:
            return None
        return found[0] if all(each == found[0] for each in found) else DYN

    def _no_overload(self, name: str, shown: str, kinds: list[Type], at: Called) -> None:
        names = [str(self.unifier.final(kind)) for kind in kinds]
        if not shown[0].isalpha():
            symbol = _SYMBOLS.get(shown, shown.strip("_"))
            text = f"{symbol} takes no {names[0]}" if len(names) == 1 else f"{names[0]} {symbol} {names[1]} does not fit"
            self.refuse(text, at, _comparison_hint(name, names))
            return
        overloads = signatures()[name]
        takes = " or ".join(f"({', '.join(str(argument) for argument in overload.arguments[name[0] == '.' :])})" for overload in overloads[:4])
        self.refuse(f"{shown}({', '.join(names[name[0] == '.' :])})" + (f" on {names[0]}" if name[0] == "." else "") + " does not fit", at, f"it takes {takes}")

    def _compared_with_null(self, name: str, nodes: tuple[Node, ...], at: Called) -> bool:
        fields_and_null = any(isinstance(node, Constant) and node.value is None for node in nodes) and any(isinstance(node, Field) for node in nodes)
        if name not in ("_==_", "_!=_") or not fields_and_null:
            return False
        self.refuse("a field is never null: null is absent", at, "use !has(FIELD)" if name == "_==_" else "use has(FIELD)")
        return True

    def present(self, at: Parsed) -> Typed:
        """`has(at)`."""
        if not isinstance(at, Selected) and not (isinstance(at, Called) and at.function == "_[_]"):
            return self.refuse("has() asks for a field: has(a.b)", at)
        node, _ = self.infer(at)
        if isinstance(at, Called) and not isinstance(node, Field | Unknown):
            return self.refuse("has() asks for a field: has(a.b)", at)
        return Present(operand=node, **self.place(at, BOOL)), BOOL


def _dynamic(kind: Type) -> bool:
    return kind.name == "dyn" or any(map(_dynamic, kind.args))


def _comparison_hint(name: str, names: list[str]) -> str | None:
    if name == "_in_":
        return "the right side of `in` is a list, a map or lists.NAME"
    if name not in ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"):
        return None
    if names[0] == "string" and names[1] in ("int", "uint", "double", "bool"):
        return "put quotes around the value"
    if names[1] == "string" and names[0] in ("int", "uint", "double", "bool"):
        return "leave the quotes away"
    if "list" in names[0]:
        return "ask VALUE in LIST, or LIST.exists(x, …)"
    return None


def _element_hint(kind: Type) -> str | None:
    return "it is a list: ask .exists(x, …), or take one element: [0]" if kind.name == "list" else None
