"""What is read of a cluster to say how Watchkeeper does there: all at once, each part or why it could not be read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchkeeper_cli.clustering.processes import ConfigMap, Deployment, Lease
from watchkeeper_cli.clustering.shapes import Incident, LogSource, NodeSensor, Policy, Sensor
from watchkeeper_operator import kinds
from watchkeeper_operator.names import OPERATOR_LEASE, PAUSE, SYSTEM_NAMESPACE
from watchkeeper_operator.shapes import Named

if TYPE_CHECKING:
    from watchkeeper_cli.clustering.door import Door, Unread

OPERATOR, COLLECTOR = "watchkeeper-operator", "watchkeeper-collector"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """`deployments`, `lease`, `paused`: None where there is none. `notes`: what was narrowed down, in words."""

    sensors: list[Sensor] | Unread
    node_sensors: list[NodeSensor] | Unread
    nodes: list[Named] | Unread
    log_sources: list[LogSource] | Unread
    policies: list[Policy] | Unread
    incidents: list[Incident] | Unread
    deployments: dict[str, Deployment | Unread | None]
    lease: Lease | Unread | None
    paused: ConfigMap | Unread | None
    notes: tuple[str, ...] = ()


async def gather(door: Door) -> Facts:
    """Ends the command where nothing of ours may be read, or our kinds are not there."""
    watched = asyncio.gather(
        door.all_of(kinds.SENSORS, Sensor),
        door.all_of(kinds.NODE_SENSORS, NodeSensor),
        door.all_of(kinds.NODES, Named),
        door.all_of(kinds.LOG_SOURCES, LogSource),
    )
    said = asyncio.gather(door.allowed_of(kinds.RUNTIME_POLICIES, Policy), door.allowed_of(kinds.INCIDENTS, Incident))
    running = asyncio.gather(
        door.one(kinds.DEPLOYMENTS, Deployment, OPERATOR, namespace=SYSTEM_NAMESPACE),
        door.one(kinds.DEPLOYMENTS, Deployment, COLLECTOR, namespace=SYSTEM_NAMESPACE),
        door.one(kinds.LEASES, Lease, OPERATOR_LEASE, namespace=SYSTEM_NAMESPACE),
        door.one(kinds.CONFIG_MAPS, ConfigMap, PAUSE, namespace=SYSTEM_NAMESPACE),
    )
    (sensors, node_sensors, nodes, log_sources), ((policies, narrowed), (incidents, also)), running_now = await asyncio.gather(watched, said, running)
    operator, collector, lease, paused = running_now
    return Facts(
        sensors=sensors,
        node_sensors=node_sensors,
        nodes=nodes,
        log_sources=log_sources,
        policies=policies,
        incidents=incidents,
        deployments={OPERATOR: operator, COLLECTOR: collector},
        lease=lease,
        paused=paused,
        notes=tuple(dict.fromkeys(note for note in (narrowed, also) if note)),
    )
