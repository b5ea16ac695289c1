"""What the collector knows of nodes and pods: who runs where, now and lately. Objects are cut to what somebody here asks for."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_operator.collector.expected_commands import Container, expected
from watchkeeper_operator.shapes import Metadata, OwnerReference

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT_ENDED = 10_000  # pods that have gone, of which nodes may still tell
TEXT = 1024  # characters of an annotation; longer ones are left out, as is what kubectl keeps there for itself
ANNOTATIONS = 32
STATIC = "kubernetes.io/config.hash"  # uid by which the kubelet names a static pod's cgroups
TEMPLATE = "pod-template-hash"


class _Address(msgspec.Struct, frozen=True):
    ip: str = ""


class _PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""
    service_account_name: str = ""
    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None


class _PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    pod_ip: str = msgspec.field(default="", name="podIP")
    pod_ips: tuple[_Address, ...] | None = msgspec.field(default=None, name="podIPs")


class Pod(msgspec.Struct, frozen=True):
    """As the API server writes it."""

    metadata: Metadata
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()


class _NodeAddress(msgspec.Struct, frozen=True):
    type: str = ""
    address: str = ""


class _NodeStatus(msgspec.Struct, frozen=True):
    addresses: tuple[_NodeAddress, ...] | None = None


class Node(msgspec.Struct, frozen=True):
    metadata: Metadata
    status: _NodeStatus = _NodeStatus()


class Runs(msgspec.Struct, frozen=True, kw_only=True):
    """A pod on a node: what nodes are told of it, and what is checked about it."""

    namespace: str
    name: str
    uid: str
    kubelet_uid: str
    node: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    service_account: str = ""
    ips: tuple[str, ...] = ()
    owner_kind: str = ""
    owner_name: str = ""
    expected_commands: tuple[str, ...] = ()


def runs_of(pod: Pod) -> Runs:
    metadata = pod.metadata
    owner_kind, owner_name = _workload(metadata)
    return Runs(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        kubelet_uid=metadata.annotations.get(STATIC, metadata.uid),
        node=pod.spec.node_name,
        labels=metadata.labels,
        annotations=_told(metadata.annotations),
        service_account=pod.spec.service_account_name,
        ips=tuple(one.ip for one in pod.status.pod_ips or ()) or ((pod.status.pod_ip,) if pod.status.pod_ip else ()),
        owner_kind=owner_kind,
        owner_name=owner_name,
        expected_commands=expected((*(pod.spec.init_containers or ()), *(pod.spec.containers or ()))),
    )


def _told(annotations: dict[str, str]) -> dict[str, str]:
    kept = ((name, value) for name, value in annotations.items() if len(value) <= TEXT and not name.startswith("kubectl.kubernetes.io/last-applied"))
    return dict(sorted(kept)[:ANNOTATIONS])


def _workload(metadata: Metadata) -> tuple[str, str]:
    """What the pod belongs to. A Deployment names its ReplicaSets `NAME-HASH` and labels their pods with the hash."""
    owner: OwnerReference | None = next((one for one in metadata.owner_references if one.controller), None)
    if owner is None:
        return "", ""
    hashed = metadata.labels.get(TEMPLATE, "")
    if owner.kind == "ReplicaSet" and hashed and owner.name.endswith(f"-{hashed}"):
        return "Deployment", owner.name.removesuffix(f"-{hashed}")
    return owner.kind, owner.name


def bare(pod: Runs) -> Runs:
    """What is checked of a pod, without what its node is told of it."""
    return msgspec.structs.replace(pod, labels={}, annotations={}, ips=(), expected_commands=())


class ClusterView:
    """Pods by node and by name, nodes by uid. Fed by the watches; asked by whatever judges and tells."""

    def __init__(self) -> None:
        self._pods: dict[str, Runs] = {}
        self._by_node: defaultdict[str, dict[str, Runs]] = defaultdict(dict)
        self._by_name: defaultdict[tuple[str, str], dict[str, Runs]] = defaultdict(dict)
        self._ended: OrderedDict[str, Runs] = OrderedDict()
        self._ended_on: defaultdict[str, Counter[str]] = defaultdict(Counter)  # node → namespace → pods that ended
        self._nodes: dict[str, Node] = {}
        self._node_uids: dict[str, str] = {}

    def put_pod(self, pod: Pod) -> set[str]:
        """Names of the nodes for which this changes something."""
        now = runs_of(pod)
        before = self._pods.get(now.uid)
        if before == now or not now.node:  # a pod that no node runs yet is nobody's
            return set()
        self._pods[now.uid] = self._by_node[now.node][now.uid] = self._by_name[now.namespace, now.name][now.uid] = now
        return {now.node}

    def remove_pod(self, pod: Pod) -> set[str]:
        """It stays known as one that ended."""
        known = self._pods.pop(pod.metadata.uid, None)
        if known is None:
            return set()
        self._by_node[known.node].pop(known.uid, None)
        if not self._by_node[known.node]:
            del self._by_node[known.node]
        self._end(known)
        return {known.node}

    def _end(self, ended: Runs) -> None:
        known = self._by_name[ended.namespace, ended.name][ended.uid] = bare(ended)
        self._ended[known.uid] = known
        self._ended_on[known.node][known.namespace] += 1
        if len(self._ended) > KEPT_ENDED:
            self._forget(*self._ended.popitem(last=False))

    def _forget(self, uid: str, ended: Runs) -> None:
        name = (ended.namespace, ended.name)
        here = self._ended_on[ended.node]
        here[ended.namespace] -= 1
        if not here[ended.namespace]:
            del here[ended.namespace]
        if not here:
            del self._ended_on[ended.node]
        if self._by_name[name].get(uid) is ended:
            del self._by_name[name][uid]
        if not self._by_name[name]:
            del self._by_name[name]

    def put_node(self, node: Node) -> set[str]:
        before = self._nodes.get(node.metadata.uid)
        self._nodes[node.metadata.uid] = node
        self._node_uids[node.metadata.name] = node.metadata.uid
        same = before is not None and (before.metadata.labels, before.status) == (node.metadata.labels, node.status)
        return set() if same else {node.metadata.name}

    def remove_node(self, node: Node) -> set[str]:
        self._nodes.pop(node.metadata.uid, None)
        if self._node_uids.get(node.metadata.name) == node.metadata.uid:
            del self._node_uids[node.metadata.name]
        return {node.metadata.name}

    def node(self, uid: str) -> Node | None:
        return self._nodes.get(uid)

    def node_named(self, name: str) -> Node | None:
        uid = self._node_uids.get(name)
        return None if uid is None else self._nodes.get(uid)

    @property
    def node_names(self) -> Iterable[str]:
        return list(self._node_uids)

    def runs(self, uid: str, namespace: str) -> bool:
        """Whether some node runs a pod of this uid, of this namespace."""
        found = self._pods.get(uid)
        return found is not None and found.namespace == namespace

    def on_node(self, name: str) -> list[Runs]:
        """Pods that are bound to a node now."""
        return list(self._by_node.get(name, {}).values())

    def named(self, namespace: str, name: str) -> list[Runs]:
        """Pods of this name, also ones that have ended."""
        return list(self._by_name.get((namespace, name), {}).values())

    def namespaces_on(self, node: str) -> set[str]:
        """Of pods that run there, or lately did."""
        return {one.namespace for one in self._by_node.get(node, {}).values()} | set(self._ended_on.get(node, ()))

    @property
    def ended(self) -> list[Runs]:
        return list(self._ended.values())

    def remembered(self) -> list[Runs]:
        """Where pods run and ran, for a process that comes after this one."""
        return self.ended + [bare(one) for one in self._pods.values()]

    def restore(self, ended: Iterable[Runs]) -> None:
        """Pods of an earlier process: ended as far as nobody says otherwise."""
        for one in ended:
            if one.uid not in self._pods and one.uid not in self._ended:
                self._end(one)
