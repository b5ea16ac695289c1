"""What the collector is told by flags and environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from watchkeeper_operator.bus.taking import Bounds as QueueBounds
from watchkeeper_operator.collector.connections import Bounds as ConnectionBounds
from watchkeeper_operator.policy_quotas import TenantLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """identity  of this replica: the pod's name
    given     folder of the mounted Secret watchkeeper-collector-tls (authority/files.py)
    listen    host and port of the endpoints; `metrics`: of /healthz, /readyz and /metrics
    cluster   name of the cluster, for `node.cluster`; may be empty
    state     folder for notes on how far audit files were read
    """

    identity: str
    given: Path
    store: str = "sqlite:////var/lib/watchkeeper/collector.db"
    kubeconfig: Path | None = None
    listen: tuple[str, int] = ("0.0.0.0", 8443)  # noqa: S104 (a pod's own address; a NetworkPolicy says who reaches it)
    metrics: tuple[str, int] = ("0.0.0.0", 8080)  # noqa: S104 (as above)
    cluster: str = ""
    log_level: str = "info"
    queue: QueueBounds = field(default_factory=QueueBounds)
    connections: ConnectionBounds = field(default_factory=ConnectionBounds)
    limits: TenantLimits = field(default_factory=TenantLimits)
    state: Path = Path("/var/lib/watchkeeper")
