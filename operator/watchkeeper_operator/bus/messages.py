"""Messages: what waits in a queue for the leader."""

from __future__ import annotations

from typing import Literal

import msgspec

Topic = Literal["detection", "match", "loss", "node-state", "log-state", "discarded"]
LATEST: frozenset[Topic] = frozenset({"node-state", "log-state"})  # a newer one of the same source takes the place of one that waits
FETCHED = 1000  # messages of one answer at most
FETCHED_BYTES = 8 * 1024 * 1024
FETCH_WAIT_SECONDS = 25.0


class Message(msgspec.Struct, frozen=True, array_like=True):
    """One message as it waits. `id` rises in the order of arrival, also over a queue that was lost and made anew; `received_at`: ns since the epoch.

    source   who said it: `node/UID`, `audit/NAME`, `collector`
    payload  of detection, match and loss: bytes of `watchkeeper_detection.wire`; of node-state: NodeState, of the others what their senders document, MessagePack
    """

    id: int
    topic: Topic
    source: str
    received_at: int
    payload: bytes


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be. `spool` and `position`: of one that may come twice (see node_wire); positions rise within a spool."""

    topic: Topic
    source: str
    payload: bytes
    spool: str = ""
    position: int = 0


class Acknowledgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v1/messages/acknowledge`: every message up to this number has been kept elsewhere, and goes."""

    through: int


class Discarded(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of topic `discarded`: a node said what it may not say, or somebody asked with a sensor's token for what a sensor does not ask.

    reason    one word: `AnotherNodesPod`, `AnotherIdentity`, `PodUnknown`, `PolicyUnknown`, `NotCovered`, `NotItsKind`, `Unreadable`, `SecondCertificate`
    pod       `namespace/name` that it was about; of SecondCertificate the sensor's own
    address   who asked, where that is known
    count     how many of this reason in one delivery; `examples` holds the first of them as they came
    """

    reason: str
    node_uid: str
    node_name: str = ""
    pod: str = ""
    policy: str = ""
    address: str = ""
    count: int = 1
    examples: tuple[bytes, ...] = ()
