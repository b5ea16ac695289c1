"""The operator: what every replica does, and what the one does that leads."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from watchkeeper_operator.cluster import Cluster
from watchkeeper_operator.health import Health
from watchkeeper_operator.leadership import Leadership
from watchkeeper_operator.leading import Leader
from watchkeeper_operator.log_lines import log_as_json
from watchkeeper_operator.metrics import Metrics
from watchkeeper_operator.policy_set import PolicySet
from watchkeeper_operator.serving import Readers, serve
from watchkeeper_operator.store.documents import FencedError
from watchkeeper_operator.store.engine import StoreError, open_engine
from watchkeeper_operator.store.schema import migrate

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from watchkeeper_operator.settings import Settings

STUCK = 70  # exit status where the leader's parts do not end

log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. Raises StoreError, ConfigException."""
    log_as_json(settings.log_level)
    try:
        asyncio.run(_run(settings))
    except BaseExceptionGroup as failures:
        if (of_store := failures.subgroup(StoreError)) is None:
            raise
        raise StoreError("; ".join(str(one) for one in _leaves(of_store))) from None


async def _run(settings: Settings) -> None:
    working = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)  # type: ignore[union-attr]  # we are in one
    engine = open_engine(settings.store)
    await asyncio.to_thread(migrate, engine)
    with suppress(asyncio.CancelledError):
        async with Cluster.connect(settings.kubeconfig) as cluster:
            await Operator(settings, cluster, engine).run()


class Operator:
    """One replica."""

    def __init__(self, settings: Settings, cluster: Cluster, engine: Engine) -> None:
        self._settings = settings
        self._cluster = cluster
        self._engine = engine
        self._health, self._metrics = Health(), Metrics()
        self._policies = PolicySet(cluster, engine, settings.limits)
        self._leadership = Leadership(cluster, settings.identity, settings.timing)
        self._metrics.measure_health(self._health)

    async def run(self) -> None:
        for kind, watch in self._policies.watches.items():
            self._health.attend(f"watch of {kind}", watch)
        self._health.require("policies are judged", lambda: self._policies.judged.number > 0)
        self._health.watch("leadership", lambda: self._leadership.beat_at)
        async with serve(self._settings.listen, self._health, self._metrics.registry, Readers(self._cluster)) as port:
            log.info("listening on port %d", port)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._policies.run())
                tasks.create_task(self._leadership.lead(self._lead, give_up=_give_up))

    async def _lead(self, epoch: int) -> None:
        """Everything that writes, until leadership is lost: also when the store says that a later leader writes."""
        self._metrics.leading.set(1)
        self._metrics.epoch.set(epoch)
        leader = Leader(self._settings, self._cluster.in_epoch(epoch), self._engine, self._policies, self._health, self._metrics, epoch=epoch)
        try:
            await leader.run()
        except* FencedError as fenced:
            log.warning("no longer leading (epoch %d): %s", epoch, _leaves(fenced)[0])
        finally:
            self._metrics.leading.set(0)
            self._metrics.statuses.clear()


def _leaves(group: BaseExceptionGroup[StoreError]) -> list[StoreError]:
    return [leaf for one in group.exceptions for leaf in (_leaves(one) if isinstance(one, BaseExceptionGroup) else [one])]


def _give_up() -> NoReturn:
    """Parts of a leader that was replaced must not go on, whatever holds them up."""
    os._exit(STUCK)
