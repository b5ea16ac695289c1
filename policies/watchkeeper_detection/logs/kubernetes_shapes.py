"""GKE's and AKS's audit records → the API server's own shape.

AKS delivers the event whole, as text or as an object, in diagnostic records (Event Hubs, storage, rows of `AzureDiagnostics`), or
taken apart into the columns of `AKSAudit` and `AKSAuditAdmin`.

Sources of the facts: https://cloud.google.com/kubernetes-engine/docs/how-to/audit-logging (LogEntry with an AuditLog payload, method
names `io.k8s.GROUP.VERSION.RESOURCE[.SUBRESOURCE].VERB`, resource names `GROUP/VERSION/namespaces/NS/RESOURCE/NAME[/SUBRESOURCE]`,
status as google.rpc.Code), https://learn.microsoft.com/azure/aks/monitor-aks-reference (category `kube-audit`, the event as text
in `properties.log`) and https://learn.microsoft.com/azure/azure-monitor/reference/tables/aksaudit (the columns).
"""

from __future__ import annotations

import re
from typing import Any

from watchkeeper_detection.json_text import NotJson, decode_json, unfolded
from watchkeeper_detection.logs.kubernetes_object import DECISION, at, objects
from watchkeeper_detection.logs.provider import RecordRejected, RecordSkipped

GKE_SERVICE = "k8s.io"
GKE_METHOD = "io.k8s."
VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d+)?")
HTTP_OF_RPC = {0: 200, 1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500, 14: 503, 15: 500, 16: 401}
AKS_CATEGORIES = frozenset(("kube-audit", "kube-audit-admin"))
AKS_OTHER = frozenset(("guard", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "cluster-autoscaler", "cloud-controller-manager"))

AKS_COLUMNS = {  # of the tables → the API server's names
    "AuditId": "auditID",
    "Level": "level",
    "Stage": "stage",
    "RequestUri": "requestURI",
    "Verb": "verb",
    "User": "user",
    "ImpersonatedUser": "impersonatedUser",
    "SourceIps": "sourceIPs",
    "UserAgent": "userAgent",
    "ObjectRef": "objectRef",
    "ResponseStatus": "responseStatus",
    "RequestObject": "requestObject",
    "ResponseObject": "responseObject",
    "RequestReceivedTime": "requestReceivedTimestamp",
    "StageReceivedTime": "stageTimestamp",
    "TimeGenerated": "timestamp",
    "Annotations": "annotations",
}
DYNAMIC_COLUMNS = frozenset(("User", "ImpersonatedUser", "SourceIps", "ObjectRef", "ResponseStatus", "RequestObject", "ResponseObject", "Annotations"))


def is_gke(record: dict[str, Any]) -> bool:
    return bool(at(record, "protoPayload", "serviceName") == GKE_SERVICE)


def aks_category(record: dict[str, Any]) -> str | None:
    """Category of a diagnostic record of AKS; None for any other record."""
    category = record.get("category", record.get("Category"))
    if not isinstance(category, str):
        return None
    category = category.lower()
    return category if category in AKS_CATEGORIES or (category in AKS_OTHER and _aks_log(record) is not None) else None


def _aks_log(record: dict[str, Any]) -> Any:
    found = at(unfolded(record.get("properties", record.get("Properties"))), "log")
    return found if found is not None else record.get("log_s")


def aks_log(record: dict[str, Any]) -> str | dict[str, Any]:
    """The audit event in a diagnostic record, as text or decoded. Raises RecordSkipped for other logs of the control plane."""
    if aks_category(record) not in AKS_CATEGORIES:
        raise RecordSkipped
    log = _aks_log(record)
    if not isinstance(log, str | dict):
        raise RecordRejected("properties.log holds no audit event")
    return log


def is_aks_row(record: dict[str, Any]) -> bool:
    """Whether the record is a row of `AKSAudit` or `AKSAuditAdmin`."""
    return isinstance(record.get("AuditId"), str) and ("Verb" in record or "RequestUri" in record)


