"""Notices against a real HTTP server on the loopback."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import select
from tests.support.detections import SECOND, a_detection
from tests.support.messages import a_message

from watchkeeper_operator.incidents.notifying import Alertmanager, Notifier, Webhook
from watchkeeper_operator.incidents.running import IncidentSettings
from watchkeeper_operator.store.engine import reading, writing
from watchkeeper_operator.store.notices import MOST, Notice, add_notices, count_notices, due_notices, notice_failed
from watchkeeper_operator.store.progress import dropped
from watchkeeper_operator.store.tables import NoticeRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import Engine
    from tests.operator.incidents.conftest import Clock

    from watchkeeper_operator.incidents.intake import Intake

HOUR = 3600 * SECOND


@dataclass
class Posted:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Answers what `answers` says in turn, then 200."""

    url: str = ""
    posted: list[Posted] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.posted.append(Posted(request.path, dict(request.headers), await request.read()))
        status, headers = self.answers.pop(0) if self.answers else (200, {})
        return web.Response(status=status, headers=headers)


@asynccontextmanager
async def a_receiver(*answers: tuple[int, dict[str, str]]) -> AsyncIterator[Receiver]:
    receiver = Receiver(answers=list(answers))
    runner = web.ServerRunner(web.Server(receiver.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield receiver
    await runner.cleanup()


async def opened(intake: Intake) -> None:
    await intake.take("queue", [a_message(1, a_detection(message="curl --token=abcdef0123 evil", runbook="What to check: the pod."))], complete_until=0)


async def told_until(notifier: Notifier, holds: Callable[[], bool]) -> None:
    async with aiohttp.ClientSession() as session:
        task = asyncio.create_task(notifier.run(session))
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 (the receiver is another program)
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()


def attempts(engine: Engine) -> int:
    """Of the one notice there is, as they are written down."""
    with reading(engine) as connection:
        return connection.execute(select(NoticeRow.attempts)).scalar_one()


def counts(engine: Engine) -> dict[tuple[str, str], int]:
    with reading(engine) as connection:
        return count_notices(connection)


def test_a_webhook_gets_the_incident_signed(intake: Intake, engine: Engine, clock: Clock) -> None:
    async def run() -> None:
        await opened(intake)
        async with a_receiver() as receiver:
            await told_until(Notifier(Webhook(f"{receiver.url}/hook", b"s3cret"), engine, epoch=1, clock=clock), lambda: counts(engine) == {})
            (posted,) = receiver.posted
            moment = posted.headers["X-Watchkeeper-Timestamp"]
            expected = hmac.new(b"s3cret", f"{moment}.".encode() + posted.body, hashlib.sha256).hexdigest()
            assert posted.headers["X-Watchkeeper-Signature"] == f"sha256={expected}"
            assert int(moment) == clock.now // SECOND
            told = posted.json
            assert (told["occasion"], told["severity"], told["namespace"], told["detections"]) == ("opened", "P3", "watchkeeper", 1)
            assert told["next"] == ["watchkeeper/k8s-pod-exec: What to check: the pod."]
            assert b"abcdef0123" not in posted.body

    asyncio.run(run())


def test_what_was_not_taken_is_told_again_also_after_a_restart(intake: Intake, engine: Engine, clock: Clock) -> None:
    async def run() -> None:
        await opened(intake)
        async with a_receiver((503, {}), (429, {"Retry-After": "120"})) as receiver:
            webhook = Webhook(receiver.url, b"s3cret")
            await told_until(Notifier(webhook, engine, epoch=1, clock=clock), lambda: len(receiver.posted) == 1)
            clock.now += 6 * SECOND
            await told_until(Notifier(webhook, engine, epoch=2, clock=clock), lambda: len(receiver.posted) == 2)
            clock.now += 119 * SECOND
            with reading(engine) as connection:
                assert due_notices(connection, "webhook", now=clock.now) == []
            clock.now += 2 * SECOND
            await told_until(Notifier(webhook, engine, epoch=3, clock=clock), lambda: counts(engine) == {})
            assert len({posted.body for posted in receiver.posted}) == 1

    asyncio.run(run())


def test_who_refuses_ten_times_is_given_up_and_kept_as_dead(intake: Intake, engine: Engine, clock: Clock) -> None:
    async def run() -> None:
        await opened(intake)
        async with a_receiver(*[(401, {})] * 10) as receiver:
            notifier = Notifier(Webhook(receiver.url, b"wrong"), engine, epoch=1, clock=clock)
            for number in range(1, 11):
                await told_until(notifier, lambda number=number: attempts(engine) == number)
                clock.now += HOUR
        assert counts(engine) == {("webhook", "dead"): 1}

    asyncio.run(run())


def test_nobody_is_told_of_yesterday(intake: Intake, engine: Engine, clock: Clock) -> None:
    async def run() -> None:
        await opened(intake)
        clock.now += 25 * HOUR
        await told_until(Notifier(Webhook("http://127.0.0.1:1", b"s"), engine, epoch=1, clock=clock), lambda: ("webhook", "dead") in counts(engine))

    asyncio.run(run())


def test_a_redirect_is_not_followed(intake: Intake, engine: Engine, clock: Clock) -> None:
    async def run() -> None:
        await opened(intake)
        async with a_receiver() as other, a_receiver((307, {"Location": other.url})) as receiver:
            await told_until(Notifier(Webhook(receiver.url, b"s"), engine, epoch=1, clock=clock), lambda: len(receiver.posted) == 1)
            assert other.posted == []
        assert counts(engine) == {("webhook", "waiting"): 1}

    asyncio.run(run())


def test_alertmanager_gets_labels_that_stay_and_times(engine: Engine, clock: Clock, intake: Intake) -> None:
    async def run() -> None:
        await opened(intake)
        with writing(engine) as connection:
            (notice,) = due_notices(connection, "webhook", now=clock.now)
            add_notices(connection, [a_row(notice, clock.now)])
        async with a_receiver() as receiver:
            await told_until(
                Notifier(Alertmanager(f"{receiver.url}/"), engine, epoch=1, clock=clock), lambda: ("alertmanager", "waiting") not in counts(engine)
            )
            (posted,) = receiver.posted
            (alert,) = posted.json
            assert posted.path == "/api/v2/alerts"
            assert alert["labels"] == {"alertname": "WatchkeeperIncident", "incident": notice.incident, "namespace": "watchkeeper", "severity": "P3"}
            assert alert["startsAt"] == "2026-03-12T02:30:00Z"
            assert alert["endsAt"] > alert["startsAt"]
            assert "runbook" in alert["annotations"]

    asyncio.run(run())


def a_row(notice: Notice, now: int, **changes: object) -> dict[str, Any]:
    row = {"receiver": "alertmanager", "incident": notice.incident, "occasion": notice.occasion, "state": "waiting", "made_at": now, "due_at": now}
    return row | {"attempts": 0, "reason": "", "body": notice.body} | changes


def test_notices_are_bounded_and_the_dead_make_room_first(engine: Engine) -> None:
    notice = Notice("webhook", "inc-1", "opened P1", 1, 0, b"{}")
    with writing(engine) as connection:
        add_notices(connection, [a_row(notice, 1, incident=f"inc-{number}") for number in range(MOST)])
        first = due_notices(connection, "alertmanager", now=1, most=1)[0]
        notice_failed(connection, first, "it answers HTTP 401", due_at=None)
        add_notices(connection, [a_row(notice, 2, incident=f"new-{number}") for number in range(3)])
        assert count_notices(connection) == {("alertmanager", "waiting"): MOST}
        assert dropped(connection) == {("notice", "full"): 2}


@pytest.mark.parametrize(
    "wrong", [{"webhook": "ftp://x", "secret": b"s"}, {"webhook": "https://x"}, {"alertmanager": "file:///etc/passwd"}, {"collectors": ("x",)}]
)
def test_settings_that_can_not_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"URL|secret"):
        IncidentSettings(**wrong)


def test_settings_show_no_secret() -> None:
    shown = repr(IncidentSettings(webhook="https://x/t0ken", secret=b"s3cret"))
    assert "s3cret" not in shown
    assert "t0ken" not in shown
