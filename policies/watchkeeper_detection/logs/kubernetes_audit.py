"""Kubernetes API audit events → `audit.request`, in every shape that providers deliver: the API server's own (v1, v1beta1),
EKS (the same, in CloudWatch's envelopes), GKE (LogEntry), AKS (diagnostic records, rows of its tables).

One request is judged once. A long-running request (watch, exec, log -f) is written twice, when its response starts and when it
ends: the start is judged, for it is there in time, and the end of a request whose start the stream had is not. Records of stage
RequestReceived carry nothing that the later stage does not, and are not judged. A record without a stage is.
Source of the facts: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from watchkeeper_detection import subject
from watchkeeper_detection.event import Event
from watchkeeper_detection.logs.kubernetes_object import READ_FOR, KubernetesObject, beginning_of_name
from watchkeeper_detection.logs.kubernetes_shapes import aks_category, aks_log, from_aks, from_aks_row, from_gke, is_aks_row, is_gke
from watchkeeper_detection.logs.provider import Provider, RecordPlace, RunEvent, TypedPath, common_fills, offset_in_run, time_ns
from watchkeeper_detection.logs.records import build, with_fallback_time
from watchkeeper_detection.record_types import record_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchkeeper_detection.logs.pieces import Run
    from watchkeeper_detection.logs.provider import Reads

KIND = "audit.request"
SOURCE, AKS_SOURCE, GKE_SOURCE = "k8s-audit", "aks-audit", "gcp-audit"
STARTED_REQUESTS = 65_536  # long-running requests remembered until they end; the oldest are forgotten
NEEDED = frozenset(
    (
        *("audit.auditID", "audit.stage", "audit.verb", "audit.user.username", "audit.requestURI", "audit.sourceIPs", "audit.userAgent", "audit.annotations"),
        *("audit.objectRef.resource", "audit.objectRef.subresource", "audit.objectRef.namespace", "audit.objectRef.name"),
        *("audit.responseStatus.code", "audit.requestReceivedTimestamp", "audit.stageTimestamp"),
    )
)
"""What the fills below read."""
NOTHING: frozenset[str] = frozenset()

SERVICE_ACCOUNT = "system:serviceaccount:"
NODE = "system:node:"


def _observed_at(event: Event) -> int:
    audit = event.audit
    return time_ns(audit.requestReceivedTimestamp or audit.stageTimestamp or audit.fallback_time)


def identity_type(username: str | None) -> subject.IdentityType:
    """What kind of user a name belongs to; the API server keeps `system:` for its own."""
    if not username:
        return "unknown"
    if username.startswith(SERVICE_ACCOUNT):
        return "service_account"
    if username.startswith(NODE):
        return "node"
    if username == "system:anonymous":
        return "anonymous"
    return "service" if username.startswith("system:") else "user"


def short_name(username: str | None) -> str | None:
    """`NS/NAME` of a service account, the node's name of a node, else the user name."""
    if username and username.startswith(SERVICE_ACCOUNT):
        return username.removeprefix(SERVICE_ACCOUNT).replace(":", "/", 1)
    return username.removeprefix(NODE) if username else None


def _resource(audit: Any) -> str | None:
    reference = audit.objectRef
    return f"{reference.resource}/{reference.subresource}" if reference.resource and reference.subresource else reference.resource


def _action(event: Event) -> msgspec.Struct:
    audit = event.audit
    what = _resource(audit) or (audit.requestURI or "").partition("?")[0]
    return subject.action(f"{audit.verb or ''} {what}".strip())


def _target(event: Event) -> msgspec.Struct:
    audit = event.audit
    reference = audit.objectRef
    if not reference.resource:
        path = _place(audit)
        return subject.target(type="url" if path else None, name=path, id=path)
    return subject.target(type=reference.resource, name=_name(audit), namespace=reference.namespace, id=_place(audit))


def _place(audit: Any) -> str:
    """`namespaces/NS/pods/NAME`; the path of a request that is for no resource."""
    reference = audit.objectRef
    if not reference.resource:
        return (audit.requestURI or "").partition("?")[0]
    name = _name(audit)
    place = f"{reference.resource}/{name}" if name else reference.resource
    return f"namespaces/{reference.namespace}/{place}" if reference.namespace and reference.resource != "namespaces" else place


def _name(audit: Any) -> str | None:
    """Of the object; `kube-proxy-*` where the API server is yet to make one up from a beginning: no name has a star."""
    reference = audit.objectRef
    if reference.name or audit.verb != "create" or reference.subresource:
        return reference.name  # type: ignore[no-any-return]
    beginning = beginning_of_name(audit)
    return f"{beginning}*" if beginning else None


def _about(event: Event) -> subject.About:
    audit = event.audit
    user, addresses = audit.user.username or None, audit.sourceIPs
    return subject.About(user, user, _place(audit) or None, (addresses[0] or None) if addresses else None)


