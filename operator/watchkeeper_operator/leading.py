"""All that the leader does, composed: it writes to the cluster and the store, each time in its epoch. It ends as a whole when leadership is lost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import kopf
import msgspec

from watchkeeper_operator.audit.sources import LogSources
from watchkeeper_operator.audit.watching import Watching
from watchkeeper_operator.authority.keeping import Keeping
from watchkeeper_operator.excepting import Excepting
from watchkeeper_operator.handlers import running as reacting
from watchkeeper_operator.handlers import sensors as sensor_handlers
from watchkeeper_operator.held_back import HeldBack
from watchkeeper_operator.incidents.running import Incidents
from watchkeeper_operator.own_events import OwnEvents
from watchkeeper_operator.policy_status_writing import PolicyStatuses
from watchkeeper_operator.rbac.watching import RightsWatch
from watchkeeper_operator.sensors.daemon_set import Image
from watchkeeper_operator.sensors.following import Following
from watchkeeper_operator.sensors.running import Sensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from watchkeeper_detection.node_wire import NodeState
    from watchkeeper_operator.bus.messages import Message
    from watchkeeper_operator.cluster import Cluster
    from watchkeeper_operator.health import Health
    from watchkeeper_operator.metrics import Metrics
    from watchkeeper_operator.policy_set import PolicySet
    from watchkeeper_operator.settings import Settings
    from watchkeeper_operator.watches import Watch

NONCE_SECONDS = 10.0
NONCE_BYTES = 4096

log = logging.getLogger(__name__)


class _Nonce(msgspec.Struct, frozen=True):
    nonce: str


class Leader:
    """Of one epoch. `cluster` carries it."""

    def __init__(self, settings: Settings, cluster: Cluster, store: Engine, policies: PolicySet, health: Health, metrics: Metrics, *, epoch: int) -> None:
        self._settings, self._cluster, self._policies, self._health = settings, cluster, policies, health
        self._events = OwnEvents(cluster, settings.identity, metrics)
        self._statuses = PolicyStatuses(policies, health, metrics)
        self._sensors = Sensors(Image(settings.sensor_image, settings.version), health, metrics)
        self._following = Following(cluster, policies, self._nodes_changed, self._node_heard)
        self._held = HeldBack(store, epoch, time.time_ns)
        self._keeping = Keeping(cluster, settings.identity)
        self._incidents = Incidents(store, settings.incidents, epoch=epoch, clock=time.time_ns, spread=random.random, program=policies.judged.program)
        self._excepting = Excepting(store, epoch, lambda: policies.judged.in_force, self._incidents.intake.hand_in, time.time_ns)
        self._rights = RightsWatch(cluster, policies, self._incidents.intake, store)
        self._logs = LogSources()
        self._audit = Watching(cluster, self._logs, lambda: policies.judged.program, self._ask_nonce, self._incidents.intake.hand_in, time.time_ns)
        metrics.statuses.of("LogSource", self._audit.statuses.values)

    async def run(self) -> None:
        """Until cancelled, or until a part fails: then as an ExceptionGroup."""
        watches = self._watches()
        for name, watch in watches.items():
            self._health.attend(name, watch)
        try:
            await self._policies.after(0)
            await self._held.load()
            self._statuses.held_back(self._held.by_exception())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keeping.run())
                tasks.create_task(self._following.run())
                tasks.create_task(self._statuses.run(self._cluster, self._following, self._events))
                tasks.create_task(self._sensors.run_sensors(self._cluster, self._following))
                tasks.create_task(self._sensors.run_nodes(self._cluster, self._following))
                tasks.create_task(self._held.run())
                tasks.create_task(self._excepting.run())
                tasks.create_task(self._use_policies())
                tasks.create_task(self._run_incidents())
                tasks.create_task(self._rights.run())
                tasks.create_task(self._audit.run())
                tasks.create_task(reacting.run(self._registry()))
        finally:
            self._health.leave(*watches, "watch of Incident")

    def _watches(self) -> dict[str, Watch[Any]]:
        own: dict[str, Watch[Any]] = {
            "watch of Node": self._following.watch_nodes,
            "watch of Pod": self._following.watch_pods,
            "watch of Pod (rights)": self._rights.pods,
        }
        return own | {f"watch of {kind}": watch for kind, watch in self._rights.watches.items()}

    def _nodes_changed(self, uids: set[str], confirmed: bool) -> None:  # noqa: FBT001 (as Following calls it)
        self._sensors.wake_nodes(self._following, uids)
        if confirmed:
            self._statuses.nodes_changed()

    def _node_heard(self, uid: str, state: NodeState, at: int) -> None:
        if used := self._held.take(uid, state, at, self._policies.judged.in_force):
            self._excepting.used(used)
            self._statuses.held_back(self._held.by_exception())

    async def _use_policies(self) -> None:
        number = 0
        while True:
            judged = await self._policies.after(number)
            number = judged.number
            await self._incidents.intake.use(judged.program)
            self._excepting.policies_changed()

    async def _run_incidents(self) -> None:
        await self._keeping.ready.wait()
        await self._incidents.run(self._cluster, tls=self._keeping.tls, others=self._take, attend=self._health.attend)

    async def _take(self, messages: Sequence[Message]) -> None:
        """Every message of every collector, for those who look at states."""
        await self._following.take(messages)
        await self._audit.take(messages)

    async def _ask_nonce(self) -> str | None:
        """A nonce for canaries, of the first collector that gives one; None where none does."""
        await self._keeping.ready.wait()
        timeout = aiohttp.ClientTimeout(total=NONCE_SECONDS)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session:
            for url in self._settings.incidents.collectors:
                try:
                    async with session.post(f"{url.rstrip('/')}/v1/canaries", ssl=self._keeping.tls(), allow_redirects=False) as answer:
                        if answer.status == 200:
                            return msgspec.json.decode(await answer.content.read(NONCE_BYTES), type=_Nonce).nonce
                except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as trouble:
                    log.warning("no nonce for canaries from a collector: %s", type(trouble).__name__)
        return None

    def _registry(self) -> kopf.OperatorRegistry:
        """Kopf's handlers run in a loop of its own: what they wake is ours."""
        loop = asyncio.get_running_loop()
        registry = kopf.OperatorRegistry()
        reacting.register_login(registry, self._cluster.configuration)

        def wake() -> None:
            loop.call_soon_threadsafe(self._sensors.wake)

        sensor_handlers.register(registry, wake)
        return registry
