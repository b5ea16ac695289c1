"""Reports on audit logs to the leader, by the queue: of each source and receiver the latest replaces the one before."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from watchkeeper_operator.audit.state import encode_state
from watchkeeper_operator.bus.messages import Arrival
from watchkeeper_operator.bus.taking import QueueFullError
from watchkeeper_operator.store.engine import StoreError

if TYPE_CHECKING:
    from watchkeeper_operator.bus.queue import Queue
    from watchkeeper_operator.collector.audit_states import AuditStates

REPORT_SECONDS = 5.0

log = logging.getLogger(__name__)


async def report(states: AuditStates, queue: Queue) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        await report_once(states, queue)


async def report_once(states: AuditStates, queue: Queue) -> None:
    """A report that can't be stored is followed by the next one, which says the same."""
    said = [Arrival(topic="log-state", source=f"audit/{state.source}/{state.replica}", payload=encode_state(state)) for state in states.report()]
    try:
        if said:
            await queue.put(said)
    except (QueueFullError, StoreError) as fault:
        log.warning("report on audit logs: %s", fault)
