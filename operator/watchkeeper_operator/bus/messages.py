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
