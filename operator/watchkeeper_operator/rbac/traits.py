"""What objects that are no roles do, as far as it matters: told as their risks, as docs/rbac.md says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from watchkeeper_operator.rbac.built_in import CONTROL_PLANE
from watchkeeper_operator.rbac.shapes import Account, Other

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_operator.rbac.shapes import Watched

WEBHOOKS = frozenset({"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"})
WIDE = frozenset({"secrets", "*", "*/*"})
IN_CLUSTER = re.compile(r"https://([a-z0-9-]+\.[a-z0-9-]+\.svc(\.cluster\.local)?|localhost|127\.[0-9]+\.[0-9]+\.[0-9]+|\[::1\])\.?(:[0-9]+)?(/|$)")
BUILT_IN_GROUP = re.compile(
    r"apps|batch|autoscaling|policy|events\.k8s\.io"
    r"|(rbac\.authorization|authentication|authorization|admissionregistration|apiextensions|certificates|coordination|discovery|networking|storage|scheduling|node)\.k8s\.io"
)
ACCOUNT, NODE, BOOTSTRAP, MASTERS = "system:serviceaccount:", "system:node:", "system:bootstrap:", "system:masters"
LOOKS_AT = ("rules", "namespaceSelector", "objectSelector", "matchConditions")


class Trait(NamedTuple):
    """`part` tells one webhook or value of an object from the others: what one of them gains is news, also where another had it."""

    name: str
    part: str = ""


Traits: TypeAlias = frozenset[Trait]


def traits_of(kind: str, one: Watched) -> Traits:
    """Of an object as it stands."""
    if isinstance(one, Account):
        roles = one.metadata.annotations
        return frozenset(Trait("cloud_role", role) for role in (roles.aws, roles.gcp, roles.azure) if role) if roles else frozenset()
    if not isinstance(one, Other):
        return frozenset()
    spec = one.spec or {}
    if kind in WEBHOOKS:
        return frozenset(trait for webhook in one.webhooks or () for trait in _of_webhook(webhook))
    found = {
        "CertificateSigningRequest": _of_request,
        "APIService": _of_service,
        "ValidatingAdmissionPolicy": _of_policy,
        "ValidatingAdmissionPolicyBinding": _of_policy_binding,
    }.get(kind)
    return frozenset(found(spec, one.status or {})) if found else frozenset()


def gained(kind: str, one: Watched, before: Watched | None) -> frozenset[str]:
    """Names of the traits that are new; and `looks_elsewhere` for a webhook that looks at other requests than before."""
    had = traits_of(kind, before) if before is not None else frozenset()
    new = {trait.name for trait in traits_of(kind, one) - had}
    if kind in WEBHOOKS and isinstance(one, Other) and isinstance(before, Other) and _looks_elsewhere(one, before):
        new.add("looks_elsewhere")
    return frozenset(new)


def names(traits: Traits) -> frozenset[str]:
    return frozenset(trait.name for trait in traits)


def _of_webhook(webhook: dict[str, Any]) -> Iterator[Trait]:
    part = str(webhook.get("name", ""))
    url = webhook.get("clientConfig", {}).get("url")
    if isinstance(url, str) and not IN_CLUSTER.match(url):
        yield Trait("calls_out", f"{part} {url}")
    if any(WIDE.intersection(rule.get("resources") or ()) for rule in webhook.get("rules") or ()):
        yield Trait("sees_secrets", part)
    if webhook.get("failurePolicy") == "Ignore":
        yield Trait("lets_failures_pass", part)


def _looks_elsewhere(one: Other, before: Other) -> bool:
    had = {webhook.get("name"): webhook for webhook in before.webhooks or ()}
    return any(webhook.get(part) != had[name].get(part) for webhook in one.webhooks or () if (name := webhook.get("name")) in had for part in LOOKS_AT)


def _of_request(spec: dict[str, Any], status: dict[str, Any]) -> Iterator[Trait]:
    subject, asker = spec.get("subject") or {}, spec.get("username") or ""
    name, groups = subject.get("commonName") or "", subject.get("organizations") or ()
    kinds = {one.get("type") for one in status.get("conditions") or ()}
    if "Approved" in kinds and "Denied" not in kinds:
        yield Trait("approved")
    if subject.get("unreadable"):
        yield Trait("asks_for_what_is_unreadable")
    if MASTERS in groups:
        yield Trait("asks_for_administrators")
    if name in CONTROL_PLANE or name.startswith(ACCOUNT):
        yield Trait("asks_for_control_plane")
    if name.startswith(NODE) and name != asker and not asker.startswith((NODE, BOOTSTRAP)):
        yield Trait("asks_for_node")
    if name and name != asker and not name.startswith(NODE):
        yield Trait("asks_for_another")


def _of_service(spec: dict[str, Any], _status: dict[str, Any]) -> Iterator[Trait]:
    group = spec.get("group") or ""
    if not group or BUILT_IN_GROUP.fullmatch(group):
        yield Trait("serves_built_in_group")
    if spec.get("insecureSkipTLSVerify"):
        yield Trait("trusts_whoever_answers")


def _of_policy(spec: dict[str, Any], _status: dict[str, Any]) -> Iterator[Trait]:
    if spec.get("failurePolicy") == "Ignore":
        yield Trait("lets_failures_pass")


def _of_policy_binding(spec: dict[str, Any], _status: dict[str, Any]) -> Iterator[Trait]:
    if "Deny" not in (spec.get("validationActions") or ()):
        yield Trait("refuses_nothing")
