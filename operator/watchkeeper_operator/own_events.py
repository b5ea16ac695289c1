"""Events of ours (events.k8s.io), for who runs `kubectl describe`: few, and never more than the API server should bear."""

from __future__ import annotations

import hashlib
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.redact import redact
from watchkeeper_operator import kinds
from watchkeeper_operator.cluster_errors import ClusterError
from watchkeeper_operator.names import GROUP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from watchkeeper_operator.cluster import Cluster
    from watchkeeper_operator.metrics import Metrics

NOTE_CHARACTERS = 1024  # of the API
AGAIN_SECONDS = 600.0  # before the same thing is said again
AT_ONCE, PER_SECOND = 30.0, 0.5
REMEMBERED = 4096

log = logging.getLogger(__name__)


class OwnEvents:
    """An event that can't be written is counted and logged: it says nothing that a status does not say as well."""

    def __init__(self, cluster: Cluster, instance: str, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._instance = instance[:128]
        self._metrics = metrics
        self._clock = clock
        self._said: dict[str, float] = {}
        self._tokens, self._filled_at = AT_ONCE, clock()

    async def tell(self, regarding: Mapping[str, Any], severity: str, reason: str, note: str) -> None:
        """`regarding`: apiVersion, kind, name, uid and, where it lies in one, namespace. `severity`: Normal or Warning."""
        told = hashlib.blake2b(repr((regarding.get("uid"), reason, note)).encode(), digest_size=8).hexdigest()
        now = self._clock()
        if now - self._said.get(told, float("-inf")) < AGAIN_SECONDS:
            return
        if not self._take(now):
            self._metrics.events_dropped.inc()
            return
        self._said.pop(told, None)
        self._said[told] = now
        while len(self._said) > REMEMBERED:
            del self._said[next(iter(self._said))]
        try:
            await self._cluster.create(kinds.EVENTS, self._event(regarding, severity, reason, note, f"{told}{int(now):x}"))
        except ClusterError as trouble:
            self._metrics.events_dropped.inc()
            log.warning("an event was not written: %s", trouble)

    def _take(self, now: float) -> bool:
        self._tokens = min(AT_ONCE, self._tokens + (now - self._filled_at) * PER_SECOND)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _event(self, regarding: Mapping[str, Any], severity: str, reason: str, note: str, suffix: str) -> dict[str, Any]:
        return {
            "metadata": {"name": f"{regarding['name'][:200]}.{suffix}", "namespace": regarding.get("namespace") or "default"},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": f"{GROUP}/operator",
            "reportingInstance": self._instance,
            "action": "Judge",
            "type": severity,
            "reason": reason,
            "note": redact(note)[:NOTE_CHARACTERS],
            "regarding": dict(regarding),
        }
