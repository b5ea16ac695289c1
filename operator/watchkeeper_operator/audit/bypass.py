"""Commands in containers without an exec in the audit log: what nodes saw, joined with what the API server knows. Pure; time is passed in.

An exec of the audit log explains one process that came into the same pod about that time. Nothing is claimed before the log is complete past that
moment, nor where it is silent: what can't be decided is counted.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from watchkeeper_detection.detection import detection_id
from watchkeeper_detection.wire import WireError, decode_detection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchkeeper_detection.detection import Detection
    from watchkeeper_operator.bus.messages import Message

POLICY, ENTERED, SESSION, RULE = "exec-past-audit", "entered", "session", "unasked"
SECOND_NS = 10**9
BEFORE_NS = 60 * SECOND_NS  # an exec is logged before its process starts: the kubelet, the runtime and a slow image lie between
AFTER_NS = 5 * SECOND_NS  # clocks of node and control plane may differ by this much
COMPLETE_NS = 15 * SECOND_NS  # the log has to go on for so long after the process
GIVEN_UP_NS = 600 * SECOND_NS
WAITING = 10_000
PODS = 10_000
SESSIONS = 64  # of one pod
PROCESSES = 10_000

Pod = str
"""`namespace/name`."""


class Waiting(NamedTuple):
    pod: Pod
    detection: Detection


class Bypasses:
    """Of the leader. What it is told twice it knows by the detections' ids."""

    def __init__(self) -> None:
        self.undecided = 0
        self._waiting: OrderedDict[str, Waiting] = OrderedDict()
        self._sessions: defaultdict[Pod, deque[tuple[int, str]]] = defaultdict(lambda: deque(maxlen=SESSIONS))
        self._known: OrderedDict[str, None] = OrderedDict()

    def take(self, messages: Iterable[Message]) -> None:
        """Messages of all topics."""
        for message in messages:
            if message.topic == "detection" and POLICY.encode() in message.payload:
                try:
                    self.take_detection(decode_detection(message.payload))
                except WireError:
                    continue  # the intake counts it

    def take_detection(self, one: Detection) -> None:
        if one.policy != POLICY or self._is_known(one.id):
            return
        if one.rule == ENTERED and one.act is not None and one.act.pod:
            if self._is_known(f"{one.act.container_id} {one.act.process_id}"):
                return  # the same process runs another program
            self._waiting[one.id] = Waiting(one.act.pod, one)
            if len(self._waiting) > WAITING:
                self._waiting.popitem(last=False)
                self.undecided += 1
        elif one.rule == SESSION and (pod := pod_of(one.target)):
            if pod not in self._sessions and len(self._sessions) >= PODS:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[pod].append((one.observed_at, one.id))

    def _is_known(self, name: str) -> bool:
        if name in self._known:
            return True
        self._known[name] = None
        if len(self._known) > PROCESSES:
            self._known.popitem(last=False)
        return False

    def decide(self, complete_until: int, now: int) -> list[Detection]:
        """`complete_until`: the audit log's newest event. Processes that nothing explains, oldest first."""
        found = []
        for id_, (pod, one) in sorted(self._waiting.items(), key=lambda row: row[1].detection.observed_at):
            if one.observed_at + COMPLETE_NS <= complete_until:
                del self._waiting[id_]
                if not self._is_explained(pod, one.observed_at):
                    found.append(unasked(one))
            elif now - one.observed_at > GIVEN_UP_NS:
                del self._waiting[id_]
                self.undecided += 1
        return found

    def _is_explained(self, pod: Pod, at: int) -> bool:
        """By the latest exec before it that explains no other."""
        sessions = self._sessions.get(pod, deque())
        near = [session for session in sessions if at - BEFORE_NS <= session[0] <= at + AFTER_NS]
        if not near:
            return False
        sessions.remove(max(near))
        return True


def pod_of(target: str | None) -> Pod:
    """Of a detection's target, `namespaces/NS/pods/NAME`."""
    words: Sequence[str] = (target or "").split("/")
    return f"{words[1]}/{words[3]}" if len(words) == 4 and words[0] == "namespaces" and words[2] == "pods" else ""


def unasked(one: Detection) -> Detection:
    """The detection that a process was, now that the audit log has no exec for it."""
    return msgspec.structs.replace(
        one,
        id=detection_id(POLICY, RULE, one.event_ids),
        rule=RULE,
        severity="P2",
        confidence="medium",
        attack=("T1609", "T1550.001"),
        message=f"{one.message}; the API server was asked for no exec in that pod",
    )
