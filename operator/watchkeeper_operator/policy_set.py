"""The policies of the cluster, judged whenever one changes: what operator and collector go by.

    policies = PolicySet(cluster, engine)          # engine: a store that `migrate` has seen
    running = create_task(policies.run())
    judged = await policies.after(0)               # the first judgement: every object that was there has been told
    judged = await policies.after(judged.number)   # the next one

`judged.program` is what to judge by, `judged.revision` what it is called, `judged.bodies("RuntimePolicy")` what nodes are told.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from watchkeeper_operator import kinds
from watchkeeper_operator.policy_judging import Judge
from watchkeeper_operator.policy_objects import EXCEPTION, LIST, POLICY, Key, Written, written_of
from watchkeeper_operator.policy_quotas import TenantLimits
from watchkeeper_operator.policy_verdicts import Judged
from watchkeeper_operator.shapes import Object
from watchkeeper_operator.store import last_good
from watchkeeper_operator.store.engine import StoreError
from watchkeeper_operator.watches import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Engine

    from watchkeeper_operator.cluster import ChangeKind, Cluster

GATHER_SECONDS = 0.1  # after a change, for those that come with it
STORE_RETRY_SECONDS = 5.0
LONGEST_SLEEP = timedelta(hours=1)

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


class PolicySet:
    """Run it once per process. `judged` is replaced, never changed."""

    def __init__(self, cluster: Cluster, engine: Engine, limits: TenantLimits = TenantLimits(), *, clock: Callable[[], datetime] = utc_now) -> None:  # noqa: B008 (frozen)
        self.judged = Judged()
        self.watches = {
            POLICY: Watch(cluster, kinds.RUNTIME_POLICIES, Object),
            EXCEPTION: Watch(cluster, kinds.POLICY_EXCEPTIONS, Object),
            LIST: Watch(cluster, kinds.POLICY_LISTS, Object),
        }
        self._engine = engine
        self._judge = Judge(limits)
        self._clock = clock
        self._objects: dict[Key, Object] = {}
        self._good: Mapping[Key, Written] = {}
        self._changed = asyncio.Event()
        self._judged_anew = asyncio.Condition()

    async def after(self, number: int) -> Judged:
        """The latest judgement, as soon as it is a later one than `number`."""
        async with self._judged_anew:
            await self._judged_anew.wait_for(lambda: self.judged.number > number)
        return self.judged

    def object(self, key: Key) -> Object | None:
        """As the API server has it, status included."""
        return self._objects.get(key)

    async def run(self) -> None:
        """Until cancelled. Raises StoreError when the last good revisions can't be read: without them a bad edit would switch a policy off."""
        self._good = await asyncio.to_thread(last_good.load, self._engine)
        async with asyncio.TaskGroup() as tasks:
            for kind, watch in self.watches.items():
                tasks.create_task(self._follow(kind, watch))
            tasks.create_task(self._judge_changes())

    async def _follow(self, kind: str, watch: Watch[Object]) -> None:
        async for change in watch:
            if change.kind == "listed" or (change.object is not None and self._is_new(kind, change.kind, change.object)):
                self._changed.set()

    def _is_new(self, kind: str, change: ChangeKind, one: Object) -> bool:
        """Whether it has to be judged again: a write of a status changes nothing that is judged."""
        key = Key(kind, one.metadata.namespace, one.metadata.name)
        before = self._objects.get(key)
        if change == "deleted":
            if before is not None and before.metadata.uid == one.metadata.uid:
                del self._objects[key]
            return True
        self._objects[key] = one
        return before is None or (before.metadata.uid, before.metadata.generation) != (one.metadata.uid, one.metadata.generation)

    async def _judge_changes(self) -> None:
        for watch in self.watches.values():
            await watch.listed.wait()
        while True:
            await asyncio.sleep(GATHER_SECONDS)
            self._changed.clear()
            now = self._clock()
            objects = [written_of(key.kind, one.metadata, one.spec) for key, one in self._objects.items()]
            judged = await asyncio.to_thread(self._judge.judge, objects, self._good, now)
            kept = await self._keep(judged)
            async with self._judged_anew:
                self.judged = judged
                self._judged_anew.notify_all()
            await self._until_changed(timedelta(seconds=STORE_RETRY_SECONDS) if not kept else next_end(judged, now))

    async def _keep(self, judged: Judged) -> bool:
        """Good revisions go to disk before they are in force; a store that fails is tried again, and holds up nothing."""
        try:
            await asyncio.to_thread(last_good.save, self._engine, self._good, judged.good, at=int(self._clock().timestamp() * 1e9))
        except StoreError as error:
            log.error("last good policies are not on disk: %s", error)  # noqa: TRY400 (the error says what there is to say)
            return False
        self._good = judged.good
        return True

    async def _until_changed(self, longest: timedelta) -> None:
        try:
            async with asyncio.timeout(longest.total_seconds()):
                await self._changed.wait()
        except TimeoutError:
            return


def next_end(judged: Judged, now: datetime) -> timedelta:
    """Time until the next exception ends."""
    ends = [datetime.fromisoformat(one.spec["until"]) for one in judged.in_force if one.key.kind == EXCEPTION and "until" in one.spec]
    return min([end - now for end in ends if end > now], default=LONGEST_SLEEP)
