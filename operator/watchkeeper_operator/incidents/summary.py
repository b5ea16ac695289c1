"""What is known of an incident, bounded: made of each detection and merged, so that the outcome is the same in whatever order they came.

Where there is more than is kept, the gravest and then the earliest stays, and how much was left out is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from watchkeeper_detection.attack import TECHNIQUES, by_version
from watchkeeper_detection.detection import Confidence, Detection, Severity
from watchkeeper_detection.policy.errors import printable
from watchkeeper_detection.redact import redact
from watchkeeper_operator.incidents.shares import Share, abouts_of, scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LINES = 200  # kept of an incident, as entities; its object shows 50 of each
RUNBOOKS = 16
SHARES = 64
TECHNIQUES_KEPT = 64
MESSAGE_CHARACTERS = 512
RUNBOOK_CHARACTERS = 1500
NAME_CHARACTERS = 253
DEPLOYING = "deploying"
DEPLOYED_BY = frozenset({"persistence", "privilege-escalation", "stealth", "defense-impairment"})
"""Tactics that one installation of an agent, a network plugin or a driver shows in a cluster: a DaemonSet with rights on its node, a namespace that lets it in."""
DEPLOY_CONTAINER = "T1610"
OF_CLUSTER = frozenset({"audit.request", "rbac.grant", "rbac.object"})
CONFIDENCES: tuple[Confidence, ...] = ("low", "medium", "high")

T = TypeVar("T")


class Line(msgspec.Struct, frozen=True, array_like=True):
    """Detections of one rule about one subject. `policy`: `namespace/name`; `message`, `detection`, `aim`: of the first.

    aim  tactic of the rule's first technique, or DEPLOYING; empty where the technique is unknown
    """

    policy: str
    rule: str
    subject: str
    severity: Severity
    confidence: Confidence
    title: str
    message: str
    source: str
    first: int
    last: int
    detection: str
    count: int = 1
    aim: str = ""


class Entity(msgspec.Struct, frozen=True, array_like=True):
    role: str
    kind: str
    id: str
    name: str
    severity: Severity
    first: int
    count: int = 1


class Summary(msgspec.Struct, frozen=True):
    """All that an incident's object and its notices are made of. Times: nanoseconds since the epoch.

    shares    `kind id` → detections that have it
    attack    technique of v19 → the first time
    runbooks  `namespace/policy` → text
    left_out  what → how many found no place
    """

    detections: int
    severity: Severity
    confidence: Confidence
    first: int
    last: int
    lines: dict[str, Line] = {}
    entities: dict[str, Entity] = {}
    shares: dict[str, int] = {}
    attack: dict[str, int] = {}
    runbooks: dict[str, str] = {}
    left_out: dict[str, int] = {}


def plain(text: str, most: int) -> str:
    """Fit for an object and a terminal: without secrets, control characters as escapes, cut."""
    text = printable(redact(text[: 4 * most]))
    if text and not text.strip():
        text = repr(text)  # blanks alone are no text to the API server
    return text if len(text) <= most else text[: most - 1] + "…"


def summary_of(detection: Detection, shares: Sequence[Share]) -> Summary:
    """Of an incident that is this detection alone."""
    policy, at = f"{scope_of(detection)}/{detection.policy}", detection.observed_at
    subject = plain(shares[0].id, NAME_CHARACTERS)
    line = Line(
        policy=policy,
        rule=detection.rule,
        subject=subject,
        severity=detection.severity,
        confidence=detection.confidence,
        title=plain(detection.title, MESSAGE_CHARACTERS),
        message=plain(detection.message, MESSAGE_CHARACTERS),
        source=detection.source,
        first=at,
        last=at,
        detection=detection.id,
        aim=aim_of(detection),
    )
    named = [
        Entity(one.role, one.kind, plain(one.id, NAME_CHARACTERS), plain(one.name or "", NAME_CHARACTERS), detection.severity, at)
        for one in abouts_of(detection)
    ]
    return Summary(
        detections=1,
        severity=detection.severity,
        confidence=detection.confidence,
        first=at,
        last=at,
        lines={f"{policy}/{detection.rule}/{subject}": line},
        entities={f"{one.role}/{one.kind}/{one.id}": one for one in named},
        shares={f"{share.kind} {plain(share.id, NAME_CHARACTERS)}": 1 for share in shares},
        attack=dict.fromkeys(by_version(detection.attack)[0], at),
        runbooks={policy: plain_lines(detection.runbook)} if detection.runbook else {},
    )


def aim_of(detection: Detection) -> str:
    """What an attacker would want with it: one thing for each rule, that of the technique it names first.

    What puts something to work in a cluster is one aim, whichever rules see it: each sees another side of one object, or of one installation.
    """
    technique = next((one for one in by_version(detection.attack)[0] if one in TECHNIQUES), None)
    if technique is None:
        return ""
    tactic = TECHNIQUES[technique].tactics[0]
    return DEPLOYING if technique == DEPLOY_CONTAINER or (detection.kind in OF_CLUSTER and tactic in DEPLOYED_BY) else tactic


def plain_lines(text: str) -> str:
    """As `plain`, with its lines kept."""
    return "\n".join(plain(line, RUNBOOK_CHARACTERS) for line in text.strip().splitlines() if line.strip())[:RUNBOOK_CHARACTERS]


def merged(one: Summary, other: Summary) -> Summary:
    """Of both together; which is which makes no difference."""
    left_out = _added(one.left_out, other.left_out)
    return Summary(
        detections=one.detections + other.detections,
        severity=min(one.severity, other.severity),
        confidence=max(one.confidence, other.confidence, key=CONFIDENCES.index),
        first=min(one.first, other.first),
        last=max(one.last, other.last),
        lines=_kept(_together(one.lines, other.lines, _line), LINES, lambda line: (line.severity, line.first, line.detection), "lines", left_out),
        entities=_kept(
            _together(one.entities, other.entities, _entity), LINES, lambda entity: (entity.severity, entity.first, entity.id), "entities", left_out
        ),
        shares=_kept(_added(one.shares, other.shares), SHARES, lambda count: (-count,), "shares", left_out),
        attack=_kept(_together(one.attack, other.attack, min), TECHNIQUES_KEPT, lambda at: (at,), "techniques", left_out),
        runbooks=_kept(_together(one.runbooks, other.runbooks, max), RUNBOOKS, lambda _: (), "runbooks", left_out),
        left_out=left_out,
    )


def _line(one: Line, other: Line) -> Line:
    first = min(one, other, key=lambda line: (line.first, line.detection))
    return msgspec.structs.replace(
        first,
        severity=min(one.severity, other.severity),
        confidence=max(one.confidence, other.confidence, key=CONFIDENCES.index),
        last=max(one.last, other.last),
        count=one.count + other.count,
    )


def _entity(one: Entity, other: Entity) -> Entity:
    return msgspec.structs.replace(
        one,
        name=max(one.name, other.name),
        severity=min(one.severity, other.severity),
        first=min(one.first, other.first),
        count=one.count + other.count,
    )


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return one | {name: one.get(name, 0) + count for name, count in other.items()}


def _together(one: dict[str, T], other: dict[str, T], both: Callable[[T, T], T]) -> dict[str, T]:
    return one | {name: both(one[name], value) if name in one else value for name, value in other.items()}


def _kept(found: dict[str, T], most: int, order: Callable[[T], tuple[object, ...]], what: str, left_out: dict[str, int]) -> dict[str, T]:
    """The first `most` in order; the number of the others is added to `left_out`."""
    if len(found) <= most:
        return found
    left_out[what] = left_out.get(what, 0) + len(found) - most
    names = sorted(found, key=lambda name: (order(found[name]), name))
    return {name: found[name] for name in names[:most]}


def encode(summary: Summary) -> bytes:
    return msgspec.msgpack.encode(summary)


_decoder = msgspec.msgpack.Decoder(Summary)


def decode(content: bytes) -> Summary:
    """Raises msgspec.DecodeError when it is damaged."""
    return _decoder.decode(content)
