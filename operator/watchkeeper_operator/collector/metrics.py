"""Metrics of the collector, for Prometheus. Labels are of fixed sets: paths, roles and reasons of our own, never a caller's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from watchkeeper_operator.authority.certificates import read_certificates
from watchkeeper_operator.bus.messages import Topic
from watchkeeper_operator.collector.vetting import Reason
from watchkeeper_operator.metrics import Asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.metrics_core import Metric

    from watchkeeper_operator.authority.files import Given
    from watchkeeper_operator.bus.queue import Queue
    from watchkeeper_operator.collector.connections import Server
    from watchkeeper_operator.collector.listener import Listener
    from watchkeeper_operator.health import Health


class Metrics:
    """What routes count. Others add collectors of their own to `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.answered = Counter("watchkeeper_collector_requests", "Requests that were answered.", ("path",), registry=self.registry)
        self.refused = Counter("watchkeeper_collector_requests_refused", "Requests that were refused, by reason.", ("path", "reason"), registry=self.registry)
        self.discarded = Counter(
            "watchkeeper_collector_discarded", "Entries of nodes that were about what the node may not speak of.", ("reason",), registry=self.registry
        )
        for reason in get_args(Reason):
            self.discarded.labels(reason=reason)

    def measure_health(self, health: Health) -> None:
        about = "Silence of watches and loops that have been silent for too long."
        self.registry.register(Asked("watchkeeper_collector_silent_seconds", about, "part", health.silent))

    def measure_queue(self, queue: Queue) -> None:
        self.registry.register(_QueueCollector(queue))

    def measure_connections(self, server: Server, listener: Listener) -> None:
        self.registry.register(_ConnectionCollector(server, listener))

    def measure_certificates(self, given: Callable[[], Given]) -> None:
        def ends() -> dict[str, float]:
            now = given()
            server, sensors = read_certificates(now.server.chain)[0], now.sensors.certificate
            roots = read_certificates(now.trusted)
            return {
                "server": server.not_valid_after_utc.timestamp(),
                "sensors": sensors.not_valid_after_utc.timestamp(),
                "root": max(one.not_valid_after_utc for one in roots).timestamp(),
            }

        self.registry.register(Asked("watchkeeper_collector_certificate_end_timestamp_seconds", "When certificates in use end.", "certificate", ends))


class _QueueCollector(Collector):
    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("watchkeeper_queue_messages", "Messages that wait for the leader.", value=self._queue.depth.entries)
        yield GaugeMetricFamily("watchkeeper_queue_bytes", "Their bytes.", value=self._queue.depth.bytes)
        yield GaugeMetricFamily("watchkeeper_queue_limit_bytes", "How many bytes may wait.", value=self._queue.bounds.bytes)
        refused = CounterMetricFamily("watchkeeper_queue_refused", "Messages that found no room.", labels=["topic"])
        for topic in get_args(Topic):  # from nothing on: a counter that appears with its first rise has none to be seen
            refused.add_metric([topic], self._queue.refused[topic])
        yield refused


class _ConnectionCollector(Collector):
    def __init__(self, server: Server, listener: Listener) -> None:
        self._server = server
        self._listener = listener

    def collect(self) -> Iterable[Metric]:
        open_now = GaugeMetricFamily("watchkeeper_collector_connections", "Open connections, by the role of their certificate.", labels=["role"])
        for role, count in self._server.count().items():
            open_now.add_metric([role.value if role else "none"], count)
        yield open_now
        refused = CounterMetricFamily("watchkeeper_collector_connections_refused", "Connections that were ended, by reason.", labels=["reason"])
        for reason, count in [*dict(self._server.refused).items(), *((f"accept_{name}", count) for name, count in dict(self._listener.refused).items())]:
            refused.add_metric([reason], count)
        yield refused
