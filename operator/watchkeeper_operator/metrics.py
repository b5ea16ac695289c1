"""Metrics of the operator. Labels are of fixed sets: kinds, loops and reasons of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchkeeper_operator.health import Health

Values = dict[str, float]


class Metrics:
    """Others add collectors of their own to `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.reconciled = Counter(
            "watchkeeper_operator_reconciled", "Objects that were looked at, by loop and outcome.", ("loop", "outcome"), registry=self.registry
        )
        self.writes = Counter("watchkeeper_operator_writes", "Writes to the API server, by kind and outcome.", ("kind", "outcome"), registry=self.registry)
        self.judging = Histogram(
            "watchkeeper_operator_policies_judging_seconds",
            "How long it took to judge the policies.",
            buckets=(0.05, 0.2, 0.5, 1, 2, 5, 10),
            registry=self.registry,
        )
        self.leading = Gauge("watchkeeper_operator_leading", "Whether this process leads.", registry=self.registry)
        self.epoch = Gauge("watchkeeper_operator_epoch", "Epoch of the leader, where this process is it.", registry=self.registry)
        self.events_dropped = Counter("watchkeeper_operator_events_dropped", "Events that were not written, as there were too many.", registry=self.registry)

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
