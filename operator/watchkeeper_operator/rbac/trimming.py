"""What is kept and told of an object: what decides about rights and requests, never certificates' bytes, status or annotations."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from watchkeeper_operator.rbac.shapes import Account, Binding, Meta, Other, Role

if TYPE_CHECKING:
    from watchkeeper_operator.rbac.shapes import Watched

AGGREGATE_TO = "rbac.authorization.k8s.io/aggregate-to-"
LISTED = 100  # rules, subjects, webhooks of one object that are told
TEXT = 4096  # characters of one condition of an admission policy
WEBHOOK_PARTS = (
    *("name", "rules", "failurePolicy", "matchPolicy", "namespaceSelector", "objectSelector", "sideEffects", "timeoutSeconds"),
    *("reinvocationPolicy", "matchConditions"),
)
SPEC_PARTS = {
    "CertificateSigningRequest": ("signerName", "usages", "username", "groups", "expirationSeconds", "subject"),
    "APIService": ("service", "group", "version", "insecureSkipTLSVerify", "groupPriorityMinimum", "versionPriority"),
    "ValidatingAdmissionPolicy": ("paramKind", "matchConstraints", "validations", "failurePolicy", "matchConditions", "variables"),
    "MutatingAdmissionPolicy": ("paramKind", "matchConstraints", "mutations", "failurePolicy", "matchConditions", "variables", "reinvocationPolicy"),
    "ValidatingAdmissionPolicyBinding": ("policyName", "paramRef", "matchResources", "validationActions"),
    "MutatingAdmissionPolicyBinding": ("policyName", "paramRef", "matchResources"),
}


def kept_of(kind: str, other: Other) -> Other | None:
    """The object as it is kept; None for one that decides nothing (an APIService that the API server serves itself)."""
    spec = {part: _cut(value) for part in SPEC_PARTS.get(kind, ()) if (value := (other.spec or {}).get(part)) is not None}
    if kind == "APIService" and "service" not in spec:
        return None
    status: dict[str, Any] | None = None
    if kind == "CertificateSigningRequest":
        status = _decision(other.status or {})
        if "subject" not in spec:
            spec["subject"] = requested_subject((other.spec or {}).get("request"))
    meta = Meta(
        name=other.metadata.name,
        uid=other.metadata.uid,
        resource_version=other.metadata.resource_version,
        managed_fields=(msgspec.structs.replace(last, time=None),) if (last := _last(other.metadata)) else None,
    )
    return Other(meta, [_webhook(one) for one in other.webhooks[:LISTED]] if other.webhooks else None, spec or None, status)


def _last(meta: Meta) -> Any:
    return max(meta.managed_fields or (), key=lambda one: one.time or "", default=None)


def _decision(status: dict[str, Any]) -> dict[str, Any]:
    conditions = [one for one in status.get("conditions") or () if isinstance(one, dict)]
    told = [{word: _cut(one.get(word)) for word in ("type", "status", "reason", "message") if one.get(word) is not None} for one in conditions[:LISTED]]
    return {"conditions": told, "issued": bool(status.get("certificate") or status.get("issued"))}


def _webhook(webhook: dict[str, Any]) -> dict[str, Any]:
    kept = {part: _cut(webhook[part]) for part in WEBHOOK_PARTS if webhook.get(part) is not None}
    client = webhook.get("clientConfig")
    if isinstance(client, dict):
        kept["clientConfig"] = {part: client[part] for part in ("url", "service") if client.get(part) is not None}
    return kept


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= TEXT else value[:TEXT]
    if isinstance(value, list):
        return [_cut(one) for one in value[:LISTED]]
    if isinstance(value, dict):
        return {key: _cut(one) for key, one in list(value.items())[:LISTED]}
    return value


def requested_subject(request: Any) -> dict[str, Any]:
    """Common name (a user) and organizations (groups) that a certificate request asks for; `unreadable` where it is none."""
    try:
        name = x509.load_pem_x509_csr(base64.b64decode(request or "", validate=True)).subject
        common = [str(one.value) for one in name.get_attributes_for_oid(NameOID.COMMON_NAME)]
        organizations = [str(one.value) for one in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    except (ValueError, TypeError, binascii.Error):
        return {"unreadable": True}
    return {"commonName": _cut(common[-1] if common else ""), "organizations": _cut(organizations)}


def told_of(one: Watched) -> dict[str, Any]:
    """The object as events tell it, and as it is compared with what it was before."""
    if isinstance(one, Role):
        labels = {key: value for key, value in (one.metadata.labels or {}).items() if key.startswith(AGGREGATE_TO)}
        return _present(rules=_listed(one.rules), aggregationRule=one.aggregation_rule, labels=labels, ruleCount=len(one.rules or ()))
    if isinstance(one, Binding):
        return _present(roleRef=one.role_ref, subjects=_listed(one.subjects), subjectCount=len(one.subjects or ()))
    if isinstance(one, Account):
        return _present(cloudRoles=one.metadata.annotations)
    return _present(webhooks=one.webhooks, spec=one.spec, status=one.status)


def _listed(rows: tuple[Any, ...] | None) -> tuple[Any, ...]:
    return (rows or ())[:LISTED]


def _present(**parts: Any) -> dict[str, Any]:
    return {name: _without_absent(msgspec.to_builtins(part)) for name, part in parts.items() if part}


def _without_absent(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_absent(one) for key, one in value.items() if one is not None and one != ""}
    if isinstance(value, list | tuple):
        return [_without_absent(one) for one in value]
    return value
