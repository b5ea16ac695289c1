"""Detection: a rule held. What incidents, evidence, outputs and backtests join on."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

Severity = Literal["P1", "P2", "P3", "P4"]
Confidence = Literal["low", "medium", "high"]
EVENT_IDS_KEPT = 20  # a threshold or sequence names at most this many events; `count` says how many there were


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where an event stands in the input: stream (file), 1-based line or record number, byte offset (-1: none)."""

    stream: str
    number: int
    offset: int


class Entity(msgspec.Struct, frozen=True):
    """One thing a detection is about: its role in it (actor, identity, target, origin), kind and canonical id."""

    role: str
    kind: str
    id: str


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Who acted on a host, for people: the process and where it came from, as it was at that moment.

    ancestors              programs of the ancestors, parent first
    ancestor_process_ids   their process ids, in the same order
    pod                    `namespace/name`
    workload               `namespace/name` of what the pod belongs to; absent for a pod on its own, and where the cluster did not say
    """

    process: str | None
    process_id: int | None
    command_line: str | None = None
    user: str | None = None
    ancestors: tuple[str, ...] = ()
    ancestor_process_ids: tuple[int, ...] = ()
    container_id: str | None = None
    container: str | None = None
    image: str | None = None
    pod: str | None = None
    pod_uid: str | None = None
    workload: str | None = None
    node: str | None = None


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """One rule held for one event, or for the several events of a threshold or sequence.

    id           deterministic: hash of policy, rule and event ids
    observed_at  event time of the (last) event, nanoseconds since the epoch
    namespace    of the policy: whose authority raised it
    attack       ATT&CK ids of v19, each followed by its v18 id where that differs
    absent       fields that the condition read and that were absent
    unresolved   late fields that were not known in time
    act          who acted on a host; absent for logs
    event        the (last) event as a recording holds it, a line of JSON, deflated (zlib); absent for logs, and in a storm of detections
    """

    id: str
    kind: str
    observed_at: int
    policy: str
    namespace: str = ""
    rule: str
    title: str
    severity: Severity
    confidence: Confidence
    attack: tuple[str, ...]
    message: str
    source: str
    places: tuple[Place, ...]
    event_ids: tuple[str, ...]
    provider_ids: tuple[str, ...] = ()
    count: int = 1
    actor: str | None = None
    identity: str | None = None
    target: str | None = None
    origin: str | None = None
    entities: tuple[Entity, ...] = ()
    runbook: str = ""
    absent: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    blind_spots: tuple[str, ...] = ()
    revision: str = ""
    act: Act | None = None
    event: bytes | None = None


def detection_id(policy: str, rule: str, event_ids: tuple[str, ...]) -> str:
    """Same policy, rule and events give the same id, on whichever machine and in whichever order they are read."""
    text = "\x1f".join((policy, rule, *sorted(event_ids)))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
