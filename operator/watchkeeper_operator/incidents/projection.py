"""Incidents of the store as objects of the cluster, and what people write into these back into the store.

The store is the truth. Objects are written by server-side apply, each once in ten seconds and five a second in all; there are at most a thousand
open ones and five hundred closed ones, the others are in the archive.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.detection import Detection
from watchkeeper_operator import kinds
from watchkeeper_operator.cluster_errors import ClusterError, Conflict, NotFound, Unavailable
from watchkeeper_operator.incidents.joining import WINDOW_NS
from watchkeeper_operator.incidents.notices import rows_of
from watchkeeper_operator.incidents.objects import RELATED, Known, status_of
from watchkeeper_operator.incidents.shares import Share
from watchkeeper_operator.incidents.summary import decode
from watchkeeper_operator.names import ROOT_NAMESPACE
from watchkeeper_operator.shapes import Object
from watchkeeper_operator.store.documents import claim
from watchkeeper_operator.store.engine import reading, writing
from watchkeeper_operator.store.incident_objects import (
    MARGIN_NS,
    Due,
    Saying,
    archive,
    beyond,
    due_objects,
    incident,
    is_news,
    keys_of,
    mark_gone,
    mark_missing,
    mark_written,
    related_to,
    say,
    sayings_of,
    scopes,
)
from watchkeeper_operator.store.incidents import context_of, moments_of
from watchkeeper_operator.store.notices import add_notices
from watchkeeper_operator.store.progress import blind_between
from watchkeeper_operator.watches import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine

    from watchkeeper_operator.cluster import Cluster

SECOND_NS = 1_000_000_000
WRITES_PER_SECOND = 5.0
BURST = 10.0
BETWEEN_NS = 10 * SECOND_NS  # two writes of one object
REFUSED_NS = 60 * SECOND_NS  # after which one that the API server refused is tried again
OPEN_KEPT, CLOSED_KEPT = 1000, 500
OPEN_OF_TENANT, CLOSED_OF_TENANT = 100, 50  # of one namespace
AT_ONCE = 50
CONTEXT_SHOWN = 10
LOOK_SECONDS = 1.0
RELATED_SINCE_NS = 7 * 24 * 3600 * SECOND_NS
CLOSING = ("FalsePositive", "Benign")

log = logging.getLogger(__name__)
_detection = msgspec.msgpack.Decoder(Detection)


@dataclass(slots=True)
class Tokens:
    """So many writes a second, and some more after a rest. `now`: ns."""

    per_second: float = WRITES_PER_SECOND
    burst: float = BURST
    _left: float = BURST
    _at: int = 0

    def take(self, count: int, now: int) -> bool:
        self._left = min(self.burst, self._left + max(0, now - self._at) / SECOND_NS * self.per_second) if self._at else self.burst
        self._at = now
        if self._left < count:
            return False
        self._left -= count
        return True


class Projection:
    """Of one leader; `cluster` carries its epoch. `clock`: ns since the epoch."""

    def __init__(self, cluster: Cluster, store: Engine, changed: asyncio.Event, *, epoch: int, clock: Callable[[], int], receivers: Sequence[str] = ()) -> None:
        self.watch = Watch(cluster, kinds.INCIDENTS, Object)
        self.written = 0
        self.refused = 0
        self._cluster, self._store, self._changed, self._epoch, self._clock = cluster, store, changed, epoch, clock
        self._receivers = tuple(receivers)
        self._tokens = Tokens()
        self._not_before: dict[str, int] = {}  # incident → when its object may be written again

    async def run(self) -> None:
        """Until cancelled. Raises StoreError."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_back())
            tasks.create_task(self._write_all())

    async def _read_back(self) -> None:
        """What people say; and objects that somebody deleted, or that nobody knows, put right."""
        async for change in self.watch:
            if change.kind == "listed":
                there = {(one.metadata.namespace, one.metadata.name) for one in self.watch.objects}
                await self._stored(partial(mark_missing, there=there))
            elif change.object is None:
                continue
            elif change.kind == "deleted":
                await self._stored(partial(mark_gone, name=change.object.metadata.name))
            else:
                await self._hear(change.object)
            self._changed.set()

    async def _hear(self, written: Object) -> None:
        saying, name = saying_of(written.spec), written.metadata.name

        def compare() -> bool:
            with reading(self._store) as connection:
                return is_news(connection, written.metadata.namespace, name, saying)

        if await asyncio.to_thread(compare):
            await self._stored(partial(_keep_said, name=name, saying=saying, receivers=self._receivers, now=self._clock()))

    async def _write_all(self) -> None:
        await self.watch.listed.wait()
        while True:
            self._changed.clear()
            await self._archive_some()
            for due in await self._due():
                await self._write(due)
            await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            return
        await asyncio.sleep(0.2)  # for what comes together

    async def _due(self) -> list[Due]:
        now = self._clock()
        self._not_before = {name: at for name, at in self._not_before.items() if at > now}
        with_held = dict(self._not_before)

        def read() -> list[Due]:
            with reading(self._store) as connection:
                return due_objects(connection, most=AT_ONCE, but=with_held)

        return await asyncio.to_thread(read)

    async def _write(self, due: Due) -> None:
        """Gather, decide, apply."""
        current = next((one for one in self.watch.objects if one.metadata.name == due.id and one.metadata.namespace == due.scope), None)
        if not self._tokens.take(1 if current else 2, self._clock()):
            return
        metadata = {"name": due.id, "namespace": due.scope}
        known = await asyncio.to_thread(self._known, due.id)
        if known is None:
            return
        try:
            if current is None:
                current = msgspec.convert(await self._cluster.apply(kinds.INCIDENTS, {"metadata": metadata, "spec": spec_of(known)}), Object)
            before = current.status.get("conditions", ())
            status = status_of(known, before=before, generation=current.metadata.generation, now=self._clock())
            await self._cluster.apply(kinds.INCIDENTS, {"metadata": metadata, "status": status}, subresource="status")
        except ClusterError as trouble:
            await self._wait_out(due, trouble)
            return
        self.written += 1
        self._not_before[due.id] = self._clock() + BETWEEN_NS
        await self._stored(partial(mark_written, due=due, now=self._clock()))

    async def _wait_out(self, due: Due, trouble: ClusterError) -> None:
        """Where its namespace is gone there is nobody to show it to; whatever else was refused is tried later."""
        if isinstance(trouble, NotFound) and due.scope != ROOT_NAMESPACE:
            await self._stored(partial(archive, names=[due.id], now=self._clock()))
            return
        log.warning("incident %s/%s: %s", due.scope, due.id, trouble)
        if isinstance(trouble, Unavailable):
            await asyncio.sleep(trouble.delay)
        elif not isinstance(trouble, Conflict):
            self.refused += 1
            self._not_before[due.id] = self._clock() + REFUSED_NS

    def _known(self, name: str) -> Known | None:
        with reading(self._store) as connection:
            row = incident(connection, name)
            return None if row is None else known_of(connection, row)

    async def _archive_some(self) -> None:
        """Objects beyond the bounds; those that were never written need no write."""

        def find() -> list[Any]:
            with reading(self._store) as connection:
                return _beyond_bounds(connection)

        for row in await asyncio.to_thread(find):
            if row.written_at:
                if not self._tokens.take(2, self._clock()):
                    return
                try:
                    await self._cluster.remove(kinds.INCIDENTS, row.id, namespace=row.scope)
                except NotFound:
                    pass
                except ClusterError as trouble:
                    log.warning("incident %s/%s can't go to the archive now: %s", row.scope, row.id, trouble)
                    return
            await self._stored(partial(archive, names=[row.id], now=self._clock()))

    async def _stored(self, write: Callable[[Connection], object]) -> None:
        def run() -> None:
            with writing(self._store) as connection:
                claim(connection, self._epoch)
                write(connection)

        await asyncio.to_thread(run)


