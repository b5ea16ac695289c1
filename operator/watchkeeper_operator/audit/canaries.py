"""Canaries: the canary account's requests, all of which are to be refused. One run sends each probe once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from watchkeeper_operator.audit.nonces import PREFIX
from watchkeeper_operator.names import CANARY_ACCOUNT, SYSTEM_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchkeeper_operator.audit.coverage import Probe
    from watchkeeper_operator.cluster import Cluster

TOKEN_SECONDS = 600  # the least that there is
PAUSE_SECONDS = 0.04  # between two requests: a run is no load
REQUEST_SECONDS = 10.0


class NotRefusedError(Exception):
    """The canary account may do something: its canaries would prove nothing, and its rights are to be taken away."""


async def send(cluster: Cluster, nonce: str, probes: Sequence[Probe], *, pause: float = PAUSE_SECONDS) -> list[Probe]:
    """Send them; gives those that were refused, as they should be. Raises NotRefusedError, ClusterError."""
    token = await cluster.token_of(SYSTEM_NAMESPACE, CANARY_ACCOUNT, seconds=TOKEN_SECONDS)
    headers = {"authorization": f"Bearer {token}", "user-agent": PREFIX + nonce, "accept": "application/json"}
    refused = []
    async with cluster.session_of_nobody() as session:
        for probe in probes:
            status = await _status(session, probe, headers)
            if status == 403:
                refused.append(probe)
            elif status is not None and status not in (401, 429) and status < 500:
                raise NotRefusedError(f"{CANARY_ACCOUNT} may {probe.verb} {probe.what}: the API server answered {status}")
            await asyncio.sleep(pause)
    return refused


async def _status(session: aiohttp.ClientSession, probe: Probe, headers: dict[str, str]) -> int | None:
    """None where nobody answered: that one proves nothing."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    body = None if probe.method in ("GET", "DELETE") else b"{}"
    kind = {"content-type": "application/merge-patch+json" if probe.method == "PATCH" else "application/json"}
    try:
        async with session.request(probe.method, probe.uri, headers=headers | kind, data=body, timeout=timeout, allow_redirects=False) as answer:
            return answer.status
    except (aiohttp.ClientError, TimeoutError):
        return None
