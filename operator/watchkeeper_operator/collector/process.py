"""The collector, put together: certificates, watches, queue, endpoints. Writes nothing to the cluster."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from watchkeeper_operator.audit import nonces
from watchkeeper_operator.authority.certificates import AuthorityError, key_pem
from watchkeeper_operator.authority.contexts import server_context
from watchkeeper_operator.authority.files import Given, read_given
from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.cluster import Cluster
from watchkeeper_operator.collector import remembering
from watchkeeper_operator.collector.audit_endpoint import AuditEndpoint
from watchkeeper_operator.collector.audit_judging import AuditJudge
from watchkeeper_operator.collector.audit_receiving import AuditReceiver
from watchkeeper_operator.collector.audit_reporting import report
from watchkeeper_operator.collector.audit_sources import follow_sources
from watchkeeper_operator.collector.audit_states import AuditStates
from watchkeeper_operator.collector.canary_nonces import CanaryNonces
from watchkeeper_operator.collector.cluster_view import ClusterView
from watchkeeper_operator.collector.connections import Server
from watchkeeper_operator.collector.deliveries import Deliveries
from watchkeeper_operator.collector.feeding import Feeds
from watchkeeper_operator.collector.handing_over import HandingOver
from watchkeeper_operator.collector.issued import IssuedCertificates
from watchkeeper_operator.collector.listener import Listener, listening
from watchkeeper_operator.collector.metrics import Metrics
from watchkeeper_operator.collector.rates import Rates
from watchkeeper_operator.collector.rules_known import RulesKnown
from watchkeeper_operator.collector.server import Dispatch
from watchkeeper_operator.collector.states import States
from watchkeeper_operator.collector.trading import Trade
from watchkeeper_operator.collector.watching import Watching
from watchkeeper_operator.health import Health
from watchkeeper_operator.log_lines import log_as_json
from watchkeeper_operator.policy_set import PolicySet
from watchkeeper_operator.serving import Readers, serve
from watchkeeper_operator.store.engine import StoreError, open_engine
from watchkeeper_operator.store.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from watchkeeper_operator.collector.routes import Route
    from watchkeeper_operator.collector.settings import Settings
    from watchkeeper_operator.watches import Watch

SWEEP_SECONDS = 1.0
GIVEN_SECONDS = 5.0  # between two looks at the mounted files
COLLECT_EVERY = 50_000  # objects
REMEMBER_SECONDS = 60.0
ENDING_SECONDS = 5.0  # for requests under way
OTHER_DESCRIPTORS = 512  # beside connections: handshakes, database, API server

log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. Raises StoreError, AuthorityError, OSError for an address that is taken, ConfigException."""
    log_as_json(settings.log_level)
    _allow_descriptors(settings.connections.whole + OTHER_DESCRIPTORS)
    try:
        asyncio.run(_run(settings))
    except BaseExceptionGroup as failures:
        for kind in (StoreError, AuthorityError):
            if (found := failures.subgroup(kind)) is not None:
                raise kind("; ".join(map(str, _leaves(found)))) from None
        raise


