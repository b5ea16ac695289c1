"""What the collector discarded, as detections of root: a node said what it may not say, or somebody shows a sensor's token who is not that sensor. Pure.

What can also be an honest node's (a pod that began and ended unseen, a policy of long ago) is recorded, and opens no incident by itself.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from watchkeeper_detection.attack import with_v18
from watchkeeper_detection.detection import Act, Confidence, Detection, Severity, detection_id
from watchkeeper_detection.wire import WireError
from watchkeeper_operator.bus.messages import Discarded
from watchkeeper_operator.names import ROOT_NAMESPACE

if TYPE_CHECKING:
    from watchkeeper_operator.bus.messages import Message

POLICY, SOURCE, KIND = "sensor-distrusted", "watchkeeper", "sensor.tampered"
SECOND_CERTIFICATE = "SecondCertificate"
RUNBOOK = """What it means: who holds the certificate or token of a node's sensor says what that sensor can't have seen, or is a second one who holds it.
What to check: who was on that node as root and who may read Secrets, exec or request tokens in watchkeeper-system; what the detection says was told.
How to contain: delete the sensor's pod: its token dies with it and its certificate within the hour. Cordon the node and take it apart when root on it is not explained."""


class _Told(NamedTuple):
    rule: str
    title: str
    severity: Severity
    confidence: Confidence
    says: str


FORGED = _Told("forged", "A node reports what it can't have seen", "P2", "high", "reported what it may not speak of, which was discarded")
UNREADABLE = _Told("forged", "A node reports what it can't have seen", "P3", "medium", "reported what nobody can read, which was discarded")
UNKNOWN = _Told("unknown", "A node reports what nobody knows of", "P4", "low", "reported what nobody here knows of, which was discarded")
SECOND = _Told(
    "second-certificate",
    "Second certificate asked for with a sensor's token",
    "P2",
    "high",
    "has a sensor whose token somebody else shows as well, who got nothing for it",
)
TELLING = {
    **dict.fromkeys(("AnotherNodesPod", "AnotherIdentity", "NotItsKind"), FORGED),
    **dict.fromkeys(("PodUnknown", "PolicyUnknown", "NotCovered"), UNKNOWN),
    "Unreadable": UNREADABLE,
    SECOND_CERTIFICATE: SECOND,
}
_decoder = msgspec.msgpack.Decoder(Discarded)


def detection_of(message: Message) -> Detection:
    """Of a message of topic `discarded`; the same message gives the same. Raises WireError."""
    try:
        told = _decoder.decode(message.payload)
    except msgspec.DecodeError as trouble:
        raise WireError(str(trouble)) from None
    how = TELLING.get(told.reason, FORGED)
    event = f"{message.source}:{message.received_at}:{hashlib.blake2b(message.payload, digest_size=16).hexdigest()}"
    is_sensor = told.reason == SECOND_CERTIFICATE
    return Detection(
        id=detection_id(POLICY, how.rule, (event,)),
        kind=KIND,
        observed_at=message.received_at,
        policy=POLICY,
        namespace=ROOT_NAMESPACE,
        rule=how.rule,
        title=how.title,
        severity=how.severity,
        confidence=how.confidence,
        attack=with_v18("T1685"),
        message=_words(told, how),
        source=SOURCE,
        places=(),
        event_ids=(event,),
        count=max(1, told.count),
        origin=told.address or None,
        target=None if is_sensor or not told.pod else _target(told.pod),
        runbook=RUNBOOK,
        act=Act(process=None, process_id=None, node=told.node_name or told.node_uid),
    )


def _words(told: Discarded, how: _Told) -> str:
    named = {"times": told.count if told.count > 1 else "", "about": told.pod, "by policy": told.policy, "asked from": told.address}
    details = [f"{what} {which}" for what, which in named.items() if which]
    return f"node {told.node_name or told.node_uid} {how.says}: {', '.join([told.reason, *details])}"


def _target(pod: str) -> str | None:
    namespace, _, name = pod.partition("/")
    return f"namespaces/{namespace}/pods/{name}" if namespace and name else None
