"""A collector's audit endpoint that can be stopped and started, beside an API server that sends to it: for tests on a real one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from tests.support.api_server import ApiServer, free_port

from watchkeeper_cli.policy_set import library_program
from watchkeeper_detection import wire
from watchkeeper_operator.audit.configuring import SERVER_NAME, WEBHOOK_FLAGS
from watchkeeper_operator.authority import certificates
from watchkeeper_operator.authority.contexts import server_context
from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.collector.audit_endpoint import AuditEndpoint
from watchkeeper_operator.collector.audit_judging import AuditJudge
from watchkeeper_operator.collector.audit_receiving import AuditReceiver
from watchkeeper_operator.collector.audit_states import AuditStates
from watchkeeper_operator.collector.connections import Bounds, Server
from watchkeeper_operator.collector.listener import Listener, listening
from watchkeeper_operator.collector.metrics import Metrics
from watchkeeper_operator.collector.server import Dispatch
from watchkeeper_operator.store.engine import open_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from watchkeeper_detection.detection import Detection
    from watchkeeper_operator.bus.messages import Message

CANARY_KEY = b"k" * 32
POLL_SECONDS = 0.1


@dataclass
class AuditCollector:
    """Runs in a thread of its own between `start` and `stop`; its queue is a file that both outlive."""

    folder: Path
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "watchkeeper_cli.main", "audit-config", str(self.folder)]
        subprocess.run([*command, "--address", f"127.0.0.1:{self.port}", "--on-nodes", str(self.node)], check=True, capture_output=True)
        self.told: list[tuple[float, Message]] = []
        self._stop: Callable[[], object] | None = None

    @property
    def node(self) -> Path:
        return self.folder / "node"

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), name="collector")
        self._thread.start()
        assert ready.wait(30)

    def stop(self) -> None:
        if self._stop is not None:
            self._stop()
            self._thread.join()
            self._stop = None

    async def _run(self, ready: threading.Event) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        self._stop = functools.partial(loop.call_soon_threadsafe, ended.set)
        root = certificates.read_signer((self.folder / "authority/ca.crt").read_text(), (self.folder / "authority/ca.key").read_text())
        identity = certificates.make_server(root, [SERVER_NAME], datetime.now(UTC))
        queue = Queue(open_engine(f"sqlite:///{self.folder}/queue.db"))
        await queue.open()
        self.states = AuditStates("collector-0", CollectorRegistry(), time.time_ns)
        judge = AuditJudge(library_program(), keys=lambda: (CANARY_KEY,), clock=time.time_ns)
        async with AuditReceiver.open(judge, queue, self.states) as receiver:
            server = Server(Dispatch([AuditEndpoint(receiver).route], Metrics(), time.time).handle, Bounds(), time.time)
            listener = Listener(server, server_context(identity, certificates.pem(root.certificate)))
            with listening("127.0.0.1", self.port) as sock:
                tasks = [asyncio.create_task(listener.run(sock)), asyncio.create_task(self._listen(queue))]
                ready.set()
                await ended.wait()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await server.shutdown(0.1)
        await queue.close()

    async def _listen(self, queue: Queue) -> None:
        after = self.told[-1][1].id if self.told else 0
        while True:
            for message in await queue.fetch(after, 1000, 1 << 24, wait=5):
                self.told.append((time.time(), message))
                after = message.id

    def detections(self) -> list[tuple[float, Detection]]:
        """Those so far, with when they could be read."""
        return [(at, wire.decode_detection(one.payload)) for at, one in list(self.told) if one.topic == "detection"]

    def blind(self) -> list[wire.Blind]:
        return [wire.decode_blind(one.payload) for _, one in list(self.told) if one.topic == "loss"]

    def wait_for(self, what: Callable[[Detection], Any], seconds: float = 10.0) -> tuple[float, Detection]:
        """The first detection that fits, with how many seconds after its event it could be read."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for at, one in self.detections():
                if what(one):
                    return at - one.observed_at / 1e9, one
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"not within {seconds} s; there were {sorted({f'{one.policy}/{one.rule} {one.target}' for _, one in self.detections()})[-30:]}")


@contextlib.contextmanager
def audited(folder: Path, *, policy: Path | None = None, controllers: bool = False) -> Iterator[tuple[ApiServer, AuditCollector]]:
    """An API server and the collector that it sends its audit log to, as `watchkeeper audit-config` says."""
    collector = AuditCollector(folder)
    collector.start()
    try:
        with ApiServer(
            controllers=controllers,
            audit_policy=policy or collector.node / "policy.yaml",
            audit_webhook=collector.node / "webhook.kubeconfig",
            flags=WEBHOOK_FLAGS,
        ) as server:
            yield server, collector
    finally:
        collector.stop()
