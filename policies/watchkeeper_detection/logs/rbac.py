"""Grants and the objects that decide about them, as the operator's watch tells them: one JSON object a line.

    {"kind": "rbac.grant", "observed_at": "2026-03-01T10:00:00.123Z", "id": "rbac:…", "rbac": {"change": "added", "subject_id": …}}

The watch makes its events through the same function, so that a recorded one is judged as a live one is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection import subject
from watchkeeper_detection.event import Event
from watchkeeper_detection.fields import nearest
from watchkeeper_detection.logs.kubernetes_audit import identity_type
from watchkeeper_detection.logs.provider import Provider, RecordPlace, RecordRejected, common_fills, event_id, time_ns
from watchkeeper_detection.logs.records import build
from watchkeeper_detection.record_types import record_type
from watchkeeper_detection.vocabulary import rbac

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import msgspec

    from watchkeeper_detection.logs.provider import Reads

SOURCE = "rbac"
KINDS = frozenset(kind.name for kind in rbac.KINDS)
PLURALS = {
    "Role": "roles",
    "ClusterRole": "clusterroles",
    "RoleBinding": "rolebindings",
    "ClusterRoleBinding": "clusterrolebindings",
    "ServiceAccount": "serviceaccounts",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
    "CertificateSigningRequest": "certificatesigningrequests",
    "APIService": "apiservices",
}


def group_id(name: str) -> str:
    """Canonical id of a group."""
    return f"group:{name}"


def place_of(kind: str, name: str, namespace: str = "") -> str:
    """Canonical id of an object, as `target.id` spells that of an audit event: `namespaces/NS/roles/NAME`."""
    place = f"{PLURALS.get(kind, kind.lower())}/{name}"
    return f"namespaces/{namespace}/{place}" if namespace else place


def _identity(event: Event) -> msgspec.Struct:
    """Who holds the right, or asked for the certificate; who changed it the API does not say: that is in the audit log."""
    told = event.rbac
    if told.subject_kind == "Group":
        return subject.identity(told.subject_id, "group")
    return subject.identity(told.subject_id, identity_type(told.subject_id))


def _target(event: Event) -> msgspec.Struct:
    """The binding that gives or took the right; the object that changed. In its namespace: that of the grant."""
    told = event.rbac
    kind, name = (told.binding_kind, told.binding_name) if event.kind == "rbac.grant" else (told.object_kind, told.object_name)
    if not kind or not name:
        return subject.target(namespace=told.namespace)
    return subject.target(type=PLURALS.get(kind, kind.lower()), name=name, namespace=told.namespace, id=place_of(kind, name, told.namespace or ""))


FILLS = common_fills(
    observed_at=lambda event: time_ns(event.event_time),
    identity=_identity,
    actor=lambda _: subject.actor(None),
    action=lambda event: subject.action(f"{event.kind.removeprefix('rbac.')} {event.rbac.change or ''}".strip()),
    target=_target,
    outcome=lambda _: subject.outcome("success"),
    origin=lambda _: subject.origin(None),
    derived={"id": lambda event: event.recorded_id or event_id(event)},
)
NORMALISED = frozenset(
    f"rbac.{name}" for name in ("change", "subject_kind", "subject_id", "namespace", "binding_kind", "binding_name", "object_kind", "object_name")
)
"""What the fills above read."""


def event_of(record: Mapping[str, Any], place: RecordPlace, reads: Reads = None) -> Event:
    """The event that a record tells. Raises RecordRejected."""
    kind, told = record.get("kind"), record.get("rbac")
    if kind not in KINDS:
        raise RecordRejected(f"{kind!r} is no kind of event that the watch of rights makes; the nearest is {nearest(str(kind), KINDS)}")
    if not isinstance(told, dict):
        raise RecordRejected(f"a {kind} carries an object `rbac`")
    event = Event(kind, SOURCE, place.stream, place.number, place.offset, FILLS)
    event.__dict__["event_time"] = record.get("observed_at")
    event.__dict__["recorded_id"] = record.get("id")
    event.__dict__["rbac"] = build(record_type("rbac", None if reads is None else NORMALISED | reads.get("rbac", frozenset())), told)
    return event


def recognise(record: dict[str, Any]) -> bool:
    return record.get("kind") in KINDS and "observed_at" in record


def events(record: dict[str, Any], place: RecordPlace, reads: Reads) -> Iterable[Event]:
    return (event_of(record, place, reads),)


PROVIDER = Provider(source=SOURCE, aliases=("rbac-watch",), recognise=recognise, events=events)
