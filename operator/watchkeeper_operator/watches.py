"""List, watch, resume, list anew: one stream of changes of a kind that never ends, and what is there now."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from watchkeeper_operator.cluster import Change, Cluster, Tag
from watchkeeper_operator.cluster_errors import ClusterError, Forbidden, Gone, Malformed, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from watchkeeper_operator.kinds import Resource

FIRST_DELAY_SECONDS = 0.25  # doubled at each failure in a row
LONGEST_DELAY_SECONDS = 10.0
T = TypeVar("T")


class Watch(Generic[T]):
    """Changes of one kind, level-based: whoever follows them from the start knows what is there, also over gaps and restarts of the API server.

    After each list comes a change `listed`. What vanished during a gap is told as deleted, what did not change is not told again.
    Failures are waited out and never raised: `failure` says the latest, `heard_at` when the API server was last heard (also refusing).
    """

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        shape: type[T],
        *,
        namespace: str | None = None,
        labels: str | None = None,
        fields: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self.resource = resource
        self.heard_at = clock()
        self.failure: ClusterError | None = None
        self.listed = asyncio.Event()
        self._cluster = cluster
        self._shape = shape
        self._where = {"namespace": namespace, "labels": labels, "fields": fields}
        self._clock = clock
        self._spread = spread
        self._failures = 0
        self._known: dict[str, tuple[str, T]] = {}  # by uid: resourceVersion and object

    @property
    def objects(self) -> Iterable[T]:
        """What is there, as far as was heard."""
        return [one for _, one in self._known.values()]

    def __len__(self) -> int:
        return len(self._known)

    async def __aiter__(self) -> AsyncIterator[Change[T]]:
        since = ""
        while True:
            try:
                if not since:
                    found, since = await self._cluster.list_tagged(self.resource, self._shape, **self._where)
                    for change in self._relisted(found):
                        yield change
                    self._hear()
                    self.listed.set()
                    yield Change("listed", None, since)
                async for change in self._cluster.watch(self.resource, self._shape, since=since, **self._where):
                    self._hear()
                    since = change.resource_version or since
                    self._remember(change)
                    yield change
                self._hear()
            except Gone as gone:
                since = ""
                await self._wait_out(gone)
            except (Forbidden, NotFound, Malformed) as refused:
                since = ""  # what was refused may be served later, and much may have happened by then
                await self._wait_out(refused)
            except ClusterError as trouble:
                await self._wait_out(trouble)

    def _relisted(self, found: list[tuple[Tag, T]]) -> list[Change[T]]:
        before, self._known = self._known, {tag.uid: (tag.resource_version, one) for tag, one in found}
        gone = [Change("deleted", one, version, uid) for uid, (version, one) in before.items() if uid not in self._known]
        fresh: list[Change[T]] = []
        for tag, one in found:
            if (known := before.get(tag.uid)) is None:
                fresh.append(Change("added", one, tag.resource_version, tag.uid))
            elif known[0] != tag.resource_version:
                fresh.append(Change("modified", one, tag.resource_version, tag.uid))
        return gone + fresh

    def _remember(self, change: Change[T]) -> None:
        if change.object is None:
            return
        if change.kind == "deleted":
            self._known.pop(change.uid, None)
        else:
            self._known[change.uid] = (change.resource_version, change.object)

    def _hear(self) -> None:
        self.heard_at = self._clock()
        self.failure = None
        self._failures = 0

    async def _wait_out(self, failure: ClusterError) -> None:
        if not isinstance(failure, Unavailable) or failure.heard:
            self.heard_at = self._clock()
        self.failure = failure
        delay = min(FIRST_DELAY_SECONDS * 2**self._failures, LONGEST_DELAY_SECONDS)
        self._failures = min(self._failures + 1, 16)
        if isinstance(failure, Unavailable):
            delay = max(delay, failure.delay if self._failures > 1 else 0.0)
        await asyncio.sleep(delay * (0.5 + self._spread()))
