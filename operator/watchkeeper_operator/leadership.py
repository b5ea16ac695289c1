"""One leader at a time: a Lease of ours, whose `leaseTransitions` is the epoch that every write of the leader carries.

The API server refuses what an older leader still writes (manifests/base/admission/fence.yaml), so clocks decide only who leads, not who may write.
Each taking of the Lease is a new epoch, also by the same process.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from watchkeeper_operator import kinds
from watchkeeper_operator.cluster_errors import ClusterError, Conflict, NotFound
from watchkeeper_operator.names import OPERATOR_LEASE, SYSTEM_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from watchkeeper_operator.cluster import Cluster

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds.

    lease  without a renewal, after which another may take it
    give_up  without a renewal, after which the leader stops by itself; what is left of `lease` is for its parts to end
    """

    lease: float = 15.0
    give_up: float = 10.0
    between: float = 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A Lease as it was read, and when it was first seen so, by our own clock: clocks of two nodes are not compared."""

    lease: dict[str, Any]
    since: float

    @property
    def holder(self) -> str:
        return self.lease["spec"].get("holderIdentity") or ""

    @property
    def epoch(self) -> int:
        return int(self.lease["spec"].get("leaseTransitions") or 0)

    @property
    def version(self) -> str:
        return str(self.lease["metadata"]["resourceVersion"])


def seen(before: Seen | None, lease: dict[str, Any], now: float) -> Seen:
    """What is known of the Lease after reading it again."""
    if before is not None and before.version == lease["metadata"]["resourceVersion"]:
        return before
    return Seen(lease, now)


def may_take(known: Seen, now: float) -> bool:
    """Nobody holds it, or who holds it has not renewed it for as long as it said it would."""
    lasts = float(known.lease["spec"].get("leaseDurationSeconds") or 0)
    return not known.holder or now - known.since > lasts


def taken(known: Seen | None, identity: str, timing: Timing, moment: datetime) -> dict[str, Any]:
    """The Lease as whoever takes it writes it."""
    at = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    metadata = known.lease["metadata"] if known else {"name": OPERATOR_LEASE, "namespace": SYSTEM_NAMESPACE}
    spec = {
        "holderIdentity": identity,
        "leaseDurationSeconds": max(1, round(timing.lease)),
        "acquireTime": at,
        "renewTime": at,
        "leaseTransitions": (known.epoch if known else 0) + 1,
    }
    return {"metadata": metadata, "spec": spec}


def renewed(lease: dict[str, Any], moment: datetime) -> dict[str, Any]:
    return {**lease, "spec": {**lease["spec"], "renewTime": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}}


def released(lease: dict[str, Any]) -> dict[str, Any]:
    return {**lease, "spec": {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}}


class LostError(Exception):
    """Another leads, or the Lease could not be renewed in time."""


class Leadership:
    """Contends for the Lease until cancelled. `epoch` while this process leads, else None; `beat_at`: when the loop last turned."""

    def __init__(self, cluster: Cluster, identity: str, timing: Timing = Timing(), *, clock: Callable[[], float] = time.monotonic) -> None:
        self.epoch: int | None = None
        self.beat_at = clock()
        self.holder = ""
        self._cluster = cluster
        self._identity = identity
        self._timing = timing
        self._clock = clock

    async def lead(self, parts: Callable[[int], Awaitable[None]], *, give_up: Callable[[], NoReturn]) -> None:
        """Run `parts(epoch)` whenever this process leads. `give_up` ends the process at once: for parts that do not end in time."""
        while True:
            lease, since = await self._take()
            self.epoch = lease["spec"]["leaseTransitions"]
            log.info("leading in epoch %d", self.epoch)
            working = asyncio.ensure_future(parts(self.epoch))
            renewing = asyncio.ensure_future(self._renew(lease, since))
            try:
                await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
            finally:
                await self._end(working, renewing, give_up)
            if not working.cancelled() and (failure := working.exception()) is not None:
                raise failure

    async def _end(self, working: asyncio.Future[None], renewing: asyncio.Future[dict[str, Any]], give_up: Callable[[], NoReturn]) -> None:
        """Parts first; the Lease is given back only when they have ended, and only if it is still ours."""
        epoch, self.epoch = self.epoch, None
        working.cancel()
        _, pending = await asyncio.wait((working,), timeout=self._timing.lease - self._timing.give_up)
        if pending:
            log.critical("parts of the leader of epoch %s did not end in time: the process ends", epoch)
            give_up()
        if renewing.done():
            log.warning("no longer leading (epoch %s): %s", epoch, renewing.exception())
            return
        renewing.cancel()
        await asyncio.wait((renewing,))
        await self._release(epoch)

    async def _take(self) -> tuple[dict[str, Any], float]:
        """The Lease once it is ours, and when we asked for it."""
        known: Seen | None = None
        while True:
            self.beat_at = asked = self._clock()
            try:
                known = seen(known, await self._read(), asked)
                self.holder = known.holder
                if may_take(known, asked):
                    return await self._cluster.replace(kinds.LEASES, taken(known, self._identity, self._timing, datetime.now(UTC))), asked
            except NotFound:
                known = None
                if (made := await self._create()) is not None:
                    return made, asked
            except Conflict:
                pass  # another was faster
            except ClusterError as trouble:
                log.warning("the Lease can't be had: %s", trouble)
            await asyncio.sleep(self._timing.between * (0.75 + random.random() / 2))  # noqa: S311 (spreads replicas)

    async def _read(self) -> dict[str, Any]:
        return await self._cluster.get(kinds.LEASES, dict[str, Any], OPERATOR_LEASE, namespace=SYSTEM_NAMESPACE)

    async def _create(self) -> dict[str, Any] | None:
        try:
            return await self._cluster.create(kinds.LEASES, taken(None, self._identity, self._timing, datetime.now(UTC)))
        except ClusterError as trouble:
            log.warning("the Lease can't be made: %s", trouble)
            return None

    async def _renew(self, lease: dict[str, Any], since: float) -> dict[str, Any]:
        """Raises LostError; `since`: when the latest renewal that succeeded was asked for."""
        while True:
            await asyncio.sleep(self._timing.between)
            self.beat_at = asked = self._clock()
            left = since + self._timing.give_up - asked
            try:
                async with asyncio.timeout(max(left, 0)):
                    lease = await self._cluster.replace(kinds.LEASES, renewed(lease, datetime.now(UTC)))
                since = asked
            except (Conflict, NotFound) as lost:
                raise LostError(str(lost)) from None
            except TimeoutError:
                raise LostError(f"not renewed for {self._timing.give_up:.0f} s") from None
            except ClusterError as trouble:
                log.warning("the Lease is not renewed: %s", trouble)
            self.holder = self._identity

    async def _release(self, epoch: int | None) -> None:
        try:
            lease = await self._read()
            if lease["spec"].get("holderIdentity") == self._identity and lease["spec"].get("leaseTransitions") == epoch:
                await self._cluster.replace(kinds.LEASES, released(lease))
        except ClusterError as trouble:
            log.warning("the Lease is not given back, and runs out: %s", trouble)
