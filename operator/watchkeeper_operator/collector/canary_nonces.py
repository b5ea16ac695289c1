"""`POST /v1/canaries`: a nonce for the leader's next run of canaries. Made where it is checked, so that no key leaves the collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from watchkeeper_operator.audit import nonces
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.collector.routes import JSON, Answer, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchkeeper_operator.collector.routes import Call

PATH = "/v1/canaries"


class CanaryNonces:
    """`keys`: as `nonces.key_from` makes them of the sensors' authorities, the current one first. `clock`: seconds since the epoch."""

    def __init__(self, keys: Callable[[], Sequence[bytes]], *, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._clock = clock
        self._random = random

    @property
    def route(self) -> Route:
        return Route("POST", PATH, Role.OPERATOR, 0, self.answer, 4)

    async def answer(self, _call: Call) -> Answer:
        made = nonces.nonce(self._keys()[0], int(self._clock()), self._random(nonces.RANDOM_BYTES))
        return Answer(msgspec.json.encode({"nonce": made}), JSON)
