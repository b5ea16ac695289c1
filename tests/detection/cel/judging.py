"""Builders of these tests: audit events from plain dictionaries, and conditions judged on them."""

import msgspec

from watchkeeper_detection.cel.check import Scope, check
from watchkeeper_detection.cel.compile import compile_condition, compile_value
from watchkeeper_detection.cel.errors import CelErrors
from watchkeeper_detection.event import Event
from watchkeeper_detection.record_types import record_type

LISTS = {"internal": frozenset({"10.0.0.0/8", "fd00::/8"}), "names": frozenset({"alice", "bob"})}
SCOPE = Scope(kinds=("audit.request",), lists=frozenset(LISTS))

_AUDIT = msgspec.json.Decoder(record_type("audit"))


def an_event(record=None):
    """An audit event decoded from JSON the way a reader does it: open fields stay raw."""
    event = Event("audit.request", "k8s-audit", "audit.log", 1, 0, {})
    event.audit = _AUDIT.decode(msgspec.json.encode(record or {}))
    return event


def tree_of(text, scope=SCOPE, want="bool"):
    return check(text, scope, want=want).tree


def holds(text, record=None):
    return compile_condition(tree_of(text), LISTS)(an_event(record))


def value(text, record=None):
    return compile_value(tree_of(text, want=None), LISTS)(an_event(record))


def errors_of(text, scope=SCOPE, want="bool"):
    """Every error as `line:column: message (hint)`."""
    try:
        check(text, scope, want=want)
    except CelErrors as wrong:
        return [str(error) for error in wrong.errors]
    return []
