"""What a condition says, whatever its layout: trees compared without places, and without the order of `&&` and `||`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.cel.requirements import conjuncts
from watchkeeper_detection.cel.tree import And, Constant, Or

if TYPE_CHECKING:
    from watchkeeper_detection.cel.tree import Node

PLACE = frozenset({"line", "column"})


def shape(part: Any) -> Any:
    """Two trees that say the same in the same words have one shape."""
    if isinstance(part, (And, Or)):
        return (type(part).__name__, *sorted(repr(shape(operand)) for operand in part.operands))
    if isinstance(part, msgspec.Struct):
        return (type(part).__name__, *(shape(getattr(part, name)) for name in part.__struct_fields__ if name not in PLACE))
    if isinstance(part, tuple):
        return tuple(shape(each) for each in part)
    return (type(part).__name__, part)


def implies(condition: Node, other: Node) -> bool:
    """Whether the other is seen to be true whenever the condition is: each of its conjuncts is one of the condition's, or just `true`."""
    given = {repr(shape(part)) for part in conjuncts(condition)}
    return all(repr(shape(part)) in given or is_true(part) for part in conjuncts(other))


def is_true(node: Node) -> bool:
    return isinstance(node, Constant) and node.value is True