def _allow_descriptors(wanted: int) -> None:
    """Up to what the process may have anyway: new hosts begin with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
        if hard != resource.RLIM_INFINITY and hard < wanted:
            log.warning("%d descriptors may be open, %d are wanted: connections are refused before their bound", hard, wanted)


async def _run(settings: Settings) -> None:
    working = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)  # type: ignore[union-attr]  # we are in one
    given = await _until_given(settings)
    engine = open_engine(settings.store)
    await asyncio.to_thread(migrate, engine)
    with suppress(asyncio.CancelledError):
        async with Cluster.connect(settings.kubeconfig) as cluster:
            await Collector(settings, cluster, engine, given).run()


async def _until_given(settings: Settings) -> Given:
    """A collector may start before the operator has made its certificate: without one it is of no use, and waits."""
    said = ""
    while True:
        try:
            return await asyncio.to_thread(read_given, settings.given)
        except AuthorityError as missing:
            if said != str(missing):
                said = str(missing)
                log.warning("waiting for a certificate: %s", missing)
            await asyncio.sleep(1)


class Collector:
    """One replica."""

    def __init__(self, settings: Settings, cluster: Cluster, engine: Engine, given: Given) -> None:
        self._settings = settings
        self._cluster = cluster
        self._engine = engine
        self._given = given
        self._health, self._metrics = Health(), Metrics()
        self._queue = Queue(engine, settings.queue)
        self._issued = IssuedCertificates(engine)
        self._view, self._rules = ClusterView(), RulesKnown()
        self._policies = PolicySet(cluster, engine, settings.limits)
        self._watching = Watching(cluster, self._view)
        self._feeds = Feeds(self._view, lambda: self._watching.sensors.objects, settings.cluster, self._is_current)
        self._states = AuditStates(settings.identity, self._metrics.registry, time.time_ns)

    async def run(self) -> None:
        await self._queue.open()
        await asyncio.to_thread(self._issued.create)
        self._rules = RulesKnown(await asyncio.to_thread(remembering.load_rules, self._engine))
        self._view.restore(await asyncio.to_thread(remembering.load_pods, self._engine))
        judge = AuditJudge(self._policies.judged.program, keys=self._canary_keys, clock=time.time_ns)
        try:
            async with AuditReceiver.open(judge, self._queue, self._states) as receiver:
                await self._serve(receiver)
        finally:
            with suppress(StoreError):
                await asyncio.to_thread(self._remember_pods)
            await self._queue.close()

    async def _serve(self, receiver: AuditReceiver) -> None:
        dispatch = Dispatch(self._routes(receiver), self._metrics, in_force=self._in_force)
        server = Server(dispatch.handle, self._settings.connections, time.time)
        listener = Listener(server, server_context(self._given.server, self._given.trusted))
        self._measure(server, listener)
        async with serve(self._settings.metrics, self._health, self._metrics.registry, Readers(self._cluster)) as port:
            with listening(*self._settings.listen) as sock:
                log.info("listening on port %d, metrics on %d", sock.getsockname()[1], port)
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._policies.run())
                        tasks.create_task(self._watching.run(self._feeds))
                        tasks.create_task(self._follow_policies(receiver))
                        tasks.create_task(self._keep_given(server, listener))
                        tasks.create_task(self._sweep(server))
                        tasks.create_task(self._remember())
                        tasks.create_task(report(self._states, self._queue))
                        tasks.create_task(follow_sources(receiver, self._cluster, self._settings.state))
                        tasks.create_task(listener.run(sock))
                finally:
                    server.pre_shutdown()
                    await server.shutdown(ENDING_SECONDS)

    def _routes(self, receiver: AuditReceiver) -> tuple[Route, ...]:
        """Every endpoint there is, with the certificate that it takes: see each module."""
        return (
            Trade(self._cluster, self._view, lambda: self._given.sensors, self._issued, self._queue, Rates()).route,
            Deliveries(self._cluster, self._view, self._rules, self._queue, self._metrics, self._is_current).route,
            self._feeds.route,
            States(self._queue).route,
            AuditEndpoint(receiver).route,
            *HandingOver(self._queue).routes,
            CanaryNonces(self._canary_keys, clock=time.time, random=os.urandom).route,
        )

    def _canary_keys(self) -> tuple[bytes, ...]:
        return (nonces.key_from(key_pem(self._given.sensors.key)),)

    def _is_current(self) -> bool:
        return self._watching.is_current(self._policies)

    async def _in_force(self, fingerprint: str) -> bool:
        return await asyncio.to_thread(self._issued.show, fingerprint)

    async def _follow_policies(self, receiver: AuditReceiver) -> None:
        number = 0
        while True:
            judged = await self._policies.after(number)
            number = judged.number
            if self._rules.use(judged.program, time.time_ns()):  # known before any node can have judged by them
                await self._kept(remembering.save_rules, self._rules.all)
            self._feeds.use(judged.in_force)
            await receiver.use(judged.program)
            gc.collect()
            gc.freeze()  # policies live long, and events hold no cycles: looking for some costs a sixth of the time
            gc.set_threshold(COLLECT_EVERY)

    async def _kept(self, save: Callable[..., None], content: object) -> None:
        try:
            await asyncio.to_thread(save, self._engine, content, now=time.time_ns())
        except StoreError as trouble:
            log.warning("what is to be remembered is not on disk: %s", trouble)

    async def _remember(self) -> None:
        while True:
            await asyncio.sleep(REMEMBER_SECONDS)
            self._rules.use(self._policies.judged.program, time.time_ns())
            await self._kept(remembering.save_rules, self._rules.all)
            await self._kept(remembering.save_pods, self._view.remembered())

    def _remember_pods(self) -> None:
        remembering.save_pods(self._engine, self._view.remembered(), now=time.time_ns())

    async def _keep_given(self, server: Server, listener: Listener) -> None:
        """Mounted files change under us: a new certificate is of the next connection, and who was trusted by a root that has gone leaves."""
        while True:
            await asyncio.sleep(GIVEN_SECONDS)
            self._health.beat("certificates")
            try:
                given = await asyncio.to_thread(read_given, self._settings.given)
            except AuthorityError as damaged:  # files are replaced together, by the rename of a folder: this is no moment between two
                log.warning("certificates stay as they are: %s", damaged)
                continue
            if given == self._given:
                continue
            is_trust = given.trusted != self._given.trusted
            self._given = given
            listener.context = server_context(given.server, given.trusted)
            if is_trust:
                server.pre_shutdown()
            log.info("certificates were replaced")

    async def _sweep(self, server: Server) -> None:
        while True:
            server.sweep()
            self._health.beat("sweep")
            await asyncio.sleep(SWEEP_SECONDS)

    def _attend(self, name: str, watch: Watch[Any]) -> None:
        self._health.watch(name, lambda: watch.heard_at)

    def _measure(self, server: Server, listener: Listener) -> None:
        for kind, watch in {**self._policies.watches, **self._watching.watches}.items():
            self._attend(f"watch of {kind}", watch)
        self._health.require("pods, nodes and policies are known", self._is_current)
        self._metrics.measure_health(self._health)
        self._metrics.measure_queue(self._queue)
        self._metrics.measure_connections(server, listener)
        self._metrics.measure_certificates(lambda: self._given)


def _leaves(group: BaseExceptionGroup[Exception]) -> list[Exception]:
    return [leaf for one in group.exceptions for leaf in (_leaves(one) if isinstance(one, BaseExceptionGroup) else [one])]
