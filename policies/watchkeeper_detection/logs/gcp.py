"""Google Cloud audit logs: a LogEntry with an AuditLog payload → events.

Entries of service `k8s.io` are GKE's Kubernetes audit and belong to that reader. Source of the facts:
https://cloud.google.com/logging/docs/audit/understanding-audit-logs
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from watchkeeper_detection import subject
from watchkeeper_detection.event import Event
from watchkeeper_detection.fields import Field, fields
from watchkeeper_detection.logs.provider import Provider, common_fills, time_ns
from watchkeeper_detection.record_types import record_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import msgspec

    from watchkeeper_detection.logs.provider import Reads, RecordPlace

SOURCE = "gcp-audit"
AUDIT_LOG = "type.googleapis.com/google.cloud.audit.AuditLog"
KUBERNETES = "k8s.io"
ROWS = {field.path: field for field in fields().values() if field.root == "gcp"}
NEEDED = frozenset(
    (
        *("gcp.timestamp", "gcp.receiveTimestamp", "gcp.insertId", "gcp.resource.type", "gcp.resource.labels"),
        *(f"gcp.protoPayload.{name}" for name in ("serviceName", "methodName", "resourceName", "status.code", "requestMetadata.callerIp")),
        *("gcp.protoPayload.authenticationInfo.principalEmail", "gcp.protoPayload.authenticationInfo.principalSubject"),
        *("gcp.protoPayload.requestMetadata.callerSuppliedUserAgent",),
    )
)
DENIED_CODES = (7, 16)  # google.rpc.Code: PERMISSION_DENIED, UNAUTHENTICATED
SERVICE_ACCOUNT = ".gserviceaccount.com"


def _payload(record: dict[str, Any]) -> dict[str, Any]:
    payload = record.get("protoPayload")
    return payload if isinstance(payload, dict) else {}


def recognise(record: dict[str, Any]) -> bool:
    """A LogEntry with an audit payload that is not Kubernetes'."""
    payload = record.get("protoPayload")
    if not isinstance(payload, dict) or payload.get("serviceName") == KUBERNETES:
        return False
    log = record.get("logName")
    return (
        payload.get("@type") == AUDIT_LOG
        or (isinstance(log, str) and "cloudaudit.googleapis.com" in log)
        or "methodName" in payload
        or "authorizationInfo" in payload
    )


def _at(record: Any, words: tuple[str, ...]) -> Any:
    for word in words:
        if not isinstance(record, dict):
            return None
        record = record.get(word)
    return record


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def granted_permissions(record: dict[str, Any]) -> list[str]:
    """Permissions that were checked and granted."""
    checks = _objects(_payload(record).get("authorizationInfo"))
    return [check["permission"] for check in checks if check.get("granted") is True and isinstance(check.get("permission"), str)]


def policy_changes(record: dict[str, Any]) -> list[dict[str, Any]]:
    """What an IAM change gave and took, wherever the service keeps it: serviceData, metadata, or (whole policies) the request.

    Without a delta each binding of the request's policy counts as given, for what it held before is not in the log.
    """
    payload = _payload(record)
    for place in (("serviceData", "policyDelta", "bindingDeltas"), ("metadata", "policyDelta", "bindingDeltas")):
        if deltas := _objects(_at(payload, place)):
            return deltas
    bindings = _objects(_at(payload, ("request", "policy", "bindings")))
    return [
        {"action": "SET", "role": binding.get("role"), "member": member}
        for binding in bindings
        for member in (binding["members"] if isinstance(binding.get("members"), list) else ())
    ]


DERIVED: dict[str, Callable[[dict[str, Any]], Any]] = {"gcp.policy_changes": policy_changes, "gcp.permissions": granted_permissions}


def _typed(field: Field, value: Any) -> Any:
    """`value` as its field has it; None where it is of another type."""
    if value is None or field.open or field.type in ("dyn", "list(dyn)"):
        return value
    if field.type == "bool":
        return value if isinstance(value, bool) else None
    if field.type == "int":
        return _integer(value)
    if field.type == "map(string)":
        return {str(key): str(word) for key, word in value.items() if word is not None} if isinstance(value, dict) else None
    return value if isinstance(value, str) and value else None


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):  # protobuf's JSON writes 64-bit numbers as text
        return int(value) if value.isdecimal() and len(value) < 19 else None
    return value if isinstance(value, int) else None


@cache
def _type(paths: frozenset[str]) -> type[msgspec.Struct]:
    return record_type("gcp", paths)


def entry_of(record: dict[str, Any], reads: Reads) -> msgspec.Struct:
    paths = frozenset(ROWS) if reads is None else reads.get("gcp", frozenset()).intersection(ROWS) | NEEDED
    struct = _type(paths)()
    for path in paths:
        words = tuple(path.split(".")[1:])
        value = DERIVED[path](record) if path in DERIVED else _typed(ROWS[path], _at(record, (*words[:-1], ROWS[path].key)))
        if value is not None:
            parent: Any = struct
            for word in words[:-1]:
                parent = getattr(parent, word)
            setattr(parent, words[-1], value)
    return struct


def events(record: dict[str, Any], place: RecordPlace, reads: Reads) -> Iterable[Event]:
    event = Event("gcp.audit", SOURCE, place.stream, place.number, place.offset, FILLS)
    event.__dict__["gcp"] = entry_of(record, reads)
    return (event,)


def _caller(event: Event) -> str | None:
    """E-mail of the caller; for a federated one its principal."""
    who = event.gcp.protoPayload.authenticationInfo
    subject_name: str | None = who.principalSubject
    email: str | None = who.principalEmail
    return email or (subject_name.partition(":")[2] if subject_name and subject_name.startswith(("user:", "serviceAccount:")) else subject_name)


def _who(event: Event) -> msgspec.Struct:
    caller = _caller(event)
    if caller is None:
        return subject.identity(None)
    if caller.startswith(("principal://", "principalSet://")):
        return subject.identity(caller, "federated")
    return subject.identity(caller, "service" if caller.endswith(SERVICE_ACCOUNT) else "user")


def _outcome(event: Event) -> msgspec.Struct:
    code = event.gcp.protoPayload.status.code
    if not code:
        return subject.outcome("success")
    return subject.outcome("denied" if code in DENIED_CODES else "failure", code)


def _target(event: Event) -> msgspec.Struct:
    name = event.gcp.protoPayload.resourceName
    return subject.target(type=event.gcp.resource.type, name=(name or "").rstrip("/").rpartition("/")[2], id=name)


def _address(event: Event) -> str | None:
    """The caller's address; `private` and `gce-internal-ip` are none."""
    address: str | None = event.gcp.protoPayload.requestMetadata.callerIp
    return address if address and address[0] in "0123456789abcdefABCDEF:" and ("." in address or ":" in address) else None


FILLS = common_fills(
    observed_at=lambda event: time_ns(event.gcp.timestamp or event.gcp.receiveTimestamp),
    identity=_who,
    actor=lambda event: subject.actor(_caller(event), name=_caller(event), account=(event.gcp.resource.labels or {}).get("project_id")),
    action=lambda event: subject.action(event.gcp.protoPayload.methodName),
    target=_target,
    outcome=_outcome,
    origin=lambda event: subject.origin(_address(event), event.gcp.protoPayload.requestMetadata.callerSuppliedUserAgent),
    derived={"provider_id": lambda event: event.gcp.insertId},
)

PROVIDER = Provider(source=SOURCE, aliases=("gcp", "gcp-cloudaudit", "google-cloud-audit"), recognise=recognise, events=events)
