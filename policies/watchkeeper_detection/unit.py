"""Unit: what an event is tested against. It is compiled when first met, and shrinks where some fields' values are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.cel.compile import compile_condition, compile_value
from watchkeeper_detection.cel.cost import is_computed
from watchkeeper_detection.cel.requirements import conjuncts
from watchkeeper_detection.cel.tree import And, Field, Present, Variable, children, walk
from watchkeeper_detection.cel.values import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from watchkeeper_detection.cel.tree import Node
    from watchkeeper_detection.event import Event
    from watchkeeper_detection.program import Rule

SCALARS = frozenset({"string", "int", "bool"})
NONE: frozenset[str] = frozenset()


class Unit:
    """A rule's condition, or one step of its sequence; or what is left of one (`whole`) to be tested."""

    def __init__(self, rule: Rule, step: int, when: Node | None, lists: Mapping[str, Any], whole: Unit | None = None, *, late: frozenset[str] = NONE) -> None:
        self.rule = rule
        self.late = late  # late fields that judging by it reads
        self.later: Unit | None = None  # where this is but the part that reads no late field: the whole
        self.step = step
        self.when = when
        self.whole = whole or self
        self._lists = lists
        self.holds: Callable[[Event], bool] = self._compile_then_hold
        self._value: Callable[[Event], object] | None = None
        self._known: Collection[str] | None = None
        self._decided: Unit | None = None
        self._left: Unit = self

    def _compile_then_hold(self, event: Event) -> bool:
        self.holds = compile_condition(self.when, self._lists) if self.when is not None else _always
        return self.holds(event)

    @property
    def fields(self) -> set[str]:
        """Fields that the condition reads and an event holds as one text, number or bool."""
        nodes = walk(self.when) if self.when is not None else ()
        return {
            node.path for node in nodes if isinstance(node, Field) and not (node.step or node.words) and node.type in SCALARS and not is_computed(node.path)
        }

    @property
    def reads(self) -> set[str]:
        """Fields that decide whether the condition holds; `path?` where only being there counts."""
        return read_by(self.when) if self.when is not None else set()

    def left_for(self, event: Event, known: Collection[str]) -> Unit | None:
        """What is left to test on events that have the same values of the `known` fields; None when it can't hold for them."""
        if known is not self._known:
            self._split(known)
        decided = self._decided
        if decided is None or decided.holds(event):
            return self._left
        return self if decided.failure(event) else None  # a type error is for the statistics to see

    def _split(self, known: Collection[str]) -> None:
        parts = conjuncts(self.when) if self.when is not None else ()
        decided = [part for part in parts if is_decided_by(part, known)]
        left = [part for part in parts if part not in decided]
        self._known = known
        self._decided = Unit(self.rule, self.step, all_of(decided), self._lists) if decided else None
        self._left = Unit(self.rule, self.step, all_of(left), self._lists, self) if decided else self

    def failure(self, event: Event) -> Failure | None:
        """The type error for which the condition did not hold, if that was the reason."""
        if self.when is None:
            return None
        if self._value is None:
            self._value = compile_value(self.when, self._lists)
        value = self._value(event)
        return value if isinstance(value, Failure) else None


def read_by(condition: Node) -> set[str]:
    """Fields that decide a condition; `path?` where only being there counts. Fields of an earlier step are absent here."""
    read, present, nodes = set[str](), set[str](), [condition]
    for node in nodes:
        if isinstance(node, Present) and isinstance(node.operand, Field) and not node.operand.words:
            if not node.operand.step:
                present.add(node.operand.path)
        elif isinstance(node, Field):
            if not node.step:
                read.add(node.path)
        else:
            nodes += children(node)
    return read | {f"{path}?" for path in present - read}


def is_decided_by(condition: Node, paths: Collection[str]) -> bool:
    """Whether the condition reads nothing but these fields. (An earlier step's field is absent here.)"""
    return all((not node.words and node.path in paths) or node.step if isinstance(node, Field) else not isinstance(node, Variable) for node in walk(condition))


def all_of(parts: Sequence[Node]) -> Node | None:
    """The conjunction of the parts; None of none."""
    if len(parts) <= 1:
        return parts[0] if parts else None
    return And(operands=tuple(parts), type="bool", line=parts[0].line, column=parts[0].column)


def _always(_event: Event) -> bool:
    return True
