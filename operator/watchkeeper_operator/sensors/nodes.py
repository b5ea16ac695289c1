"""What is known of the nodes: which there are, which Sensor watches them, and what their sensors last said of themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec

from watchkeeper_operator.selectors import selects

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_detection.node_wire import NodeState
    from watchkeeper_operator.shapes import Object

SILENT_NS = 120 * 10**9  # a sensor tells its state once a minute


class NodeMetadata(msgspec.Struct, frozen=True):
    name: str
    uid: str
    labels: dict[str, str] = {}


class Node(msgspec.Struct, frozen=True):
    """Of a Node no more is read."""

    metadata: NodeMetadata


@dataclass(frozen=True, slots=True)
class Heard:
    """`at`: ns since the epoch, by the collector's clock."""

    state: NodeState
    at: int


@dataclass(slots=True)
class Nodes:
    """Replaced nodes keep their name and get another uid: what is known is by uid, what is shown by name."""

    by_uid: dict[str, Node] = field(default_factory=dict)
    watched: dict[str, str] = field(default_factory=dict)  # uid → name of the Sensor
    heard: dict[str, Heard] = field(default_factory=dict)

    def hear(self, uid: str, state: NodeState, at: int) -> Literal["old", "counts", "policies"]:
        """What that is: of no node or no later than what was known; of interest to the node's own status; or to those of policies too."""
        before = self.heard.get(uid)
        if uid not in self.by_uid or (before is not None and before.at >= at):
            return "old"
        self.heard[uid] = Heard(state, at)
        if before is None or at - before.at > SILENT_NS:
            return "policies"
        same = (before.state.policies_revision, before.state.not_in_force) == (state.policies_revision, state.not_in_force)
        return "counts" if same else "policies"

    def silent(self, now: int) -> frozenset[str]:
        """Uids of nodes that were heard, and are no longer."""
        return frozenset(uid for uid, heard in self.heard.items() if is_silent(heard, now))

    def recall(self, name: str, heard: Heard | None) -> None:
        """What an earlier leader heard of a node, until it is heard again."""
        for uid, node in self.by_uid.items():
            if node.metadata.name == name and heard is not None:
                self.heard.setdefault(uid, heard)

    def there(self, nodes: Iterable[Node]) -> None:
        """The nodes that there are; what was heard of others is forgotten."""
        self.by_uid = {node.metadata.uid: node for node in nodes}
        self.heard = {uid: one for uid, one in self.heard.items() if uid in self.by_uid}

    def with_sensor(self) -> list[tuple[Node, Heard | None]]:
        """Those that a Sensor watches, by name."""
        pairs = ((node, self.heard.get(uid)) for uid, node in self.by_uid.items() if uid in self.watched)
        return sorted(pairs, key=lambda pair: pair[0].metadata.name)


def watched_by(sensors: Iterable[Object], nodes: Iterable[Node]) -> dict[str, str]:
    """A node's uid → name of the Sensor that watches it: of two that select it, the older one."""
    oldest = sorted(sensors, key=lambda one: (one.metadata.creation_timestamp, one.metadata.name))
    found: dict[str, str] = {}
    for node in nodes:
        for sensor in oldest:
            if selects(sensor.spec.get("nodeSelector"), node.metadata.labels):
                found[node.metadata.uid] = sensor.metadata.name
                break
    return found


def is_silent(heard: Heard | None, now: int) -> bool:
    return heard is None or now - heard.at > SILENT_NS
