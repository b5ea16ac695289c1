"""Metrics and health of the agent, for Prometheus: on a unix socket, or on TCP when asked.

Names follow Prometheus: a prefix, base units, `_total` for counters. Labels are bounded: kinds of events, causes of loss, severities.
"""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from watchkeeper_sensor.agent import Agent
    from watchkeeper_sensor.spool.delivery import Delivery

STALE_SECONDS = 30.0  # without a round of the agent: it hangs
UNIX = "unix:"
TIMEOUT_SECONDS = 5


class AgentCollector(Collector):
    """Reads the agent's counts when it is asked; the agent goes on meanwhile."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def collect(self) -> Iterator[Metric]:
        agent, health = self._agent, self._agent.health
        yield CounterMetricFamily("watchkeeper_sensor_events", "Events that the kernel told.", value=health.events)
        detections = CounterMetricFamily("watchkeeper_sensor_detections", "Detections, by severity.", labels=["severity"])
        for severity, count in dict(health.detections).items():
            detections.add_metric([severity], count)
        yield detections
        lost = CounterMetricFamily("watchkeeper_sensor_records_lost", "Records that were not told: the sensor was blind to them.", labels=["kind"])
        for kind, count in dict(health.lost).items():
            lost.add_metric([kind], count)
        yield lost
        told = CounterMetricFamily("watchkeeper_sensor_records_told", "Records that the kernel told, by kind.", labels=["kind"])
        for kind, count in agent.kernel.sent().items():
            told.add_metric([kind], count)
        yield told
        repeated = CounterMetricFamily("watchkeeper_sensor_acts_repeated", "Acts that were counted as repeats of one that was told.", labels=["kind"])
        for kind, count in agent.kernel.repeated().items():
            repeated.add_metric([kind], count)
        yield repeated
        yield GaugeMetricFamily("watchkeeper_sensor_blind_spots", "Programs that this kernel refuses.", value=len(health.blind_spots))
        yield GaugeMetricFamily("watchkeeper_sensor_processes", "Processes in the tree.", value=len(agent.stream.tree))
        yield CounterMetricFamily("watchkeeper_sensor_processes_evicted", "Processes that gave way to others in the tree.", value=agent.stream.tree.evicted)
        yield CounterMetricFamily("watchkeeper_sensor_records_unreadable", "Records that the agent could not read.", value=agent.stream.unreadable)
        yield CounterMetricFamily(
            "watchkeeper_sensor_cgroups_unknown", "Questions for a cgroup that was not found.", value=agent.around.containers.unknown_keys
        )
        yield GaugeMetricFamily("watchkeeper_sensor_resident_bytes", "Memory in use.", value=health.resident_bytes)
        yield GaugeMetricFamily("watchkeeper_sensor_start_time_seconds", "When the agent started, seconds since the epoch.", value=health.started_at)
        yield GaugeMetricFamily("watchkeeper_sensor_late_waiting", "Rules that wait for late fields of an event.", value=len(agent.late))
        late = CounterMetricFamily("watchkeeper_sensor_late_judged", "Rules that waited for late fields, by how that ended.", labels=["how"])
        for how, count in dict(agent.late.judged).items():
            late.add_metric([how], count)
        yield late
        yield GaugeMetricFamily("watchkeeper_sensor_rules", "Rules in force.", value=len(agent.program.rules))


class DeliveryCollector(Collector):
    """What waits for each receiver, and what became of the rest."""

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self._deliveries = deliveries

    def collect(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("watchkeeper_delivery_waiting", "Entries that the receiver does not have yet.", labels=["receiver"])
        delivered = CounterMetricFamily("watchkeeper_delivery_delivered", "Entries that the receiver took.", labels=["receiver"])
        refused = CounterMetricFamily("watchkeeper_delivery_refused", "Entries that the receiver refused for good.", labels=["receiver"])
        unkept = CounterMetricFamily("watchkeeper_delivery_unkept", "Entries that went by memory because the disk did not take them.", labels=["receiver"])
        lost = CounterMetricFamily("watchkeeper_delivery_lost", "Entries that were lost before the receiver had them.", labels=["receiver", "cause", "kind"])
        for one in self._deliveries:
            name = one.receiver.name
            waiting.add_metric([name], one.waiting)
            delivered.add_metric([name], one.delivered)
            refused.add_metric([name], one.refused)
            unkept.add_metric([name], one.unkept)
            for (cause, kind), count in one.losses.items():
                lost.add_metric([name, cause, kind], count)
        yield from (waiting, delivered, refused, unkept, lost)


class _UnixServer(HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        path = Path(str(self.server_address))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        self.socket.bind(str(path))
        path.chmod(0o600)
        self.server_name, self.server_port = "localhost", 0


class MetricsServer:
    """Serves `/metrics` and `/healthz` from a thread of its own, from `start` until it is closed."""

    def __init__(self, agent: Agent, deliveries: Sequence[Delivery], address: str) -> None:
        """`address`: `unix:PATH` or `HOST:PORT`. Raises OSError where it can't listen, ValueError for what is no address."""
        registry = CollectorRegistry()
        registry.register(AgentCollector(agent))
        registry.register(DeliveryCollector(deliveries))
        self._agent, self._deliveries = agent, deliveries
        self.round_at = time.monotonic()
        self._path = address.removeprefix(UNIX) if address.startswith(UNIX) else None
        handler = type("Handler", (_Handler,), {"registry": registry, "metrics": self})
        self._server: HTTPServer = _UnixServer(self._path, handler) if self._path else HTTPServer(_host_and_port(address), handler)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin to answer; a thread has the privileges of the one that starts it."""
        self._thread.start()

    def troubles(self) -> list[str]:
        """What is wrong, though the agent watches."""
        found = [text for one in self._deliveries for text in one.troubles()]
        return [self._agent.keeping_failed, *found] if self._agent.keeping_failed else found

    @property
    def is_healthy(self) -> bool:
        return time.monotonic() - self.round_at < STALE_SECONDS

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        if self._path:
            Path(self._path).unlink(missing_ok=True)


class _Handler(BaseHTTPRequestHandler):
    registry: CollectorRegistry
    metrics: MetricsServer
    timeout = TIMEOUT_SECONDS

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, generate_latest(self.registry))
        elif self.path == "/healthz":
            healthy = self.metrics.is_healthy
            self._answer(200 if healthy else 503, "text/plain", self._health().encode(errors="backslashreplace"))
        else:
            self._answer(404, "text/plain", b"/metrics or /healthz\n")

    def _health(self) -> str:
        """`ok`, with a line for each trouble: a full disk is no reason to restart an agent that watches."""
        if not self.metrics.is_healthy:
            return "the agent does not go round\n"
        return "".join(f"{line}\n" for line in ("ok", *self.metrics.troubles()))

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: a scrape is no news."""

    def address_string(self) -> str:
        return "client"


def _host_and_port(address: str) -> tuple[str, int]:
    host, found, port = address.rpartition(":")
    if not found or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is no address: unix:PATH or HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)
