"""Names: what `a.b.c` stands for. A variable of a macro, a declared variable, an earlier step, a list, a type, or a field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.cel.parse import Ident, Parsed, Selected
from watchkeeper_detection.cel.paths import is_open, path_text
from watchkeeper_detection.cel.tree import Field, ListName, Local, Node, TypeName, Variable
from watchkeeper_detection.cel.types import DYN, STRING, TYPE_NAMES, Type, Unifier, list_of, read_type
from watchkeeper_detection.fields import branches, fields, kinds, nearest, roots_of

if TYPE_CHECKING:
    from watchkeeper_detection.cel.check import Scope

Typed = tuple[Node, Type]


class Names:
    """The part of the checker that resolves names."""

    scope: Scope
    unifier: Unifier
    reads: set[str]
    step_reads: set[tuple[str, str]]
    lists: set[str]
    locals: dict[str, tuple[Type, str]]

    if TYPE_CHECKING:

        def refuse(self, message: str, at: Parsed, hint: str | None = None) -> Typed: ...
        def place(self, at: Parsed, kind: Type) -> dict[str, Any]: ...
        def infer(self, at: Parsed) -> Typed: ...
        def select(self, operand: Node, kind: Type, name: str, at: Parsed) -> Typed: ...

    def dotted(self, at: Parsed) -> tuple[str, ...] | None:
        """The words of `a.b.c`, None for anything else."""
        words: list[str] = []
        while isinstance(at, Selected):
            words.append(at.name)
            at = at.operand
        return (at.name, *reversed(words)) if isinstance(at, Ident) else None

    def named(self, at: Ident | Selected) -> Typed:
        names = self.dotted(at)
        if names is None:
            assert isinstance(at, Selected)  # noqa: S101 (a lone identifier always has a dotted form)
            operand, kind = self.infer(at.operand)
            return self.select(operand, kind, at.name, at)
        chain: list[Parsed] = [at]
        while isinstance(chain[0], Selected):
            chain.insert(0, chain[0].operand)
        first = chain[0]
        assert isinstance(first, Ident)  # noqa: S101 (what `dotted` found)
        if not first.absolute and names[0] in self.locals:
            kind, origin = self.locals[names[0]]
            return self._selected(Local(name=names[0], origin=origin, **self.place(first, kind)), kind, names[1:], chain[1:])
        declared = self._declared(names, chain, absolute=first.absolute)
        if declared is not None:
            return declared
        if names[0] in self.scope.steps and len(names) > 1:
            return self._field(names[0], self.scope.steps[names[0]], names[1:], chain[1:])
        if names[0] == "lists" and len(names) > 1:
            return self._list(names, chain)
        return self._field("", self.scope.kinds, names, chain)

    def _selected(self, node: Node, kind: Type, names: tuple[str, ...], chain: list[Parsed]) -> Typed:
        for name, at in zip(names, chain, strict=True):
            node, kind = self.select(node, kind, name, at)
        return node, kind

    def _declared(self, names: tuple[str, ...], chain: list[Parsed], *, absolute: bool) -> Typed | None:
        """A variable or type: the longest name, in the innermost name space."""
        container = [] if absolute or not self.scope.container else self.scope.container.split(".")
        for depth in range(len(container), -1, -1):
            for length in range(len(names), 0, -1):
                name = ".".join((*container[:depth], *names[:length]))
                at = chain[length - 1]
                if name in self.scope.variables:
                    kind = read_type(self.scope.variables[name])
                    return self._selected(Variable(name=name, **self.place(at, kind)), kind, names[length:], chain[length:])
                if name in TYPE_NAMES and length == len(names):
                    return TypeName(name=name, **self.place(at, Type("type", (TYPE_NAMES[name],)))), Type("type", (TYPE_NAMES[name],))
        return None

    def _list(self, names: tuple[str, ...], chain: list[Parsed]) -> Typed:
        name = names[1]
        if name not in self.scope.lists:
            best = nearest(name, self.scope.lists)
            return self.refuse(f"there is no list {name}", chain[1], f"did you mean lists.{best}?" if best else None)
        self.lists.add(name)
        kind = list_of(STRING)
        return self._selected(ListName(name=name, **self.place(chain[0], kind)), kind, names[2:], chain[2:])

    def _field(self, step: str, of_kinds: tuple[str, ...], names: tuple[str, ...], chain: list[Parsed]) -> Typed:
        path, length = self._longest(names)
        if path is None:
            return self._no_field(names, chain, of_kinds)
        roots = frozenset(root for kind in of_kinds for root in roots_of(kind))
        if names[0] not in roots:
            having = sorted(kind for kind in kinds() if names[0] in roots_of(kind))
            return self.refuse(
                f"{path} does not exist on {' or '.join(of_kinds) or 'what is judged here'}", chain[0], f"it exists on {', '.join(having)}" if having else None
            )
        kind = read_type(fields()[path].type)
        node: Node = Field(path=path, step=step, **self.place(chain[length - 1], kind))
        if not step:
            self.reads.add(path)
        result = self._selected(node, kind, names[length:], chain[length:])
        if step and isinstance(result[0], Field):
            self._step_read(result[0])
        return result

    def _step_read(self, node: Field) -> None:
        """A step's field is captured as one scalar: only the longest path of it is kept."""
        self.step_reads.discard((node.step, path_text(node.path, node.words[:-1])))
        self.step_reads.add((node.step, path_text(node.path, node.words)))

    def _longest(self, names: tuple[str, ...]) -> tuple[str | None, int]:
        best, known = (None, 0), branches()
        for length in range(1, len(names) + 1):
            path = ".".join(names[:length])
            if path in fields():
                best = (path, length)  # type: ignore[assignment]
            elif path not in known:
                break
        return best

    def _no_field(self, names: tuple[str, ...], chain: list[Parsed], of_kinds: tuple[str, ...]) -> Typed:
        for length in range(1, len(names) + 1):
            path = ".".join(names[:length])
            if path in branches():
                continue
            above = ".".join(names[: length - 1])
            prefix = above + "." if above else ""
            beside = {each[len(prefix) :].partition(".")[0] for each in fields() if each.startswith(prefix)}
            if not above:
                beside = {root for kind in of_kinds for root in roots_of(kind)} | set(self.scope.variables) | set(self.scope.steps) | set(self.locals)
            best = nearest(names[length - 1], beside)
            what = f"there is no field {path}" if above else f"there is nothing called {path}"
            return self.refuse(what, chain[length - 1], f"did you mean {prefix}{best}?" if best else _somewhere_else(names))
        path = ".".join(names)
        below = sorted(each for each in fields() if each.startswith(path + "."))
        return self.refuse(f"{path} is an object of fields, not a field", chain[-1], "name one of " + ", ".join(below[:4]) + (", …" if len(below) > 4 else ""))

    def below(self, node: Field, word: str | int, at: Parsed) -> Typed | None:
        """The field one key or index further down; None where the path does not go on by itself."""
        row_type = read_type(fields()[node.path].type)
        if not is_open(node.path):
            if node.words:
                return None
            if row_type.name == "map" and isinstance(word, str):
                kind = row_type.args[1]
            elif row_type.name == "list" and isinstance(word, int):
                kind = row_type.args[0]
            else:
                return None
        elif row_type.name == "list" and not node.words and isinstance(word, str):
            return None
        else:
            kind = DYN
        if isinstance(word, int) and word < 0:
            return self.refuse("an index counts from 0", at)
        deeper = Field(path=node.path, words=(*node.words, word), step=node.step, **self.place(at, kind))
        if node.step:
            self._step_read(deeper)
        return deeper, kind


def _somewhere_else(names: tuple[str, ...]) -> str | None:
    best = nearest(".".join(names), fields())
    return f"did you mean {best}?" if best else None
