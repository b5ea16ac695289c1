"""The operator: what every replica does, and what the one does that leads."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import kopf

from watchkeeper_operator.authority.keeping import Keeping
from watchkeeper_operator.cluster import Cluster
from watchkeeper_operator.handlers import running as reacting
from watchkeeper_operator.handlers import sensors as sensor_handlers
from watchkeeper_operator.health import Health
from watchkeeper_operator.leadership import Leadership
from watchkeeper_operator.log_lines import log_as_json
from watchkeeper_operator.metrics import Metrics
from watchkeeper_operator.own_events import OwnEvents
from watchkeeper_operator.policy_set import PolicySet
from watchkeeper_operator.policy_status_writing import PolicyStatuses
from watchkeeper_operator.sensors.daemon_set import Image
from watchkeeper_operator.sensors.following import Following
from watchkeeper_operator.sensors.running import Sensors
from watchkeeper_operator.serving import Readers, serve
from watchkeeper_operator.store.engine import StoreError, open_engine
from watchkeeper_operator.store.schema import migrate

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from watchkeeper_operator.settings import Settings
    from watchkeeper_operator.watches import Watch

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
            self._attend(f"watch of {kind}", watch)
        self._health.require("policies are judged", lambda: self._policies.judged.number > 0)
        self._health.watch("leadership", lambda: self._leadership.beat_at)
        async with serve(self._settings.listen, self._health, self._metrics.registry, Readers(self._cluster)) as port:
            log.info("listening on port %d", port)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._policies.run())
                tasks.create_task(self._leadership.lead(self._lead, give_up=_give_up))

    async def _lead(self, epoch: int) -> None:
        """Everything that writes, until leadership is lost."""
        cluster = self._cluster.in_epoch(epoch)
        self._metrics.leading.set(1)
        self._metrics.epoch.set(epoch)
        events = OwnEvents(cluster, self._settings.identity, self._metrics)
        statuses = PolicyStatuses(self._policies, self._health, self._metrics)
        sensors = Sensors(Image(self._settings.sensor_image, self._settings.version), self._health, self._metrics)
        keeping = Keeping(cluster, self._settings.identity)

        def changed(uids: set[str]) -> None:
            sensors.wake_nodes(following, uids)
            statuses.nodes_changed()

        following = Following(cluster, self._policies, changed)
        self._attend("watch of Node", following.watch_nodes)
        self._attend("watch of Pod", following.watch_pods)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(following.run())
                tasks.create_task(keeping.run())
                tasks.create_task(statuses.run(cluster, following, events))
                tasks.create_task(sensors.run_sensors(cluster, following))
                tasks.create_task(sensors.run_nodes(cluster, following))
                tasks.create_task(reacting.run(self._registry(sensors)))
        finally:
            self._metrics.leading.set(0)
            self._health.leave("watch of Node", "watch of Pod")

    def _attend(self, name: str, watch: Watch[Any]) -> None:
        self._health.watch(name, lambda: watch.heard_at)

    def _registry(self, sensors: Sensors) -> kopf.OperatorRegistry:
        """Kopf's handlers run in a loop of its own: what they wake is ours."""
        loop = asyncio.get_running_loop()
        registry = kopf.OperatorRegistry()
        reacting.register_login(registry, self._cluster.configuration)

        def wake() -> None:
            loop.call_soon_threadsafe(sensors.wake)

        sensor_handlers.register(registry, wake)
        return registry


def _leaves(group: BaseExceptionGroup[StoreError]) -> list[StoreError]:
    return [leaf for one in group.exceptions for leaf in (_leaves(one) if isinstance(one, BaseExceptionGroup) else [one])]


def _give_up() -> NoReturn:
    """Parts of a leader that was replaced must not go on, whatever holds them up."""
    os._exit(STUCK)
