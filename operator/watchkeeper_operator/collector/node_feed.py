"""What one node is told, as bytes: its policies, its limits, and the late fields of its pods in the form of the sensor's feed file. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from watchkeeper_operator.collector.policy_share import PolicyShares, Share
from watchkeeper_operator.selectors import selects

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchkeeper_operator.collector.cluster_view import Node, Runs
    from watchkeeper_operator.policy_objects import Written
    from watchkeeper_operator.shapes import Object

PODS_VERSION = 1  # of the sensor's late/feed.py
IP_TYPES = ("InternalIP", "ExternalIP")

_encode = msgspec.json.Encoder(order="deterministic").encode


class Told(NamedTuple):
    """`body`: a `node_wire.NodeFeed`, JSON."""

    revision: str
    body: bytes


class _Body(msgspec.Struct):
    """NodeFeed, of which the parts that many nodes share are encoded once."""

    revision: str
    policies_revision: str
    policies: msgspec.Raw
    exceptions: msgspec.Raw
    lists: msgspec.Raw
    limits: msgspec.Raw
    pods: msgspec.Raw
    version: int = 1


class FeedMaker:
    """Makes feeds from one judgement of the policies. `cluster`: its name, for `node.cluster`; empty where it has none."""

    def __init__(self, in_force: Sequence[Written], cluster: str) -> None:
        self._shares = PolicyShares(in_force)
        self._cluster = cluster
        self._encoded: dict[str, tuple[msgspec.Raw, msgspec.Raw, msgspec.Raw]] = {}

    def make(self, node: Node, pods: Sequence[Runs], sensors: Iterable[Object]) -> Told:
        share = self._shares.of(pods, node.metadata.labels)
        policies_revision = revision_of(share)
        if policies_revision not in self._encoded:
            self._encoded[policies_revision] = (_objects(share.policies), _objects(share.exceptions), _objects(share.lists))
        policies, exceptions, lists = self._encoded[policies_revision]
        limits = msgspec.Raw(_encode(limits_for(node, sensors)))
        told = msgspec.Raw(_encode(pods_document(self._cluster, node, pods)))
        revision = _hash(policies_revision.encode(), bytes(limits), bytes(told))
        return Told(revision, msgspec.json.encode(_Body(revision, policies_revision, policies, exceptions, lists, limits, told)))


def revision_of(share: Share) -> str:
    """Of the objects alone: uid and generation say which spec it is."""
    parts = (f"{one.key.kind} {one.uid} {one.generation}".encode() for group in share for one in group)
    return _hash(*parts)


def limits_for(node: Node, sensors: Iterable[Object]) -> dict[str, Any]:
    """What the Sensor allows that selects the node; of several the oldest one."""
    selecting = [one for one in sensors if selects(one.spec.get("nodeSelector"), node.metadata.labels)]
    if not selecting:
        return {}
    spec = min(selecting, key=lambda one: (one.metadata.creation_timestamp, one.metadata.name)).spec
    limits: dict[str, Any] = {}
    if kinds := spec.get("eventKinds"):
        limits["eventKinds"] = kinds
    if records := (spec.get("limits") or {}).get("recordsPerSecond"):
        limits["recordsPerSecond"] = records
    return limits


def pods_document(cluster: str, node: Node, pods: Iterable[Runs]) -> dict[str, Any]:
    """The document of the sensor's late/feed.py; what is not known is left out."""
    ips = [one.address for one in node.status.addresses or () if one.type in IP_TYPES]
    about = {"labels": node.metadata.labels} | ({"ip": ips[0], "ips": ips} if ips else {})
    document: dict[str, Any] = {"version": PODS_VERSION, "node": about, "pods": {one.kubelet_uid: _told(one) for one in pods}}
    return document | ({"cluster": cluster} if cluster else {})


def _told(pod: Runs) -> dict[str, Any]:
    told: dict[str, Any] = {"labels": pod.labels, "annotations": pod.annotations}
    if pod.service_account:
        told["service_account"] = pod.service_account
    if pod.ips:
        told |= {"ip": pod.ips[0], "ips": list(pod.ips)}
    if pod.owner_kind:
        told |= {"owner_kind": pod.owner_kind, "owner_name": pod.owner_name}
    if pod.expected_commands:
        told["expected_commands"] = list(pod.expected_commands)
    return told


def _objects(written: Sequence[Written]) -> msgspec.Raw:
    return msgspec.Raw(_encode([one.body for one in written]))


def _hash(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
