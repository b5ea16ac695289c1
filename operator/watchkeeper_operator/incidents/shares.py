"""What a detection is about, and what of it joins it to others: the workload and the identity before all.

This is the seam for correlation on a graph: neighbours of an entity are further shares of the detections that name it.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from watchkeeper_operator.names import ROOT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_detection.detection import Detection

ANYONE = frozenset({"system:anonymous", "system:unauthenticated", "group:system:authenticated", "group:system:unauthenticated", "group:system:serviceaccounts"})
"""Names that say nothing of who it is: those who go by them have no more in common than the address they come from."""

ON_BEHALF = frozenset(
    f"system:serviceaccount:kube-system:{name}-controller"
    for name in ("cronjob", "daemon-set", "deployment", "job", "replicaset", "replication", "statefulset")
)
"""Controllers that make what everybody's workloads ask for: the pods of two DaemonSets have nothing in common because of them."""

RIGHTS = frozenset(
    {
        *("roles", "rolebindings", "clusterroles", "clusterrolebindings", "certificatesigningrequests", "apiservices"),
        *("policyexceptions", "policylists", "runtimepolicies"),
        *("mutatingwebhookconfigurations", "validatingwebhookconfigurations", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"),
    }
)
"""Objects that decide about rights, or about what is detected: the audit log says who wrote them, the watch what they give, and both name them."""

NAME_BYTES = 256  # of an entity's id
_REPLICA_SET_POD = re.compile(r"^(.+)-[a-f0-9bcdfghjklmnpqrstvwxz2456789]{6,10}-(?:[bcdfghjklmnpqrstvwxz2456789]{5}|[*])$")
_GENERATED_POD = re.compile(r"^(.+)-(?:[bcdfghjklmnpqrstvwxz2456789]{5}|[0-9]{1,5}|[*])$")
_JOB = re.compile(r"^(.+)-[0-9]{8,10}$")


class Share(NamedTuple):
    """Something that detections may have in common. kind: `workload`, `identity`, `node`, `address`, `object`, `rule`."""

    kind: str
    id: str

    def key(self, scope: str) -> str:
        """Fixed in length, and of no character that an attacker chose; scopes never meet."""
        return hashlib.blake2b("\x1f".join((scope, *self)).encode("utf-8", "replace"), digest_size=16).hexdigest()


class About(NamedTuple):
    """One thing that a detection names. role: `actor`, `identity`, `target`, `origin`."""

    role: str
    kind: str
    id: str
    name: str | None = None


def scope_of(detection: Detection) -> str:
    """Namespace of the authority that raised it: root's where the policy's is not said."""
    return detection.namespace or ROOT_NAMESPACE


def shares_of(detection: Detection) -> tuple[Share, ...]:
    """What joins this detection to others; never empty: what names nobody is joined to its rule's others from the same place."""
    found = tuple(dict.fromkeys(_shares(detection)))
    return found or (Share("rule", f"{detection.policy}/{detection.rule}@{detection.origin or detection.source}"),)


def _shares(detection: Detection) -> Iterator[Share]:
    act, is_root = detection.act, scope_of(detection) == ROOT_NAMESPACE
    workload = None if act is None else act.workload or (workload_of_pod(act.pod) if act.pod else None)
    if workload:
        yield Share("workload", workload)
    elif act is not None and act.node and is_root:
        yield Share("node", act.node)
    if detection.identity in ANYONE:
        if detection.origin:
            yield Share("address", detection.origin)
    elif detection.identity and detection.identity not in ON_BEHALF:
        yield Share("identity", detection.identity)
    if detection.target:
        yield from _shares_of_target(detection.target)


def _shares_of_target(target: str) -> Iterator[Share]:
    """Of an API request's: a pod's workload, an object that decides about rights, a service account."""
    match target.split("/"):
        case ["namespaces", namespace, "pods", name]:
            yield Share("workload", workload_of_pod(f"{namespace}/{name}"))
        case ["namespaces", namespace, "serviceaccounts", name]:
            yield Share("identity", f"system:serviceaccount:{namespace}:{name}")
        case ["namespaces", _, plural, _] | [plural, _] if plural in RIGHTS:
            yield Share("object", target)
        case _:
            pass


def workload_of_pod(pod: str) -> str:
    """`namespace/name` of what made a pod, by the form of names that controllers generate; a pod on its own is its own workload.

    `web-5d4f9c8b7-*` is one whose name the API server was yet to make up.
    Sources: generateName's alphabet and five letters (apimachinery, pkg/util/rand), `Deployment-hash-suffix`, StatefulSet ordinals, CronJob's minutes.
    """
    namespace, _, name = pod.rpartition("/")
    if found := _REPLICA_SET_POD.match(name):
        return f"{namespace}/{found[1]}"
    if found := _GENERATED_POD.match(name):
        job = _JOB.match(found[1])
        return f"{namespace}/{job[1] if job else found[1]}"
    return pod


def abouts_of(detection: Detection) -> tuple[About, ...]:
    """What an incident names of this detection. Facts of a node only where root's policies ask: a namespace learns of its own things alone."""
    is_root = scope_of(detection) == ROOT_NAMESPACE
    return tuple(dict.fromkeys(one._replace(id=one.id[:NAME_BYTES]) for one in _abouts(detection, is_root=is_root) if one.id))


def _abouts(detection: Detection, *, is_root: bool) -> Iterator[About]:
    act = detection.act
    if act is not None:
        if act.pod:
            yield About("actor", "pod", act.pod_uid or act.pod, act.pod if act.pod_uid else None)
            yield About("actor", "workload", act.workload or workload_of_pod(act.pod))
        if act.container_id:
            yield About("actor", "container", act.container_id, act.container)
        if act.image:
            yield About("actor", "image", act.image)
        if is_root and act.node:
            yield About("actor", "node", act.node)
    for entity in detection.entities:
        if entity.kind != "actor" or act is None:  # of a process: its program and number, which the timeline says
            yield About(entity.role, entity.kind, entity.id)
