"""The runs of `kubectl watchkeeper pause` and `resume`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from watchkeeper_cli.clustering.door import Unread, during
from watchkeeper_cli.clustering.overview import paused_by
from watchkeeper_cli.clustering.processes import ConfigMap
from watchkeeper_cli.ending import UNREADABLE, CommandError
from watchkeeper_cli.output.text import shown
from watchkeeper_operator import kinds
from watchkeeper_operator.cluster_errors import Conflict, NotFound
from watchkeeper_operator.names import PAUSE, SYSTEM_NAMESPACE

if TYPE_CHECKING:
    from pathlib import Path

    from watchkeeper_cli.clustering.door import Door


def pause_responses(kubeconfig: Path | None, context: str | None, reason: str) -> None:
    async def act(door: Door) -> str:
        by, at = await door.whoami(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = {"name": PAUSE, "namespace": SYSTEM_NAMESPACE, "labels": {"app.kubernetes.io/part-of": "watchkeeper"}}
        try:
            await door.cluster.by("kubectl-watchkeeper").create(kinds.CONFIG_MAPS, {"metadata": metadata, "data": {"by": by, "at": at, "reason": reason}})
        except NotFound:
            raise CommandError(f"there is no namespace {SYSTEM_NAMESPACE} (context {door.place.name}): Watchkeeper is not installed here", UNREADABLE) from None
        except Conflict:
            return f"responses were paused before: {await _words(door)}"
        return f"responses are paused: nothing is changed in the cluster until `kubectl watchkeeper resume` (context {door.place.name})"

    print(shown(during(kubeconfig, context, None, act)))


async def _words(door: Door) -> str:
    found = await door.one(kinds.CONFIG_MAPS, ConfigMap, PAUSE, namespace=SYSTEM_NAMESPACE)
    known = paused_by(found)
    return "by somebody" if known is None else f"by {known.by} at {known.at}{f', {known.reason}' if known.reason else ''}"


def resume_responses(kubeconfig: Path | None, context: str | None) -> None:
    async def act(door: Door) -> str:
        found = await door.one(kinds.CONFIG_MAPS, ConfigMap, PAUSE, namespace=SYSTEM_NAMESPACE)
        if found is None:
            return f"responses were not paused (context {door.place.name})"
        if isinstance(found, Unread):
            raise CommandError(f"{found.why}, so that it is not known whether responses are paused (context {door.place.name})", UNREADABLE)
        words = await _words(door)
        await door.cluster.delete(kinds.CONFIG_MAPS, PAUSE, namespace=SYSTEM_NAMESPACE, uid=found.metadata.uid)
        return f"responses go on; they were paused {words} (context {door.place.name})"

    print(shown(during(kubeconfig, context, None, act)))
