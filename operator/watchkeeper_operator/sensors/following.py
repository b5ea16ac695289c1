"""What every Sensor decision is made of, kept up to date by the leader: nodes, pods by node, what nodes said, and who is to hold what."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.node_wire import NodeState
from watchkeeper_operator import kinds
from watchkeeper_operator.collector.cluster_view import Runs
from watchkeeper_operator.sensors.nodes import Node, Nodes
from watchkeeper_operator.sensors.shares import Shares
from watchkeeper_operator.watches import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchkeeper_operator.bus.messages import Message
    from watchkeeper_operator.cluster import Cluster
    from watchkeeper_operator.policy_set import PolicySet

GATHER_SECONDS = 0.2
RUNNING_PODS = "status.phase!=Succeeded,status.phase!=Failed"
NODE_SOURCE = "node/"

log = logging.getLogger(__name__)
_states = msgspec.msgpack.Decoder(NodeState)


class _PodMetadata(msgspec.Struct, frozen=True):
    name: str
    namespace: str
    uid: str
    labels: dict[str, str] = {}


class _PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""


class Pod(msgspec.Struct, frozen=True):
    """Of a pod no more is read here: where it runs, and what policies select it by."""

    metadata: _PodMetadata
    spec: _PodSpec = _PodSpec()


class Following:
    """`changed` is called when something did: with uids of nodes, or without for all; and whether it may change on how many nodes a policy is in force. `heard`: of each
    state that a node told, with its uid and the time, ns since the epoch.
    """

    def __init__(self, cluster: Cluster, policies: PolicySet, changed: Callable[[set[str], bool], None], heard: Callable[[str, NodeState, int], None]) -> None:
        self.nodes = Nodes()
        self.shares = Shares()
        self.watch_nodes: Watch[Node] = Watch(cluster, kinds.NODES, Node)
        self.watch_pods: Watch[Pod] = Watch(cluster, kinds.PODS, Pod, fields=RUNNING_PODS)
        self._policies = policies
        self._tell = changed
        self._hear = heard
        self._pods: defaultdict[str, dict[str, Runs]] = defaultdict(dict)  # name of a node → uid → pod
        self._stale: set[str] = set()  # names of nodes whose share has to be made anew
        self._judged = 0
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_nodes())
            tasks.create_task(self._follow_pods())
            tasks.create_task(self._follow_policies())
            tasks.create_task(self._share())

    async def take(self, messages: Sequence[Message]) -> None:
        """Messages of all topics, as they come from a collector; states of nodes are meant."""
        heard: set[str] = set()
        confirmed = False
        for message in messages:
            if message.topic != "node-state" or not message.source.startswith(NODE_SOURCE):
                continue
            uid = message.source.removeprefix(NODE_SOURCE)
            try:
                state = _states.decode(message.payload)
            except msgspec.DecodeError:
                log.warning("the state of a node can't be read: its sensor or the collector is of another version")
                continue
            news = self.nodes.hear(uid, state, message.received_at)
            confirmed |= news == "policies"
            if news != "old":
                heard.add(uid)
                self._hear(uid, state, message.received_at)
        if heard:
            self._tell(heard, confirmed)

    async def _follow_nodes(self) -> None:
        async for change in self.watch_nodes:
            if change.kind == "bookmark":
                continue
            if change.kind == "listed" or (change.object is not None and self._is_news(change.object, deleted=change.kind == "deleted")):
                self.nodes.there(self.watch_nodes.objects)
                self.shares.forget_all_but(self.nodes.by_uid)
                self._stale.update(node.metadata.name for node in self.nodes.by_uid.values()) if change.kind == "listed" else None
                self._woken.set()
                self._tell(set(), True)

    def _is_news(self, node: Node, *, deleted: bool) -> bool:
        """Heartbeats change nothing that is read here."""
        if not deleted and self.nodes.by_uid.get(node.metadata.uid) == node:
            return False
        self._stale.add(node.metadata.name)
        return self.watch_nodes.listed.is_set()

    async def _follow_pods(self) -> None:
        async for change in self.watch_pods:
            if change.object is None or not (name := change.object.spec.node_name):
                continue
            metadata, here = change.object.metadata, self._pods[name]
            if change.kind == "deleted":
                here.pop(metadata.uid, None)
            else:
                runs = Runs(namespace=metadata.namespace, name=metadata.name, uid=metadata.uid, kubelet_uid=metadata.uid, node=name, labels=metadata.labels)
                if here.get(metadata.uid) == runs:
                    continue
                here[metadata.uid] = runs
            self._stale.add(name)
            self._woken.set()

    async def _follow_policies(self) -> None:
        while True:
            judged = await self._policies.after(self._judged)
            self._judged = judged.number
            self.shares.judged(judged)
            self._stale.update(node.metadata.name for node in self.nodes.by_uid.values())
            self._woken.set()

    async def _share(self) -> None:
        """Shares of the nodes that something changed for; between two of them others have their turn."""
        await self.watch_nodes.listed.wait()
        await self.watch_pods.listed.wait()
        while True:
            await self._woken.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._woken.clear()
            stale, self._stale = self._stale, set()
            judged = self._policies.judged
            for node in [node for node in self.nodes.by_uid.values() if node.metadata.name in stale]:
                self.shares.share(node, list(self._pods[node.metadata.name].values()), judged.number)
                await asyncio.sleep(0)
            self._tell(set(), True)