def from_aks_row(record: dict[str, Any]) -> dict[str, Any]:
    """The audit event that a row tells of; its columns of objects may be JSON text."""
    return {ours: unfolded(record[column]) if column in DYNAMIC_COLUMNS else record[column] for column, ours in AKS_COLUMNS.items() if column in record}


def from_aks(text: str) -> dict[str, Any]:
    """The audit event that the text is."""
    try:
        event = decode_json(text)
    except NotJson as fault:
        raise RecordRejected(f"properties.log: {fault}") from fault
    if not isinstance(event, dict):
        raise RecordRejected("properties.log holds no audit event")
    return event


def from_gke(record: dict[str, Any]) -> dict[str, Any]:
    """The audit event that a LogEntry tells of, as far as it tells."""
    payload: dict[str, Any] = record["protoPayload"]
    checks = objects(payload.get("authorizationInfo"))
    code = http_code(payload, checks)
    who = payload.get("authenticationInfo")
    target, verb = object_of(str(payload.get("methodName") or ""), str(payload.get("resourceName") or ""))
    caller = at(payload, "requestMetadata", "callerIp")
    labels = record.get("labels")
    annotations = dict(labels) if isinstance(labels, dict) else {}
    if DECISION not in annotations and checks:
        annotations[DECISION] = "forbid" if any(check.get("granted") is False for check in checks) else "allow"
    return {
        "kind": "Event",
        "auditID": at(record, "operation", "id") or record.get("insertId"),
        "stage": "ResponseComplete",
        "verb": verb,
        "requestURI": payload.get("resourceName") if not target else None,
        "user": {"username": at(who, "principalEmail") or at(who, "authoritySelector")},
        "sourceIPs": [caller] if isinstance(caller, str) and caller else None,
        "userAgent": at(payload, "requestMetadata", "callerSuppliedUserAgent"),
        "objectRef": target,
        "responseStatus": {"code": code, "message": at(payload, "status", "message")},
        "requestObject": payload.get("request"),
        "responseObject": payload.get("response"),
        "requestReceivedTimestamp": record.get("timestamp") or record.get("receiveTimestamp"),
        "annotations": annotations,
    }


def http_code(payload: dict[str, Any], checks: list[dict[str, Any]]) -> int | None:
    """HTTP status of a google.rpc.Code. An empty status is OK; without any, the authorizer's answer is all there is."""
    status = payload.get("status")
    code = at(status, "code")
    if isinstance(code, int) and not isinstance(code, bool):
        return HTTP_OF_RPC.get(code, code)
    answered = at(payload, "response", "code")
    if isinstance(answered, int) and not isinstance(answered, bool):
        return answered
    if any(check.get("granted") is False for check in checks):
        return 403
    return 200 if isinstance(status, dict) or checks else None


def object_of(method: str, name: str) -> tuple[dict[str, Any], str | None]:
    """The objectRef (empty for a request to no resource) and verb, from method and resource name."""
    words = method.removeprefix(GKE_METHOD).split(".")
    version = next((index for index, word in enumerate(words) if VERSION.fullmatch(word)), -1)
    called = words[version + 1 :] if version >= 0 else []
    if len(called) < 2:
        return {}, "get" if name.startswith("/") or version < 0 else words[-1]
    resource, verb = called[0], called[-1]
    found: dict[str, Any] = {"resource": resource, "apiVersion": words[version], "subresource": called[1] if len(called) > 2 else None}
    group, _, rest = name.partition("/")
    path = rest.split("/")[1:] if rest else []
    if group and group != "core" and not name.startswith("/"):
        found["apiGroup"] = group
    if path[:1] == ["namespaces"] and len(path) > 1:
        found["namespace"] = path[1]
        if resource != "namespaces":
            path = path[2:]
    if path[:1] == [resource]:
        found["name"] = path[1] if len(path) > 1 else None
        if len(path) > 2 and found["subresource"] is None:
            found["subresource"] = path[2]
    return found, verb
