"""What the product's source asks of the API server, read from its syntax: verbs, resources, and the module that asks.

Two sorts of calls count: methods of the one door (`cluster.list(kinds.PODS, …)`, `Watch(cluster, kinds.PODS, …)`) and Kopf's registrations (`kopf.on.event`).
A call of the door whose resource can't be told is an error: nothing is passed over.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import grimp

from watchkeeper_operator.kinds import Resource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PACKAGE = "watchkeeper_operator"
DOORS = ("watchkeeper_operator.cluster", "watchkeeper_operator.watches")  # they pass on what others name
VERBS: dict[str, tuple[str, ...]] = {
    "list": ("list",),
    "list_tagged": ("list",),
    "watch": ("watch",),
    "get": ("get",),
    "create": ("create",),
    "replace": ("update",),
    "apply": ("patch", "create"),
    "merge": ("patch",),
    "remove": ("patch", "delete"),
    "delete": ("delete",),
}
WATCHED = ("list", "watch")


class Asked(NamedTuple):
    """`resource`: `group/plural` or `plural` of the core group, with `/subresource`; a path that is no resource begins with `/`."""

    resource: str
    verb: str
    module: str


class UntoldError(Exception):
    """A call whose resource can't be read from the source."""


def modules_of(entry: str) -> list[str]:
    """The module and all of the package that it imports, directly or not."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True)
    return sorted({entry, *graph.find_upstream_modules(entry)} - set(DOORS))


def asked_by(entry: str) -> set[Asked]:
    """By a process, whose first module this is."""
    return {asked for name in modules_of(entry) for asked in asked_in(importlib.import_module(name))}


def asked_in(module: ModuleType) -> Iterator[Asked]:
    for call, iterated in _calls(ast.parse(Path(str(module.__file__)).read_text()), {}):
        for resource, verb in _of_call(call, vars(module), iterated):
            yield Asked(resource, verb, module.__name__.removeprefix(f"{PACKAGE}."))


def _calls(node: ast.AST, iterated: dict[str, ast.expr]) -> Iterator[tuple[ast.Call, dict[str, ast.expr]]]:
    """With what the variables of the comprehensions around it go over."""
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        iterated = iterated | {one.target.id: one.iter for one in node.generators if isinstance(one.target, ast.Name)}
    if isinstance(node, ast.Call):
        yield node, iterated
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, iterated)


def _of_call(call: ast.Call, names: dict[str, Any], iterated: dict[str, ast.expr]) -> list[tuple[str, str]]:
    match call.func:
        case ast.Name("Watch") | ast.Subscript(ast.Name("Watch")):
            return [(_name(one), verb) for one in _resources(call.args[1], names, iterated) for verb in WATCHED]
        case ast.Attribute(ast.Attribute(ast.Name("kopf"), "on"), "event"):
            group, _, plural = (_value(one, names) for one in call.args)
            return [(f"{group}/{plural}", verb) for verb in WATCHED]
        case ast.Attribute(receiver, "token_of") if _is_door(receiver):
            return [("serviceaccounts/token", "create")]
        case ast.Attribute(receiver, "read") if _is_door(receiver):
            return [(_value(call.args[0], names), "get")]
        case ast.Attribute(receiver, method) if method in VERBS and _is_door(receiver):
            return _of_door(call, method, _resources(call.args[0], names, iterated), names)
    return []


def _of_door(call: ast.Call, method: str, resources: list[Resource], names: dict[str, Any]) -> list[tuple[str, str]]:
    keywords = {one.arg: one.value for one in call.keywords}
    below = f"/{_value(keywords['subresource'], names)}" if "subresource" in keywords else ""
    verbs = VERBS[method][:1] if below else VERBS[method]  # a status is of what is there: it is never made
    return [(_name(one) + below, verb) for one in resources for verb in verbs]


def _is_door(receiver: ast.expr) -> bool:
    return (isinstance(receiver, ast.Name) and receiver.id == "cluster") or (isinstance(receiver, ast.Attribute) and receiver.attr in ("cluster", "_cluster"))


def _resources(written: ast.expr, names: dict[str, Any], iterated: dict[str, ast.expr]) -> list[Resource]:
    if isinstance(written, ast.Name) and written.id not in names and written.id in iterated:
        written = iterated[written.id]
    if isinstance(written, ast.Subscript):
        written = written.value
    found = list(_flat(_value(written, names)))
    if not found:
        raise UntoldError(f"{ast.unparse(written)} names no resource")
    return found


def _value(written: ast.expr, names: dict[str, Any]) -> Any:
    """What an expression over names of a module is. It is our own source."""
    try:
        return eval(compile(ast.Expression(written), "source", "eval"), dict(names))  # noqa: S307 (names and attributes of our own modules)
    except NameError as unknown:
        raise UntoldError(f"{ast.unparse(written)}: {unknown}") from None


def _flat(value: Any) -> Iterator[Resource]:
    if isinstance(value, Resource):
        yield value
    elif isinstance(value, dict):
        yield from _flat(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _flat(one)


def _name(resource: Resource) -> str:
    return f"{resource.group}/{resource.plural}" if resource.group else resource.plural
