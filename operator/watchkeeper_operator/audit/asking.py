"""The leader's question to a collector for a nonce."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from watchkeeper_operator.collector.canary_nonces import PATH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchkeeper_operator.bus.fetching import Collector

ANSWER_BYTES = 1024
REQUEST_SECONDS = 10.0

log = logging.getLogger(__name__)


class Given(msgspec.Struct, frozen=True):
    nonce: str


_decode = msgspec.json.Decoder(Given).decode


async def nonce_of(collectors: Sequence[Collector]) -> str | None:
    """From the first collector that answers; what one gives, all know. None where none does."""
    for collector in collectors:
        try:
            async with collector.session.post(
                collector.url + PATH, ssl=collector.tls(), timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS), allow_redirects=False
            ) as answer:
                body = await answer.content.read(ANSWER_BYTES)
                if answer.status == 200:
                    return _decode(body).nonce
                log.warning("a collector gives no nonce: HTTP %d", answer.status)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as trouble:
            log.warning("a collector gives no nonce: %s", type(trouble).__name__)
    return None
