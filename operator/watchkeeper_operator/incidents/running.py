"""The leader's part that understands: fetch what collectors have, join it, show it, tell people, forget what is too old. It reads as the pipeline.

incidents = Incidents(store, settings, epoch=7, clock=time.time_ns, program=judged.program)
await incidents.run(cluster.in_epoch(7), tls=…, others=…)       # until cancelled
await incidents.intake.hand_in(detections, matches)             # what was found in this process
await incidents.intake.use(program)                             # when the policies have changed
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp

from watchkeeper_operator.bus.fetching import Collector, Progress, fetch
from watchkeeper_operator.incidents.intake import Intake
from watchkeeper_operator.incidents.notifying import Alertmanager, Notifier, Webhook
from watchkeeper_operator.incidents.projection import Projection
from watchkeeper_operator.store.bounds import Limits, trim
from watchkeeper_operator.store.documents import claim
from watchkeeper_operator.store.engine import reading, writing
from watchkeeper_operator.store.notices import count_notices
from watchkeeper_operator.store.progress import dropped

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy import Engine

    from watchkeeper_detection.program import Program
    from watchkeeper_operator.bus.messages import Message
    from watchkeeper_operator.cluster import Cluster
    from watchkeeper_operator.shapes import Object
    from watchkeeper_operator.watches import Watch

TRIM_SECONDS = 60.0
TRIM_AGAIN_SECONDS = 0.2  # while there is more to forget

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentSettings:
    """collectors  URLs, each a queue of its own: one Service where collectors share their queue, else each of them by its stable name
    webhook     where incidents are posted, signed with `secret`
    alertmanager  its URL, without path
    """

    collectors: tuple[str, ...] = ()
    webhook: str = field(default="", repr=False)
    secret: bytes = field(default=b"", repr=False)
    alertmanager: str = field(default="", repr=False)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Raises ValueError, with a text for users."""
        urls = {"collector": self.collectors, "webhook": (self.webhook,), "alertmanager": (self.alertmanager,)}
        wrong = [name for name, values in urls.items() for value in values if value and not value.startswith(("https://", "http://"))]
        if wrong:
            raise ValueError(f"no http or https URL: {', '.join(wrong)}")
        if self.webhook and not self.secret:
            raise ValueError("what a webhook gets is signed: a secret that the receiver knows has to be set")

    @property
    def receivers(self) -> tuple[Webhook | Alertmanager, ...]:
        found: list[Webhook | Alertmanager] = []
        if self.webhook:
            found.append(Webhook(self.webhook, self.secret))
        if self.alertmanager:
            found.append(Alertmanager(self.alertmanager))
        return tuple(found)


class Incidents:
    """Of one leader. `clock`: ns since the epoch; `spread`: 0 to 1, anew at each call."""

    def __init__(
        self, store: Engine, settings: IncidentSettings, *, epoch: int, clock: Callable[[], int], spread: Callable[[], float], program: Program
    ) -> None:
        self._store, self._settings, self._epoch, self._clock, self._spread = store, settings, epoch, clock, spread
        self._names = tuple(receiver.name for receiver in settings.receivers)
        self.intake = Intake(store, program, epoch=epoch, clock=clock, receivers=self._names)

    async def run(
        self,
        cluster: Cluster,
        *,
        tls: Callable[[], ssl.SSLContext],
        others: Callable[[Sequence[Message]], Awaitable[None]],
        attend: Callable[[str, Watch[Object]], None] | None = None,
    ) -> None:
        """Until cancelled. `cluster`: in this leader's epoch; `tls`: the operator's client context as it is now; `others`: sees every message;
        `attend`: told of the watch, for whoever looks whether it is alive.

        Raises StoreError (FencedError where a later leader writes), in an ExceptionGroup.
        """
        shown = Projection(cluster, self._store, self.intake.changed, epoch=self._epoch, clock=self._clock, receivers=self._names)
        if attend is not None:
            attend("watch of Incident", shown.watch)
        progress = Progress(self._settings.collectors, self._clock())
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session, asyncio.TaskGroup() as tasks:
            for url in self._settings.collectors:
                collector = Collector(url.rstrip("/"), session, tls)
                tasks.create_task(fetch(url, collector, self.intake, progress, others=others, clock=self._clock, spread=self._spread))
            tasks.create_task(shown.run())
            for receiver in self._settings.receivers:
                tasks.create_task(Notifier(receiver, self._store, epoch=self._epoch, clock=self._clock).run(session))
            tasks.create_task(self._forget())

    async def _forget(self) -> None:
        def forget() -> int:
            with writing(self._store) as connection:
                claim(connection, self._epoch)
                return trim(connection, self._settings.limits, now=self._clock())

        while True:
            gone = await asyncio.to_thread(forget)
            await asyncio.sleep(TRIM_AGAIN_SECONDS if gone else TRIM_SECONDS)

    def counts(self) -> dict[str, dict[tuple[str, str], int]]:
        """For metrics: `notices` by receiver and state, `dropped` by what and reason. Blocks. Raises StoreError."""
        with reading(self._store) as connection:
            return {"notices": count_notices(connection), "dropped": dropped(connection)}
