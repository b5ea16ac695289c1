"""The leader's side of the collector's queue: fetch, hand over, and acknowledge when the leader's own store has it.

A queue is one URL: a Service in front of collectors that share one, or one collector of several. Whatever breaks off is fetched again from the
position that the store has, so that nothing is lost and what comes twice is known.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import aiohttp
import msgspec

from watchkeeper_operator.bus.messages import FETCHED, FETCHED_BYTES, Acknowledgement, Message

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence

WAIT_SECONDS = 5  # for a message, on an open request
BUSY_WAIT_SECONDS = 1  # while matches wait for time to go on
REQUEST_SECONDS = 30.0
ANSWER_BYTES = 2 * FETCHED_BYTES + 65_536  # one message may be longer than the rest
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.25, 10.0
STALLED_NS = 60_000_000_000  # a queue that is silent for longer no longer holds up the others' time
MARGIN_NS = 1_000_000_000  # clocks of collector and leader may differ by this much

log = logging.getLogger(__name__)
_messages = msgspec.msgpack.Decoder(list[Message])
_encode = msgspec.json.Encoder().encode


class FetchError(Exception):
    """A collector can't be asked now; the reason is for logs and repeats nothing that it said."""


class Taker(Protocol):
    """Who takes messages: `incidents.intake.Intake`."""

    @property
    def is_waiting(self) -> bool: ...
    async def position(self, queue: str) -> int: ...
    async def take(self, queue: str, messages: Sequence[Message], *, complete_until: int) -> None: ...


@dataclass(slots=True)
class Collector:
    """One queue by its URL.

    tls          the context to use now, asked for at each request as certificates are renewed
    server_name  in the collector's certificate, where the URL says an address
    """

    url: str
    session: aiohttp.ClientSession
    tls: Callable[[], ssl.SSLContext]
    server_name: str | None = None

    async def messages(self, after: int, *, wait: int) -> list[Message]:
        """The first messages after a number, in order; none when none came in `wait` seconds. Raises FetchError."""
        query = {"after": str(after), "limit": str(FETCHED), "wait": str(wait)}
        body = await self._ask("GET", "/v1/messages", query=query, seconds=REQUEST_SECONDS + wait)
        try:
            found = _messages.decode(body)
        except msgspec.DecodeError:
            raise FetchError("the collector's answer is no list of messages") from None
        numbers = [message.id for message in found]
        if any(number <= before for before, number in zip([after, *numbers], numbers, strict=False)):
            raise FetchError("the collector's messages are not in order")
        return found

    async def acknowledge(self, through: int) -> None:
        """Messages up to this one are kept here. Raises FetchError."""
        await self._ask("POST", "/v1/messages/acknowledge", body=_encode(Acknowledgement(through=through)), seconds=REQUEST_SECONDS)

    async def _ask(self, method: str, path: str, *, query: dict[str, str] | None = None, body: bytes | None = None, seconds: float) -> bytes:
        timeout = aiohttp.ClientTimeout(total=seconds)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with self.session.request(
                method,
                self.url + path,
                params=query,
                data=body,
                headers=headers,
                ssl=self.tls(),
                server_hostname=self.server_name,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                if answer.status not in (200, 204):
                    raise FetchError(f"the collector answers HTTP {answer.status}")
                return await _read(answer.content)
        except TimeoutError:
            raise FetchError("the collector does not answer in time") from None
        except aiohttp.ClientError as error:
            raise FetchError(f"the collector can't be asked: {type(error).__name__}") from None


@dataclass(slots=True)
class Progress:
    """Up to when each queue's messages have been taken: ns since the epoch, by the time of their receipt."""

    queues: tuple[str, ...]
    started_at: int
    taken_until: dict[str, int] = field(default_factory=dict)
    heard_at: dict[str, int] = field(default_factory=dict)

    def note(self, queue: str, until: int, *, now: int) -> None:
        self.taken_until[queue] = max(until, self.taken_until.get(queue, 0))
        self.heard_at[queue] = now

    def complete_until(self, now: int) -> int:
        """What every queue that is heard has been taken up to; nothing while one that was to be heard soon is not."""
        heard = [queue for queue in self.queues if now - self.heard_at.get(queue, self.started_at) <= STALLED_NS]
        return min((self.taken_until.get(queue, 0) for queue in heard), default=0)


async def fetch(
    queue: str,
    collector: Collector,
    taker: Taker,
    progress: Progress,
    *,
    others: Callable[[Sequence[Message]], Awaitable[None]],
    clock: Callable[[], int],
    spread: Callable[[], float],
) -> None:
    """Take in one queue until cancelled. `others`: takes messages of all topics before they are acknowledged; it may see some twice.

    Errors of the store pass: without it nothing can go on.
    """
    delay = FIRST_DELAY_SECONDS
    while True:
        try:
            await _take_some(queue, collector, taker, progress, others=others, clock=clock)
            delay = FIRST_DELAY_SECONDS
        except FetchError as trouble:
            log.warning("queue %s: %s", queue, trouble)
            await asyncio.sleep(delay * (0.5 + spread()))
            delay = min(2 * delay, LONGEST_DELAY_SECONDS)


async def _take_some(
    queue: str, collector: Collector, taker: Taker, progress: Progress, *, others: Callable[[Sequence[Message]], Awaitable[None]], clock: Callable[[], int]
) -> None:
    asked_at, after = clock(), await taker.position(queue)
    found = await collector.messages(after, wait=BUSY_WAIT_SECONDS if taker.is_waiting else WAIT_SECONDS)
    is_all = len(found) < FETCHED and sum(len(message.payload) for message in found) < FETCHED_BYTES // 2
    progress.note(queue, asked_at - MARGIN_NS if is_all else found[-1].received_at, now=clock())
    if found:
        await others(found)
    if found or taker.is_waiting:
        await taker.take(queue, found, complete_until=progress.complete_until(clock()))
    if found:
        await collector.acknowledge(found[-1].id)


async def _read(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise FetchError(f"the collector's answer is longer than {ANSWER_BYTES} bytes")
    return bytes(body)