def _outcome(event: Event) -> msgspec.Struct:
    audit = event.audit
    code = audit.responseStatus.code
    if code in (401, 403) or (code is None and event.kubernetes.decision == "forbid"):
        return subject.outcome("denied", code)
    if code is None:
        return subject.outcome("unknown")
    return subject.outcome("failure" if code >= 400 else "success", code)


def _origin(event: Event) -> msgspec.Struct:
    addresses = event.audit.sourceIPs
    return subject.origin(addresses[0] if addresses else None, event.audit.userAgent)


FILLS = common_fills(
    observed_at=_observed_at,
    identity=lambda event: subject.identity(event.audit.user.username, identity_type(event.audit.user.username)),
    actor=lambda event: subject.actor(event.audit.user.username, name=short_name(event.audit.user.username)),
    action=_action,
    target=_target,
    outcome=_outcome,
    origin=_origin,
    derived={"about": _about, "kubernetes": lambda event: KubernetesObject(event.audit), "provider_id": lambda event: event.audit.auditID},
)


class AuditEvent(RunEvent):
    """An audit event that came in a run."""

    kind = KIND
    source = SOURCE
    fills = {**FILLS, "offset": offset_in_run}  # noqa: RUF012 (never written to)

    audit: Any


Made: TypeAlias = "Callable[[list[Any], str, int, Run], list[Event | None]]"


def events_as(kind: type[AuditEvent]) -> Made:
    """A maker of events of this class from decoded records; None stands for a record that is no audit event."""
    new = RunEvent.new

    def typed_events(records: list[Any], stream: str, number: int, run: Run) -> list[Event | None]:
        made: list[Event | None] = []
        for audit in records:
            if audit.verb is None or (audit.stage is None and audit.objectRef.resource is None and audit.requestURI is None):
                made.append(None)
            else:
                event = new(kind)
                event.audit = audit
                event.stream = stream
                event.number = number
                event.run = run
                made.append(event)
            number += 1
        return made

    return typed_events


_typed_events = events_as(AuditEvent)


@cache
def _type(audit: frozenset[str], kubernetes: frozenset[str]) -> type[msgspec.Struct]:
    return _with_time(record_type("audit", NEEDED.union(audit, *(READ_FOR.get(path, NOTHING) for path in kubernetes))))


@cache
def _with_time(record: type[msgspec.Struct]) -> type[msgspec.Struct]:
    return with_fallback_time(record, "timestamp")  # the one time of v1alpha1, beside the others in v1beta1


def audit_type(reads: Reads) -> type[msgspec.Struct]:
    """Struct of what is read, and of what the normalised and derived fields are made of."""
    return _with_time(record_type("audit")) if reads is None else _type(reads.get("audit", NOTHING), reads.get("kubernetes", NOTHING))


def typed_path(reads: Reads) -> TypedPath:
    return TypedPath(audit_type(reads), _typed_events)


def recognise(record: dict[str, Any]) -> bool:
    """An audit event of the API server, a LogEntry of GKE's API server, a diagnostic record or row of AKS."""
    if "verb" in record and any(record.get(name) is not None for name in ("stage", "objectRef", "requestURI", "auditID")):
        return True
    if record.get("kind") == "Event" and str(record.get("apiVersion", "")).startswith("audit.k8s.io/"):
        return True
    return is_gke(record) or aks_category(record) is not None or is_aks_row(record)


@cache
def _decoder(record: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(record)


def events(record: dict[str, Any], place: RecordPlace, reads: Reads) -> Iterable[Event]:
    struct, source = audit_type(reads), SOURCE
    audit = None
    if is_gke(record):
        source, record = GKE_SOURCE, from_gke(record)
    elif aks_category(record) is not None:
        source, log = AKS_SOURCE, aks_log(record)
        if isinstance(log, dict):
            record = log
        else:
            try:
                audit = _decoder(struct).decode(log)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                record = from_aks(log)
    elif is_aks_row(record):
        source, record = AKS_SOURCE, from_aks_row(record)
    event = Event(KIND, source, place.stream, place.number, place.offset, FILLS)
    event.__dict__["audit"] = build(struct, record) if audit is None else audit
    return (event,)


def repeats() -> Callable[[Event], bool]:
    """Function, for one stream, that says whether an event tells of a request that was or will be judged by another."""
    started: dict[str, str | None] = {}

    def is_repeat(event: Event) -> bool:
        audit = event.audit
        stage = audit.stage
        if stage == "ResponseComplete":
            return audit.auditID in started and started[audit.auditID] == audit.requestReceivedTimestamp
        if stage == "ResponseStarted" and audit.auditID is not None:
            if len(started) >= STARTED_REQUESTS:
                del started[next(iter(started))]
            started[audit.auditID] = audit.requestReceivedTimestamp
        return bool(stage == "RequestReceived")

    return is_repeat


PROVIDER = Provider(
    source=SOURCE,
    aliases=("kubernetes-audit", "eks-audit", AKS_SOURCE, "gke-audit", "audit"),
    recognise=recognise,
    events=events,
    fast=typed_path,
    repeats=repeats,
)
