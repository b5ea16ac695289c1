"""Builders of events and programs with good defaults."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.checking import check_policies
from watchkeeper_detection.event import Event
from watchkeeper_detection.logs.provider import common_fills
from watchkeeper_detection.policy_loading import load_policies, salvage
from watchkeeper_detection.record_types import record_type

if TYPE_CHECKING:
    from watchkeeper_detection.program import Program

SECOND = 1_000_000_000


def _filled(root: Any, path: str, value: object) -> None:
    *branches, leaf = path.split(".")
    for branch in branches:
        root = getattr(root, branch)
    setattr(root, leaf, value)


def an_event(kind: str = "audit.request", *, at: float = 0, number: int | None = None, **fields: object) -> Event:
    """An event with these fields: `an_event(at=3, audit_verb="get", identity_id="alice")` or `**{"audit.verb": "get"}`; the first underscore is a dot too."""
    number = round(at * 1000) + 1 if number is None else number
    roots: dict[str, Any] = {}
    for name, value in fields.items():
        path = name if "." in name else name.replace("_", ".", 1)
        root, _, below = path.partition(".")
        _filled(roots.setdefault(root, record_type(root)()), below, value)

    def root(name: str) -> Any:
        return lambda _event: roots.get(name) or record_type(name)()

    names = ("identity", "actor", "action", "target", "outcome", "origin")
    fills = common_fills(observed_at=lambda _event: round(at * SECOND), **{name: root(name) for name in names})
    event = Event(kind, "test", "log", number, -1, fills)
    for name, value in roots.items():
        setattr(event, name, value)
    return event


def a_policy(rules: str, *, name: str = "policy", spec: str = "") -> str:
    """Text of a RuntimePolicy with these rules."""
    head = f"apiVersion: watchkeeper.dev/v1alpha1\nkind: RuntimePolicy\nmetadata: {{name: {name}}}\nspec:\n  title: Test\n"
    return head + indent(dedent(spec), "  ") + "  rules:\n" + indent(dedent(rules).strip(), "  ") + "\n"


def a_program(*texts: str) -> Program:
    """Program of these policy texts; none may have an error."""
    documents = []
    for text in texts:
        loaded = load_policies(text, "test.yaml")
        assert not loaded.errors, [str(error) for error in loaded.errors]
        documents += loaded.documents
    checked = check_policies(documents)
    assert not checked.errors, [str(error) for error in checked.errors]
    return checked.program


def errors_of(*texts: str) -> list[str]:
    documents, errors = [], []
    for text in texts:
        loaded = load_policies(text, "test.yaml")
        documents += [*loaded.documents, *salvage(text, "test.yaml")]
        errors += loaded.errors
    return [str(error) for error in (*errors, *check_policies(documents).errors)]
