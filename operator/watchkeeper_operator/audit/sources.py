"""What is known of each log source: what receivers report, gaps, coverage. And what of that becomes the status of its LogSource. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.policy.shapes import nanoseconds
from watchkeeper_detection.wire import WireError, decode_blind
from watchkeeper_operator.audit.coverage import UNTESTED, Coverage
from watchkeeper_operator.audit.gaps import KEPT, Gaps
from watchkeeper_operator.audit.state import decode_state
from watchkeeper_operator.resources.conditions import Reason, Said, Type, carried_on
from watchkeeper_operator.sensors.node_statuses import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchkeeper_operator.audit.gaps import Gap
    from watchkeeper_operator.audit.state import Arrival, LogState
    from watchkeeper_operator.bus.messages import Message

PREFIX = "audit/"
"""What messages about a log source name as their source; the LogSource's name follows, after it (in states) who received."""
SILENT_AFTER = "2m"  # where no LogSource says otherwise
NAMED = 10
STALE_NS = 300 * 10**9  # a receiver that has not reported for so long is gone
RECEIVERS = 256


@dataclass(slots=True)
class Source:
    states: dict[str, LogState] = field(default_factory=dict)  # of each receiver the latest
    gaps: Gaps = field(default_factory=lambda: Gaps(silent_after=nanoseconds(SILENT_AFTER)))


@dataclass(frozen=True, slots=True)
class CanaryRun:
    """The last run of canaries; or why there was none."""

    at: int
    coverage: Coverage | None
    fault: str = ""


class LogSources:
    """Of the leader. What a LogSource's name stands for begins with the first message, or with the LogSource."""

    def __init__(self) -> None:
        self.tested: CanaryRun | None = None
        self._sources: dict[str, Source] = {}

    async def take(self, messages: Sequence[Message]) -> None:
        """Messages of all topics, also ones that came before: what is not about a log source is passed over."""
        for message in messages:
            if not message.source.startswith(PREFIX):
                continue
            name = message.source.removeprefix(PREFIX).split("/")[0]
            if message.topic == "log-state" and (state := decode_state(message.payload)) is not None:
                self._source(name).states[state.replica] = state
            elif message.topic == "loss":
                try:
                    self._source(name).gaps.take_loss(decode_blind(message.payload))
                except WireError:
                    continue  # the intake counts it

    def _source(self, name: str) -> Source:
        if name not in self._sources and len(self._sources) >= RECEIVERS:
            name = next(iter(self._sources))
        return self._sources.setdefault(name, Source())

    def arrivals(self, nonce: str) -> list[Arrival]:
        """Canaries of one run that arrived, by whichever source."""
        return [one for source in self._sources.values() for state in source.states.values() for one in state.arrivals if one.nonce == nonce]

    def gaps(self, name: str) -> Gaps:
        return self._source(name).gaps

    def newest(self, name: str) -> int:
        """When the newest event of a source was logged; 0: none was."""
        return max((state.last_event_at for state in self._source(name).states.values()), default=0)

    @property
    def complete_until(self) -> int:
        """What every source that is not silent has been heard up to; 0 where there is none."""
        return min((newest for name, source in self._sources.items() if source.gaps.silence is None and (newest := self.newest(name))), default=0)

    def status(self, name: str, spec: Mapping[str, Any], before: Mapping[str, Any], *, generation: int, now: int) -> dict[str, Any]:
        """What is to be written to the LogSource of this name."""
        source = self._source(name)
        states = [state for state in source.states.values() if now - state.reported_at <= STALE_NS]
        newest = self.newest(name)
        source.states = {replica: state for replica, state in source.states.items() if state in states or state.last_event_at == newest}
        if newest:
            source.gaps.silent_after = nanoseconds(str(spec.get("silentAfter", SILENT_AFTER)))
            source.gaps.look(newest, now)
        truncated = sum(state.truncated for state in states)
        said = [
            Said(Type.ACCEPTED, True, Reason.VALID),
            _receiving(newest, source.gaps.silence),
            _complete(newest, source.gaps, truncated),
            _covered(self.tested),
        ]
        status: dict[str, Any] = {
            "observedGeneration": generation,
            "records": sum(state.events for state in states),
            "recordsPerSecond": round(sum(state.per_second for state in states)),
            "refused": sum(state.rejected for state in states),
            "truncated": truncated,
            "missing": source.gaps.count,
            "gaps": [_gap(gap) for gap in source.gaps.newest[:KEPT]],
            "conditions": carried_on(before.get("conditions") or (), said, generation=generation, now=rfc3339(now)),
        }
        if newest:
            status["lastRecordAt"] = rfc3339(newest)
        if newest and states:
            status["lagMilliseconds"] = max(state.lag_p99_ms for state in states)
        if self.tested is not None and self.tested.coverage is not None:
            status["coverage"] = _coverage(self.tested.coverage, self.tested.at)
        return status


def _receiving(newest: int, silence: Gap | None) -> Said:
    if not newest:
        return Said(Type.RECEIVING, False, Reason.NEVER_SEEN, "no event has come; watchkeeper audit-config writes the API server's flags")
    if silence is not None:
        return Said(Type.RECEIVING, False, Reason.SILENT, f"no event since {rfc3339(newest)}")
    return Said(Type.RECEIVING, True, Reason.ARRIVING)


def _complete(newest: int, gaps: Gaps, truncated: int) -> Said:
    if gaps.count:
        return Said(Type.COMPLETE, False, Reason.GAPS, f"{gaps.count} so far; the newest: {gaps.newest[0].reason}")
    if truncated:
        return Said(Type.COMPLETE, False, Reason.TRUNCATED, f"{truncated} events came without their bodies")
    return Said(Type.COMPLETE, True if newest else None, Reason.NO_GAPS if newest else Reason.NOT_YET_SEEN)


def _covered(tested: CanaryRun | None) -> Said:
    if tested is None:
        return Said(Type.COVERED, None, Reason.NOT_YET_TESTED)
    if tested.coverage is None:
        return Said(Type.COVERED, None, Reason.NOT_YET_TESTED, tested.fault)
    blind = tested.coverage.blind
    if not blind:
        return Said(Type.COVERED, True, Reason.ALL_RULES)
    partly = len(blind) - len(tested.coverage.wholly)
    some = f", {partly} in part" if partly else ""
    return Said(Type.COVERED, False, Reason.BLIND_RULES, f"{len(tested.coverage.wholly)} rules can't fire{some}: {blind[0].rule} needs {blind[0].reason}")


def _coverage(found: Coverage, at: int) -> dict[str, Any]:
    return {
        "testedAt": rfc3339(at),
        "sent": found.sent,
        "arrived": found.arrived,
        "slowestMilliseconds": round(found.slowest_seconds * 1000),
        "rules": found.rules,
        "blind": len(found.wholly),
        "blindRules": [_blind(one.namespace, one.rule, one.reason) for one in found.wholly[:NAMED]],
        "untested": list(UNTESTED),
    }


def _blind(namespace: str, name: str, reason: str) -> dict[str, str]:
    policy, _, rule = name.partition("/")
    return {"policy": f"{namespace}/{policy}", "rule": rule, "reason": reason}


def _gap(gap: Gap) -> dict[str, Any]:
    whole: dict[str, Any] = {"since": rfc3339(gap.since), "reason": gap.reason}
    if gap.until:
        whole["until"] = rfc3339(gap.until)
    if gap.records:
        whole["records"] = gap.records
    return whole
