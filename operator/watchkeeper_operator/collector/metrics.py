"""Metrics of the collector, for Prometheus. Labels are of fixed sets: paths and reasons of our own, never a caller's words."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class Metrics:
    """What routes count. Others add collectors of their own to `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answered = Counter("watchkeeper_collector_requests", "Requests that were answered.", ("path",), registry=self.registry)
        self.refused = Counter("watchkeeper_collector_requests_refused", "Requests that were refused, by reason.", ("path", "reason"), registry=self.registry)
        self.discarded = Counter(
            "watchkeeper_collector_discarded", "Entries of nodes that were about what the node may not speak of.", ("reason",), registry=self.registry
        )
