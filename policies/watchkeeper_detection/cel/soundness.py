"""A tree that came over the wire is data from elsewhere: what the compiler takes for granted is checked again before it compiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.cel.errors import CelError, CelErrors
from watchkeeper_detection.cel.signatures import signatures
from watchkeeper_detection.cel.tree import Call, Constant, Field, Loop, require_bounds, walk
from watchkeeper_detection.cel.types import read_type
from watchkeeper_detection.fields import fields

if TYPE_CHECKING:
    from watchkeeper_detection.cel.tree import Node

_CLASSES: dict[str, tuple[type, ...]] = {
    "null_type": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "uint": (int,),
    "double": (float, int),
    "string": (str,),
    "bytes": (bytes,),
}


def require_sound(tree: Node) -> None:
    """Raises CelErrors: out of bounds, a field or function that this program does not know, a constant of another type."""
    try:
        require_bounds(tree)
    except ValueError as error:
        raise CelErrors((CelError(str(error), tree.line, tree.column),)) from None
    errors = [CelError(wrong, node.line, node.column) for node in walk(tree) if (wrong := _wrong(node)) is not None]
    if errors:
        raise CelErrors(tuple(errors))


def _wrong(node: Node) -> str | None:
    match node:
        case Field(path=path) if path not in fields():
            return f"there is no field {path}"
        case Field(path=path, words=(), type=kind) if kind != str(read_type(fields()[path].type)):
            return f"the field {path} is {fields()[path].type}, not {kind}"
        case Constant(value=value, type=kind) if value.__class__ not in _CLASSES.get(kind, ()):
            return f"the constant is no {kind}"
        case Call(function=function) if function not in signatures():
            return f"there is no function {function}"
        case Loop(macro=macro, names=names, predicate=predicate, result=result):
            transforms = macro == "map" or macro.startswith("transform")
            pairs = macro.startswith("transform")
            if (
                transforms is (result is None)
                or (predicate is None and not transforms)
                or len(names) not in ((2,) if pairs else (1, 2))
                or len(set(names)) != len(names)
            ):
                return f"{macro}() lacks a part or has one too many"
    return None
