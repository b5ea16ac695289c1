"""LogSources of type AuditFile: their files are followed as long as the object says so."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from watchkeeper_operator.cluster_errors import ClusterError
from watchkeeper_operator.collector.audit_files import follow
from watchkeeper_operator.kinds import LOG_SOURCES
from watchkeeper_operator.shapes import Object

if TYPE_CHECKING:
    from pathlib import Path

    from watchkeeper_operator.cluster import Cluster
    from watchkeeper_operator.collector.audit_receiving import AuditReceiver

LOOK_SECONDS = 10.0

log = logging.getLogger(__name__)

Paths = tuple[str, ...]


async def follow_sources(receiver: AuditReceiver, cluster: Cluster, folder: Path) -> None:
    """Until cancelled. `folder`: for the notes on how far each source's files were read."""
    running: dict[str, tuple[Paths, asyncio.Task[None]]] = {}
    async with asyncio.TaskGroup() as group:
        while True:
            try:
                wanted = {one.metadata.name: paths for one in (await cluster.list(LOG_SOURCES, Object))[0] if (paths := paths_of(one))}
            except ClusterError as fault:
                log.warning("log sources: %s", fault)
                wanted = {name: paths for name, (paths, _) in running.items()}
            for name in [name for name, (paths, _) in running.items() if wanted.get(name) != paths]:
                running.pop(name)[1].cancel()
            for name, paths in wanted.items():
                if name not in running:
                    running[name] = (paths, group.create_task(follow(receiver, name, paths, folder / f"audit-{name}.json")))
            await asyncio.sleep(LOOK_SECONDS)


def paths_of(one: Object) -> Paths:
    """Files that a LogSource names; none for one of another type."""
    written = one.spec.get("auditFile") if one.spec.get("type") == "AuditFile" else None
    paths = written.get("paths") if isinstance(written, dict) else None
    return tuple(map(str, paths)) if isinstance(paths, list) else ()
