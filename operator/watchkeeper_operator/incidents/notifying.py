"""Incidents to people: a signed webhook, and Alertmanager. What is to be told is in the store and stays there until the receiver has it.

A receiver may be told the same twice: `incident` and `occasion` tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
import msgspec

from watchkeeper_detection.logs.provider import time_text
from watchkeeper_detection.signing import signed_headers
from watchkeeper_operator.store.documents import claim
from watchkeeper_operator.store.engine import reading, writing
from watchkeeper_operator.store.notices import due_notices, notice_failed, notice_taken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Engine

    from watchkeeper_operator.store.notices import Notice

SECOND_NS = 1_000_000_000
TIMEOUT_SECONDS = 10.0
PASSING = frozenset({408, 425, 429})  # of 4xx: come again later
FIRST_DELAY_NS, LONGEST_DELAY_NS = 5 * SECOND_NS, 600 * SECOND_NS
TOLD_WITHIN_NS = 24 * 3600 * SECOND_NS  # after which nobody is told any more
REFUSALS = 10  # of one notice, after which it is given up: its receiver does not want it
LOOK_SECONDS = 1.0
LASTS_NS = 7 * 24 * 3600 * SECOND_NS  # an alert that is not ended before

log = logging.getLogger(__name__)


class NotTakenError(Exception):
    """Not taken; `is_refusal`: it would not be taken later either. `pause_ns`: asked for by the receiver. The text holds no URL and no body."""

    def __init__(self, reason: str, *, is_refusal: bool = False, pause_ns: int = 0) -> None:
        super().__init__(reason)
        self.is_refusal = is_refusal
        self.pause_ns = pause_ns


class Receiver(Protocol):
    """`name`: of its notices in the store."""

    @property
    def name(self) -> str: ...

    async def tell(self, session: aiohttp.ClientSession, body: bytes, *, now: int) -> None:
        """Raises NotTakenError."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts the notice as it is, signed. Headers: see `signing.py`."""

    url: str = field(repr=False)
    secret: bytes = field(repr=False)
    name: str = "webhook"

    async def tell(self, session: aiohttp.ClientSession, body: bytes, *, now: int) -> None:
        await _post(session, self.url, body, signed_headers(self.secret, body, moment=now // SECOND_NS))


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """Posts the incident to its API v2: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml"""

    url: str = field(repr=False)
    name: str = "alertmanager"

    async def tell(self, session: aiohttp.ClientSession, body: bytes, *, now: int) -> None:
        alerts = msgspec.json.encode([alert_of(msgspec.json.decode(body), now=now)])
        await _post(session, f"{self.url.rstrip('/')}/api/v2/alerts", alerts, {"Content-Type": "application/json"})


def alert_of(told: Mapping[str, Any], *, now: int) -> dict[str, Any]:
    """What Alertmanager groups and routes by is the incident's name, namespace and severity: it says that one became graver by one more, that it was closed by an end."""
    ends_at = now if told["occasion"] == "closed" else now + LASTS_NS
    return {
        "labels": {"alertname": "WatchkeeperIncident", "incident": told["incident"], "namespace": told["namespace"], "severity": told["severity"]},
        "annotations": {
            "summary": told["title"],
            "description": f"{told['because']} {told['together']}",
            "runbook": "\n\n".join(told["next"]),
        },
        "startsAt": told["first"],
        "endsAt": time_text(ends_at),
    }


def next_due(notice: Notice, trouble: NotTakenError, *, now: int) -> int | None:
    """When it is told again; None: never."""
    if now - notice.made_at > TOLD_WITHIN_NS or (trouble.is_refusal and notice.attempts + 1 >= REFUSALS):
        return None
    delay = min(FIRST_DELAY_NS << min(notice.attempts, 16), LONGEST_DELAY_NS)
    return now + max(delay, trouble.pause_ns)


class Notifier:
    """Tells one receiver. `clock`: ns since the epoch; `epoch`: of the leader."""

    def __init__(self, receiver: Receiver, store: Engine, *, epoch: int, clock: Callable[[], int]) -> None:
        self._receiver, self._store, self._epoch, self._clock = receiver, store, epoch, clock
        self.told = 0
        self.failed = 0

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Until cancelled. Raises StoreError."""
        while True:
            for notice in await asyncio.to_thread(self._due):
                await self._tell(session, notice)
            await asyncio.sleep(LOOK_SECONDS)

    async def _tell(self, session: aiohttp.ClientSession, notice: Notice) -> None:
        try:
            await self._receiver.tell(session, notice.body, now=self._clock())
        except NotTakenError as trouble:
            self.failed += 1
            due_at = next_due(notice, trouble, now=self._clock())
            log.log(logging.ERROR if due_at is None else logging.WARNING, "%s was not told of %s: %s", self._receiver.name, notice.incident, trouble)
            await self._stored(partial(notice_failed, notice=notice, reason=str(trouble), due_at=due_at))
        else:
            self.told += 1
            await self._stored(partial(notice_taken, notice=notice))

    def _due(self) -> list[Notice]:
        with reading(self._store) as connection:
            return due_notices(connection, self._receiver.name, now=self._clock())

    async def _stored(self, write: Callable[[Connection], object]) -> None:
        def run() -> None:
            with writing(self._store) as connection:
                claim(connection, self._epoch)
                write(connection)

        await asyncio.to_thread(run)


async def _post(session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with session.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False) as answer:
            if 200 <= answer.status < 300:
                return
            is_refusal = answer.status < 500 and answer.status not in PASSING
            raise NotTakenError(f"it answers HTTP {answer.status}", is_refusal=is_refusal, pause_ns=_retry_after(answer.headers.get("Retry-After", "")))
    except TimeoutError:
        raise NotTakenError("it does not answer in time") from None
    except (aiohttp.ClientError, ValueError) as error:  # its text may hold the URL, and that a token
        raise NotTakenError(type(error).__name__) from None


def _retry_after(asked: str) -> int:
    """Nanoseconds that the receiver asks to wait, an hour at most; a date is not read."""
    with contextlib.suppress(ValueError):
        return min(max(int(asked), 0), 3600) * SECOND_NS
    return 0
