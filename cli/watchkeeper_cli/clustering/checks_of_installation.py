"""Checks of what is installed in a cluster and who may change it: API server, kinds, admission policies, rights, network. No I/O."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from watchkeeper_cli.clustering.door import INSTALL, Unread
from watchkeeper_cli.clustering.rights import Act, Grants, is_usual, who_may
from watchkeeper_cli.finding import Finding
from watchkeeper_cli.output.text import plural
from watchkeeper_operator.names import GROUP, ROOT_NAMESPACE, SYSTEM_NAMESPACE
from watchkeeper_operator.resources.crd import definition
from watchkeeper_operator.resources.kinds import KINDS
from watchkeeper_operator.shipped_admission import differences, shipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from watchkeeper_cli.clustering.looking import Looked

OLDEST = (1, 32)  # selectable fields of custom kinds, and ValidatingAdmissionPolicy since 1.30
NAMED = 8
WRITES = ("create", "update", "patch")
SAME = ("group", "scope", "names", "versions")  # of a definition; `conversion` is the API server's
ACTS = {
    "impersonate others, and so write in their name": Act(("impersonate",), "", ("users", "groups", "serviceaccounts")),
    "approve responses": Act(("create",), GROUP, ("responseapprovals",), ROOT_NAMESPACE),
    "write exceptions of the root namespace": Act(WRITES, GROUP, ("policyexceptions",), ROOT_NAMESPACE),
    "write policies of the root namespace": Act(WRITES, GROUP, ("runtimepolicies",), ROOT_NAMESPACE),
    "read Watchkeeper's keys": Act(("get", "list", "watch"), "", ("secrets",), SYSTEM_NAMESPACE),
    "run commands in Watchkeeper's pods": Act(("create", "get"), "", ("pods/exec", "pods/ephemeralcontainers"), SYSTEM_NAMESPACE),
    "take admission policies away": Act(("delete", "deletecollection", *WRITES), "admissionregistration.k8s.io", ("validatingadmissionpolicies",)),
}
NETWORKS = {
    "policy.networking.k8s.io": "ClusterNetworkPolicy",
    "cilium.io": "Cilium",
    "crd.projectcalico.org": "Calico",
    "projectcalico.org": "Calico",
}


def kubernetes(looked: Looked) -> Iterator[Finding]:
    says = f"Kubernetes {looked.version.git_version or 'of no known version'}, context {looked.context}"
    numbers = ("".join(letter for letter in text if letter.isdecimal()) for text in (looked.version.major, looked.version.minor))
    if tuple(int(number or 0) for number in numbers) < OLDEST:
        yield Finding(about="cluster", state="note", says=says, remedy=f"Watchkeeper is made for {OLDEST[0]}.{OLDEST[1]} and later")
    else:
        yield Finding(about="cluster", state="ok", says=says)


def definitions(looked: Looked) -> Iterator[Finding]:
    if isinstance(looked.definitions, Unread):
        state = "blind" if looked.facts is not None else "missing"
        yield Finding(about="kinds", state=state, says=f"not known whether they are current: {looked.definitions.why}")  # type: ignore[arg-type]  # of the two
        return
    found = {one.metadata.name: one.spec for one in looked.definitions}
    wanted = {made["metadata"]["name"]: made["spec"] for made in map(definition, KINDS)}
    absent = [name for name in wanted if name not in found]
    other = [name for name, spec in wanted.items() if name in found and not _same(spec, found[name])]
    if absent:
        yield Finding(about="kinds", state="missing", says=f"not installed: {', '.join(absent)}", remedy=INSTALL)
    if other:
        yield Finding(about="kinds", state="note", says=f"of another version than this command: {', '.join(other)}", remedy=INSTALL)
    if not absent and not other:
        yield Finding(about="kinds", state="ok", says=f"{plural(len(wanted), 'kind')}, current")


def _same(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return all(wanted.get(word) == found.get(word) for word in SAME)


def admission(looked: Looked) -> Iterator[Finding]:
    for part in (looked.policies, looked.bindings):
        if isinstance(part, Unread):
            yield Finding(about="admission", state="blind", says=f"not known whether it is as shipped: {part.why}")
            return
    if isinstance(looked.policies, Unread) or isinstance(looked.bindings, Unread):
        return
    expected = shipped()
    found = differences(expected, looked.policies, looked.bindings)
    remedy = "kubectl apply --server-side -k manifests/base/admission"
    if found.missing:
        names = ", ".join(f"{kind} {name}" for kind, name in found.missing[:NAMED])
        yield Finding(about="admission", state="missing", says=f"not there: {names}{' …' if len(found.missing) > NAMED else ''}", remedy=remedy)
    if found.changed:
        names = ", ".join(f"{kind} {name}" for kind, name in found.changed[:NAMED])
        yield Finding(about="admission", state="missing", says=f"not as shipped, so that approvals don't count: {names}", remedy=remedy)
    if not found.missing and not found.changed:
        yield Finding(about="admission", state="ok", says=f"{plural(len(expected), 'policy and binding', 'policies and bindings')}, as shipped")


def people(looked: Looked) -> Iterator[Finding]:
    """Who could hide something, or write in another's name. Every cluster's administrators and controllers go without saying."""
    parts = (looked.roles, looked.cluster_roles, looked.role_bindings, looked.cluster_role_bindings)
    for part in parts:
        if isinstance(part, Unread):
            yield Finding(about="rights", state="blind", says=f"not known who may impersonate, approve and edit exceptions: {part.why}")
            return
    roles, cluster_roles, role_bindings, cluster_role_bindings = parts
    if isinstance(roles, Unread) or isinstance(cluster_roles, Unread) or isinstance(role_bindings, Unread) or isinstance(cluster_role_bindings, Unread):
        return
    grants = Grants(roles, cluster_roles, role_bindings, cluster_role_bindings)
    may: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for words, act in ACTS.items():
        if unusual := tuple(who for who in who_may(act, grants) if not is_usual(who)):
            may[unusual].append(words)
    for subjects, acts in may.items():
        more = f" and {len(subjects) - NAMED} more" if len(subjects) > NAMED else ""
        yield Finding(about="rights", state="note", says=f"{', '.join(subjects[:NAMED])}{more} may {'; '.join(acts)}")
    if not may:
        yield Finding(about="rights", state="ok", says="only the cluster's administrators may impersonate, approve, edit exceptions and policies, or read keys")


def network(looked: Looked) -> Iterator[Finding]:
    """What pods could be isolated by. Whether it is enforced only traffic tells: that is not tried here."""
    found = list(dict.fromkeys(NETWORKS[group] for group in looked.groups if group in NETWORKS))
    if found:
        yield Finding(about="network", state="ok", says=f"{', '.join(found)} beside NetworkPolicy; whether they are enforced is not tried here")
    else:
        remedy = "a network plugin that enforces NetworkPolicy, better ClusterNetworkPolicy"
        yield Finding(about="network", state="note", says="NetworkPolicy alone is known; whether it is enforced is not tried here", remedy=remedy)
