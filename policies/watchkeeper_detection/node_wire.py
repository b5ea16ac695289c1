"""What a node and the collector say to each other. Bodies are JSON where people may look (feed, state), else MessagePack of these structs.

    POST /v1/certificates   CertificateRequest → Certificate   TLS without client certificate; the token proves who asks
    POST /v1/deliveries     Delivery → Taken                   client certificate of a sensor, as all below
    GET  /v1/feed?since=R   → NodeFeed                         answers when the revision is no longer R, or 204 after 25 s
    PUT  /v1/state          NodeState → 204                    on change, and once a minute

Nothing that a node says is taken for true because it says so: the collector knows the node by its certificate.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

NODE_WIRE_VERSION = 1
DELIVERY_BYTES = 4 * 1024 * 1024  # of a body at most
DELIVERY_ENTRIES = 500
FEED_WAIT_SECONDS = 25.0


class CertificateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`token`: a projected token of audience `watchkeeper-collector`; `request`: PKCS #10, PEM. The subject asked for is ignored."""

    token: str
    request: str


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """PEM; valid an hour at most; `renew_after` seconds from now, before which a second request of the same pod is reported."""

    certificate: str
    renew_after: float


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """`payload`: bytes of `wire.encode`. `position` counts up per `Delivery.spool`, so that what comes twice is known."""

    kind: Literal["detection", "match", "loss"]
    position: int
    payload: bytes


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Entries in order. `spool`: random id of the sensor's spool, made with it."""

    spool: str
    entries: tuple[Entry, ...]
    version: int = NODE_WIRE_VERSION


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries, from the first on, are stored durably; `discarded` of them were about what this node may not speak of."""

    count: int
    discarded: int = 0


class NodeFeed(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is told: policies that can match its pods, and what the cluster knows of them.

    revision   changes whenever anything here does
    policies_revision   of the policies, exceptions and lists alone: what `NodeState.policies_revision` confirms
    policies, exceptions, lists   objects as the API server gives them, trimmed to metadata (name, namespace, uid, generation) and spec; data, never code
    limits     of Sensor.spec: event kinds, rates, memory
    pods       the file that late/feed.py reads, as its JSON document
    """

    revision: str
    policies_revision: str
    policies: tuple[dict[str, Any], ...] = ()
    exceptions: tuple[dict[str, Any], ...] = ()
    lists: tuple[dict[str, Any], ...] = ()
    limits: dict[str, Any] = {}
    pods: dict[str, Any] = {}
    version: int = NODE_WIRE_VERSION


class NotInForce(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that this node does not hold, and why."""

    policy: str
    reason: str


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """State of the sensor on one node; becomes the status of its NodeSensor. Times are nanoseconds since the epoch.

    held_back  `policy/rule exception` (outside root `policy/rule namespace/exception`) → detections that the PolicyException held back since the sensor started
    """

    sensor_version: str
    kernel: str
    started_at: int
    policies_revision: str = ""
    policies: int = 0
    rules: int = 0
    not_in_force: tuple[NotInForce, ...] = ()
    hooks: int = 0
    missing_hooks: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    lost: dict[str, int] = {}
    delivered: int = 0
    waiting: int = 0
    memory_bytes: int = 0
    held_back: dict[str, int] = {}
    version: int = NODE_WIRE_VERSION
