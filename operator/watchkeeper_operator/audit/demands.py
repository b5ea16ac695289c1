"""What each audit rule asks of the log: which requests, at which level. Pure: from the checked conditions, as they are in force.

A demand is what *must* hold for a condition to hold (its necessary equalities), so a request that meets none of a rule's demands can't
make it fire. A rule with several steps has a demand for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.cel import tree
from watchkeeper_detection.cel.requirements import clauses
from watchkeeper_detection.cel.supposition import ABSENT, can_hold
from watchkeeper_operator.audit.levels import LEVELS, Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchkeeper_detection.cel.requirements import Atom, Clause
    from watchkeeper_detection.program import Program, Rule

KIND = "audit.request"
RESPONSE = frozenset(("audit.responseObject",))
BODIES = frozenset(
    (
        *("audit.requestObject", "kubernetes.object", "kubernetes.pod_spec", "kubernetes.containers"),
        *("kubernetes.images", "kubernetes.rules", "kubernetes.subjects"),
    )
)
"""Fields that level Metadata leaves out. `kubernetes.command` is in the request's URI."""
HIDDEN: Mapping[Level, frozenset[str]] = {"Metadata": BODIES | RESPONSE, "Request": RESPONSE, "RequestResponse": frozenset()}
RESOURCE, SUBRESOURCE, VERB, NAMESPACE, USER = (
    *("audit.objectRef.resource", "audit.objectRef.subresource", "audit.verb", "audit.objectRef.namespace", "audit.user.username"),
)
GROUPS: Mapping[str, str] = {
    **dict.fromkeys(("deployments", "daemonsets", "statefulsets", "replicasets"), "apps"),
    **dict.fromkeys(("jobs", "cronjobs"), "batch"),
    **dict.fromkeys(("roles", "clusterroles", "rolebindings", "clusterrolebindings"), "rbac.authorization.k8s.io"),
    **dict.fromkeys(("ingresses", "networkpolicies"), "networking.k8s.io"),
    **dict.fromkeys(
        (
            *("mutatingwebhookconfigurations", "validatingwebhookconfigurations", "mutatingadmissionpolicies"),
            *("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
        ),
        "admissionregistration.k8s.io",
    ),
    **dict.fromkeys(("subjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews", "localsubjectaccessreviews"), "authorization.k8s.io"),
    **dict.fromkeys(("tokenreviews", "selfsubjectreviews"), "authentication.k8s.io"),
    **dict.fromkeys(("volumesnapshots", "volumesnapshotcontents"), "snapshot.storage.k8s.io"),
    **dict.fromkeys(("ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies"), "cilium.io"),
    "adminnetworkpolicies": "policy.networking.k8s.io",
    "apiservices": "apiregistration.k8s.io",
    "certificatesigningrequests": "certificates.k8s.io",
    "clusternetworkpolicies": "policy.networking.k8s.io",
    "customresourcedefinitions": "apiextensions.k8s.io",
    "endpointslices": "discovery.k8s.io",
    "globalnetworkpolicies": "crd.projectcalico.org",
    "leases": "coordination.k8s.io",
}
"""API group of each resource that is not in the core one."""
CLUSTER_SCOPED = frozenset(
    (
        *("clusterroles", "clusterrolebindings", "namespaces", "nodes", "persistentvolumes", "certificatesigningrequests", "apiservices"),
        *("mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings"),
        *("mutatingadmissionpolicies", "customresourcedefinitions", "subjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
        *("selfsubjectreviews", "tokenreviews", "volumesnapshotcontents", "adminnetworkpolicies", "clusternetworkpolicies"),
        *("ciliumclusterwidenetworkpolicies", "globalnetworkpolicies"),
    )
)


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What one condition asks for; empty fields ask for nothing.

    rule       `policy/rule`, and the policy's `namespace`
    level      least level at which the condition can hold
    resources, subresources, verbs, namespaces   one of these each; a subresource "" is none
    users      what the user's name is, or begins with (as text with `*` at its end)
    """

    rule: str
    level: Level
    namespace: str = ""
    resources: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


def demands(program: Program) -> tuple[Demand, ...]:
    """Demands of all conditions about audit events, in the program's order."""
    lists = {name: frozenset(values) for name, values in program.lists.items()}
    return tuple(_demand(rule, condition, lists) for rule in program.rules for kinds, condition in _conditions(rule) if KIND in kinds and condition is not None)


def _conditions(rule: Rule) -> Iterable[tuple[tuple[str, ...], tree.Node | None]]:
    if rule.sequence is None:
        return [(rule.kinds, rule.when)]
    return [(step.kinds, step.when) for step in rule.sequence.steps]


def _demand(rule: Rule, condition: tree.Node, lists: Mapping[str, frozenset[str]]) -> Demand:
    needed = clauses(condition, lists)
    return Demand(
        rule=rule.name,
        namespace=rule.namespace,
        level=level_for(condition),
        resources=_one_of(needed, RESOURCE),
        subresources=_one_of(needed, SUBRESOURCE),
        verbs=_one_of(needed, VERB),
        namespaces=_one_of(needed, NAMESPACE),
        users=_one_of(needed, USER),
    )


def level_for(condition: tree.Node) -> Level:
    """Least level at which the condition can hold: what that level leaves out is absent."""
    return next((level for level in LEVELS[1:] if can_hold(_without(condition, HIDDEN[level]), dict.fromkeys(HIDDEN[level], ABSENT))), LEVELS[-1])


def _without(part: Any, hidden: frozenset[str]) -> Any:
    """The condition (or a part, or several) with whatever is made of a field that is not there shrunk to that field."""
    if isinstance(part, tuple):
        return tuple(_without(one, hidden) for one in part)
    if isinstance(part, tree.Field):
        return msgspec.structs.replace(part, words=()) if part.path in hidden and not part.step else part
    if not isinstance(part, msgspec.Struct):
        return part
    found = msgspec.structs.replace(part, **{name: _without(getattr(part, name), hidden) for name in part.__struct_fields__})
    of = (
        found.arguments
        if isinstance(found, tree.Call)
        else (found.operand,)
        if isinstance(found, tree.Select)
        else (found.over,)
        if isinstance(found, tree.Loop)
        else ()
    )
    return next((one for one in of if isinstance(one, tree.Field) and one.path in hidden), found)


def _one_of(needed: Iterable[Clause], path: str) -> tuple[str, ...]:
    """Values of the narrowest clause that is about this field alone."""
    about = [clause for clause in needed if all(atom.path == path and atom.op in ("eq", "prefix") for atom in clause)]
    narrowest: Clause = min(about, key=len, default=frozenset())
    return tuple(sorted(map(_text, narrowest)))


def _text(atom: Atom) -> str:
    return f"{atom.value}*" if atom.op == "prefix" else str(atom.value)


def meets(level: str | None, needed: Level) -> bool:
    """Whether what is logged at `level` suffices."""
    return level in LEVELS and LEVELS.index(level) >= LEVELS.index(needed)