def _keep_said(connection: Connection, *, name: str, saying: Saying, receivers: Sequence[str], now: int) -> None:
    """What people say; who was told that the incident is there is told that it is closed."""
    before = incident(connection, name)
    say(connection, name, saying, now=now)
    if before is not None and not before.closed_at and saying.is_closed:
        add_notices(connection, rows_of(name, before.scope, decode(before.content), "closed", receivers=receivers, now=now))


def _beyond_bounds(connection: Connection) -> list[Any]:
    found = [row for is_closed, kept in ((False, OPEN_KEPT), (True, CLOSED_KEPT)) for row in beyond(connection, scope=None, is_closed=is_closed, kept=kept)]
    for scope in scopes(connection):
        if scope != ROOT_NAMESPACE:
            found += beyond(connection, scope=scope, is_closed=False, kept=OPEN_OF_TENANT)
            found += beyond(connection, scope=scope, is_closed=True, kept=CLOSED_OF_TENANT)
    return list({row.id: row for row in found}.values())


def saying_of(spec: dict[str, Any]) -> Saying:
    """What people say. The API server has checked it; what is of another type is taken for unsaid."""
    disposition, owner = (value if isinstance(value := spec.get(name), str) else "" for name in ("disposition", "owner"))
    return Saying(disposition, owner, spec.get("closed") is True or disposition in CLOSING)


def spec_of(known: Known) -> dict[str, Any]:
    """Of an object that is made: empty for people to write, or what they have written in an earlier one."""
    is_closed = bool(known.closed_at) and not known.merged_into and known.disposition not in CLOSING
    said = {"disposition": known.disposition, "owner": known.owner, "closed": is_closed}
    return {name: value for name, value in said.items() if value}


def known_of(connection: Connection, row: Any) -> Known:
    """All that an incident's object shows."""
    summary, keys = decode(row.content), keys_of(connection, row.id)
    context = context_of(connection, keys, WINDOW_NS, most=CONTEXT_SHOWN) if keys else []
    related = [f"{row.scope}/{row.merged_into}"] if row.merged_into else []
    others = {*keys, *(key for share in summary.shares for key in _keys_of_tenants(share, row.scope))}
    related += related_to(connection, row.id, sorted(others), since=summary.first - RELATED_SINCE_NS, most=RELATED) if others else []
    return Known(
        id=row.id,
        scope=row.scope,
        summary=summary,
        moments=moments_of(connection, [row.id]).get(row.id, {}),
        disposition=row.disposition,
        owner=row.owner,
        closed_at=row.closed_at,
        merged_into=row.merged_into,
        said=[(at, _said(disposition, owner)) for at, disposition, owner in sayings_of(connection, row.id)],
        blind=blind_between(connection, summary.first - MARGIN_NS, summary.last + MARGIN_NS),
        context=[_detection.decode(content) for content in context],
        related=related[:RELATED],
    )


def _keys_of_tenants(share: str, scope: str) -> list[str]:
    """Key that the same thing has where its own namespace's policies see it: for root's incidents alone, never the reverse."""
    kind, _, name = share.partition(" ")
    if scope != ROOT_NAMESPACE or kind not in ("workload", "identity"):
        return []
    parts = name.split("/") if kind == "workload" else name.removeprefix("system:serviceaccount:").split(":")
    return [Share(kind, name).key(parts[0])] if len(parts) == 2 else []


def _said(disposition: str, owner: str) -> str:
    """Owner's name is user data: it is in the spec already."""
    return f"disposition {disposition or 'not yet'}, {'has an owner' if owner else 'no owner'}"
