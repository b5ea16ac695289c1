"""How audit events come, source by source: counts for metrics, reports for the leader."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from watchkeeper_operator.audit.state import ARRIVALS, Arrival, LogState

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchkeeper_operator.collector.audit_judging import Judged

SOURCES = 64  # that are told apart; a source has a certificate or is a file, so there are few
OTHERS = "other"
RECENT_NS = 300 * 10**9
BATCHES = 20_000  # of the last five minutes
LAG_SECONDS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 120)


class AuditMetrics:
    """Of a source's name as its certificate has it, SOURCES at most."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("source",)
        self.events = Counter("watchkeeper_audit_events", "Audit events that were judged.", labels, registry=registry)
        self.truncated = Counter(
            "watchkeeper_audit_truncated", "Audit events that came without their body: what was in it was not seen.", labels, registry=registry
        )
        self.rejected = Counter("watchkeeper_audit_rejected", "Records that were no audit events.", labels, registry=registry)
        self.found = Counter("watchkeeper_audit_found", "Detections and matches in audit events.", labels, registry=registry)
        self.lag = Histogram(
            "watchkeeper_audit_lag_seconds", "From the logging of a batch's oldest event to its judging.", labels, buckets=LAG_SECONDS, registry=registry
        )
        self.newest = Gauge("watchkeeper_audit_last_event_timestamp_seconds", "When the newest event was logged.", labels, registry=registry)


@dataclass(slots=True)
class Seen:
    """Of one source: counts since the start, and what the last five minutes and the latest canaries tell."""

    events: int = 0
    truncated: int = 0
    rejected: int = 0
    newest: int = 0
    recent: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=BATCHES))  # received at, lag of its oldest event, events
    arrivals: deque[Arrival] = field(default_factory=lambda: deque(maxlen=ARRIVALS))

    def recent_at(self, now: int) -> list[tuple[int, int, int]]:
        return [one for one in self.recent if now - one[0] <= RECENT_NS]


class AuditStates:
    """`clock`: nanoseconds since the epoch."""

    def __init__(self, replica: str, registry: CollectorRegistry, clock: Callable[[], int]) -> None:
        self.clock = clock
        self._replica = replica
        self._metrics = AuditMetrics(registry)
        self._started_at = clock()
        self._sources: dict[str, Seen] = {}

    def add(self, source: str, judged: Judged) -> None:
        if source not in self._sources and len(self._sources) >= SOURCES:
            source = OTHERS
        seen = self._sources.setdefault(source, Seen())
        seen.events += judged.events
        seen.truncated += judged.truncated
        seen.rejected += judged.rejected
        seen.arrivals += judged.arrivals
        self._metrics.events.labels(source).inc(judged.events)
        self._metrics.truncated.labels(source).inc(judged.truncated)
        self._metrics.rejected.labels(source).inc(judged.rejected)
        self._metrics.found.labels(source).inc(judged.found)
        if judged.oldest:
            now = self.clock()
            lag = max(0, now - judged.oldest)
            seen.recent.append((now, lag, judged.events))
            seen.newest = max(seen.newest, judged.newest)
            self._metrics.lag.labels(source).observe(lag / 1e9)
            self._metrics.newest.labels(source).set(seen.newest / 1e9)

    def report(self) -> list[LogState]:
        """What there is to say of each source. Only the newest report is ever read, so the latest canaries are in each."""
        return [self._state(source, seen, self.clock()) for source, seen in self._sources.items()]

    def _state(self, source: str, seen: Seen, now: int) -> LogState:
        recent = seen.recent_at(now)
        lags = sorted(lag for _, lag, _ in recent)
        since = min((at for at, _, _ in recent), default=now)
        seconds = max((now - max(self._started_at, since)) / 1e9, 1.0)
        return LogState(
            source=source,
            replica=self._replica,
            started_at=self._started_at,
            reported_at=now,
            events=seen.events,
            per_second=round(sum(events for _, _, events in recent) / seconds, 2),
            lag_median_ms=_milliseconds(lags, 0.5),
            lag_p99_ms=_milliseconds(lags, 0.99),
            last_event_at=seen.newest,
            truncated=seen.truncated,
            rejected=seen.rejected,
            arrivals=tuple(seen.arrivals),
        )


def _milliseconds(lags: list[int], share: float) -> int:
    return lags[min(len(lags) - 1, int(len(lags) * share))] // 1_000_000 if lags else 0
