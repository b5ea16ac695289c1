"""Audit events per second of processor time that the collector takes by webhook: from the TLS connection's bytes to detections and matches on disk, with
all rules of the library, first-seen ones and records included.

Batches of 400 events, as the API server sends them. `ordinary`: the corpus's everyday part; `all`: attacks and near misses as well, a tenth of it.
`sender`: what sending costs in the same process, taken off.
"""

from __future__ import annotations

import asyncio
import gc
import io
import itertools
import tempfile
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from tests.bench.corpus_files import corpus_events
from tests.support.collectors import NAME, serving

from watchkeeper_cli.policy_set import library_program
from watchkeeper_operator.audit.configuring import PATH
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.collector.audit_endpoint import AuditEndpoint
from watchkeeper_operator.collector.audit_judging import AuditJudge
from watchkeeper_operator.collector.audit_receiving import AuditReceiver
from watchkeeper_operator.collector.audit_states import AuditStates
from watchkeeper_operator.collector.routes import Answer, Route
from watchkeeper_operator.store.engine import open_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from watchkeeper_operator.collector.routes import Call

EVENTS, BATCH, AT_ONCE, ROUNDS = 20_000, 400, 4, 3
ID = b'"auditID":"'


def batches(events: list[bytes], number: int) -> list[bytes]:
    """No two requests have the same id: what comes again is not stored again."""
    endless = (event.replace(ID, b"%s%d-" % (ID, one), 1) for one, event in enumerate(itertools.cycle(events), number * EVENTS))
    head, tail = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[', b"]}"
    return [head + b",".join(itertools.islice(endless, BATCH)) + tail for _ in range(EVENTS // BATCH)]


@asynccontextmanager
async def endpoint(folder: str) -> AsyncIterator[tuple[Route, Queue]]:
    queue = Queue(open_engine(f"sqlite:///{folder}/queue.db"))
    await queue.open()
    states = AuditStates("bench", CollectorRegistry(), time.time_ns)
    async with AuditReceiver.open(AuditJudge(library_program(), keys=tuple, clock=time.time_ns), queue, states) as receiver:
        yield AuditEndpoint(receiver).route, queue
    await queue.close()


async def discarded(call: Call) -> Answer:
    async for _ in call.chunks():
        pass
    return Answer()


async def sent(route: Route, rounds: list[list[bytes]]) -> float:
    """Least seconds of processor time for the bodies of one round, sender and receiver together."""
    best = float("inf")
    async with serving([route]) as collector, collector.session(collector.authorities.client(Role.AUDIT, "bench")) as session:

        async def send(some: list[bytes]) -> None:
            for body in some:
                async with session.post(route.path, data=io.BytesIO(body), server_hostname=NAME) as answer:
                    assert answer.status == 204, answer.status

        for bodies in rounds:
            gc.collect()
            begun = time.process_time()
            await asyncio.gather(*(send(bodies[start::AT_ONCE]) for start in range(AT_ONCE)))
            best = min(best, time.process_time() - begun)
    return best


async def measured(part: str) -> None:
    events = corpus_events("k8s-audit", ordinary=part == "ordinary")
    rounds = [batches(events, number) for number in range(ROUNDS)]
    sender = await sent(Route("POST", PATH, Role.AUDIT, 1 << 30, discarded), rounds)
    with tempfile.TemporaryDirectory() as folder:
        async with endpoint(folder) as (route, queue):
            whole = await sent(route, rounds)
            messages = queue.depth.entries
    print(f"{'audit webhook, ' + part:32} {EVENTS / (whole - sender):10,.0f} {EVENTS / sender:12,.0f} {messages / EVENTS / ROUNDS:15.3f}", flush=True)


def main() -> None:
    gc.freeze()
    gc.set_threshold(50_000)
    print(f"{'input':32} {'events/s':>10} {'sender alone':>12} {'messages/event':>15}   ({len(library_program().rules)} rules)")
    for part in ("all", "ordinary"):
        asyncio.run(measured(part))


if __name__ == "__main__":
    main()
