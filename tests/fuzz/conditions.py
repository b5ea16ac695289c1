"""Conditions that someone else wrote: parsed, checked, compiled and judged, whatever they say."""

from __future__ import annotations

from watchkeeper_detection.cel.check import Scope, check
from watchkeeper_detection.cel.compile import compile_condition, compile_value
from watchkeeper_detection.cel.errors import CelErrors
from watchkeeper_detection.cel.requirements import clauses
from watchkeeper_detection.cel.tree import decode, encode
from watchkeeper_detection.event import Event
from watchkeeper_detection.record_types import record_type

SEEDS = (
    b'audit.verb == "create" && audit.objectRef.resource in ["pods", "secrets"]',
    b"audit.requestObject.spec.containers.exists(c, c.securityContext.privileged == true || c.image.startsWith('x'))",
    b"has(audit.user.username) && !audit.user.username.startsWith('system:') || size(audit.sourceIPs) > 3u",
    b"audit.userAgent.matches('^k[a-z]{1,3}l/v[0-9.]+$') ? audit.responseStatus.code >= 400 : audit.responseStatus.code % 7 == 2",
    b"get(audit.requestObject.metadata.labels['a/b'], 'none') in lists.names && audit.stageTimestamp - duration('1h30m') < timestamp('2026-01-01T00:00:00Z')",
    b"inCidr(audit.sourceIPs[0], ['10.0.0.0/8', 'fd00::/8']) && 'abc'.replace('b', 'xx').split('x').join(',').size() == 4",
    b"[1, 2.5, 3u].map(x, x * 2).all(y, y > 0) && {'a': 1, 'b': [true, null]}.a == 1 && b'\\xff' != b'x' && \"\"\"t\"\"\" + r'\\d' != ''",
    b"audit.annotations['authorization.k8s.io/decision'] == 'allow' && ieq(audit.verb, 'GET') && glob(audit.requestURI, '/api/*')",
)
SCOPE = Scope(kinds=("audit.request",), lists=frozenset({"names"}))
LISTS = {"names": frozenset({"none", "a"})}


def an_event() -> Event:
    record = record_type("audit")(verb="create", userAgent="kubectl/v1.36", sourceIPs=["10.1.2.3"], annotations={"authorization.k8s.io/decision": "allow"})
    record.requestObject = {"metadata": {"labels": {"a/b": "a"}}, "spec": {"containers": [{"image": "x", "securityContext": {"privileged": True}}]}}
    record.stageTimestamp = "2025-05-05T05:05:05.123456789Z"
    event = Event("audit.request", "fuzz", "fuzz", 1, 0, {})
    event.audit = record
    return event


def one_input(data: bytes) -> None:
    """Either every error is told with its place, or the condition gives a truth value; nothing else may happen."""
    try:
        checked = check(data.decode("utf-8", "surrogateescape"), SCOPE, want="bool")
    except CelErrors as wrong:
        assert wrong.errors
        assert all(error.message and error.line >= 1 and error.column >= 1 for error in wrong.errors)
        return
    tree = decode(encode(checked.tree))
    held = compile_condition(tree, LISTS)(an_event())
    assert held is (compile_value(tree, LISTS)(an_event()) is True)
    if held:
        clauses(tree, LISTS)
