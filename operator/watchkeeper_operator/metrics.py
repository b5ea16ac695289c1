"""Metrics of the operator. Labels are of fixed sets: kinds, loops and reasons of our own."""

from __future__ import annotations

from collections import Counter as Counting
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from watchkeeper_operator.resources.conditions import TYPES, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from watchkeeper_operator.health import Health

Values = dict[str, float]
REASONS = frozenset(map(str, Reason))
STATUSES = ("True", "False", "Unknown")


class Metrics:
    """Others add collectors of their own to `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.reconciled = Counter(
            "watchkeeper_operator_reconciled", "Objects that were looked at, by loop and outcome.", ("loop", "outcome"), registry=self.registry
        )
        self.judging = Histogram(
            "watchkeeper_operator_policies_judging_seconds",
            "How long it took to judge the policies.",
            buckets=(0.05, 0.2, 0.5, 1, 2, 5, 10),
            registry=self.registry,
        )
        self.leading = Gauge("watchkeeper_operator_leading", "Whether this process leads.", registry=self.registry)
        self.epoch = Gauge("watchkeeper_operator_epoch", "Epoch of the leader, where this process is it.", registry=self.registry)
        self.events_dropped = Counter("watchkeeper_operator_events_dropped", "Events that were not written, as there were too many.", registry=self.registry)
        self.statuses = Statuses()
        self.registry.register(self.statuses)

    def measure(self, name: str, help_text: str, label: str, values: Callable[[], Values]) -> None:
        """A gauge that is asked for when somebody looks; the keys of `values` are of a fixed set."""
        self.registry.register(Asked(name, help_text, label, values))

    def measure_health(self, health: Health) -> None:
        self.measure("watchkeeper_operator_silent_seconds", "Silence of watches and loops that have been silent for too long.", "part", health.silent)


class Asked(Collector):
    def __init__(self, name: str, help_text: str, label: str, values: Callable[[], Values]) -> None:
        self._about = name, help_text, label
        self._values = values

    def collect(self) -> Iterable[GaugeMetricFamily]:
        name, help_text, label = self._about
        family = GaugeMetricFamily(name, help_text, labels=(label,))
        for key, value in self._values().items():
            family.add_metric((key,), value)
        yield family


class Statuses(Collector):
    """What objects' statuses say, counted: told by the leader's parts, gone with them. Labels are words of resources/conditions.py alone."""

    def __init__(self) -> None:
        self._statuses: dict[str, Callable[[], Iterable[Mapping[str, Any]]]] = {}

    def of(self, kind: str, statuses: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
        """`statuses`: of all objects of a kind, as they are when somebody looks."""
        self._statuses[kind] = statuses

    def clear(self) -> None:
        """Where this process leads no longer: another one knows."""
        self._statuses.clear()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        conditions = GaugeMetricFamily("watchkeeper_conditions", "Objects by what their conditions say.", labels=("kind", "type", "status", "reason"))
        for kind, statuses in self._statuses.items():
            said = (one for status in statuses() for one in status.get("conditions") or ())
            for (type_, status, reason), count in Counting(_words(one) for one in said).items():
                if type_ in TYPES[kind] and status in STATUSES:
                    conditions.add_metric((kind, type_, status, reason), count)
        yield conditions
        blind = GaugeMetricFamily("watchkeeper_audit_blind_rules", "Rules on audit logs that can't fire under the API server's audit policy.")
        logs = self._statuses.get("LogSource", tuple)()
        if tested := [status["coverage"]["blind"] for status in logs if "coverage" in status]:
            blind.add_metric((), max(tested))
        yield blind


def _words(condition: Mapping[str, Any]) -> tuple[str, str, str]:
    reason = str(condition.get("reason"))
    return str(condition.get("type")), str(condition.get("status")), reason if reason in REASONS else "Other"
