from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from watchkeeper_detection.wire import Blind
from watchkeeper_operator.store.bounds import DAY_NS, Limits, detection_bytes, trim
from watchkeeper_operator.store.engine import writing
from watchkeeper_operator.store.incidents import add_detections, put_incidents
from watchkeeper_operator.store.progress import add_blind, dropped

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

NOW = 500 * DAY_NS
LARGE = Limits(detections=10**9, detections_age_ns=400 * DAY_NS, bytes=10**12)


def keep(connection: Connection, count: int, *, size: int = 10) -> None:
    """Detections of the last `count` days."""
    rows = [
        {
            "id": f"{day:032x}",
            "observed_at": NOW - day * DAY_NS,
            "stored_at": NOW,
            "scope": "watchkeeper",
            "policy": "p",
            "severity": "P3",
            "incident": "",
            "content": bytes(size),
        }
        for day in range(count)
    ]
    add_detections(connection, rows, [{"key": "k", "observed_at": row["observed_at"], "detection": row["id"]} for row in rows])


def days(connection: Connection) -> list[int]:
    return sorted(int(name, 16) for name in connection.execute(text("SELECT id FROM detections")).scalars())


def forget(connection: Connection, limits: Limits) -> None:
    while trim(connection, limits, now=NOW):
        pass


def test_what_is_too_old_goes_and_is_counted(engine: Engine) -> None:
    with writing(engine) as connection:
        keep(connection, 10)
        forget(connection, Limits(detections_age_ns=6 * DAY_NS))
        assert days(connection) == [0, 1, 2, 3, 4, 5, 6]
        assert dropped(connection) == {("detection", "age"): 3}


def test_of_too_many_the_oldest_go(engine: Engine) -> None:
    with writing(engine) as connection:
        keep(connection, 10)
        forget(connection, Limits(detections=4, detections_age_ns=400 * DAY_NS))
        assert days(connection) == [0, 1, 2, 3]
        assert dropped(connection) == {("detection", "room"): 6}


def test_of_too_many_bytes_the_oldest_go(engine: Engine) -> None:
    with writing(engine) as connection:
        keep(connection, 12, size=100_000)
        assert 1_200_000 < detection_bytes(connection) < 1_300_000
        forget(connection, Limits(bytes=600_000, detections_age_ns=400 * DAY_NS, at_once=2))
        assert days(connection) == [0, 1, 2, 3]
        assert dropped(connection)[("detection", "room")] == 8


def test_nothing_goes_that_is_within_all_limits(engine: Engine) -> None:
    with writing(engine) as connection:
        keep(connection, 10)
        add_blind(connection, "node/a", [Blind(cause="stopped", since=NOW - DAY_NS, until=NOW)])
        assert trim(connection, LARGE, now=NOW) == 0
        assert dropped(connection) == {}


def test_old_blind_intervals_go(engine: Engine) -> None:
    with writing(engine) as connection:
        add_blind(connection, "node/a", [Blind(cause="stopped", since=1, until=day * DAY_NS) for day in (1, 499)])
        forget(connection, LARGE)
        assert dropped(connection) == {("blind", "age"): 1}


def test_of_incidents_only_those_in_the_archive_go(engine: Engine) -> None:
    with writing(engine) as connection:
        row = {"scope": "watchkeeper", "severity": "P3", "opened_by": "r", "merged_into": "", "disposition": "", "owner": "", "content": b""}
        row |= dict.fromkeys(("opened_at", "first_seen", "last_seen", "changed_at", "written_at", "closed_at"), 1)
        rows = [{**row, "id": "inc-a", "archived_at": 0}, {**row, "id": "inc-b", "archived_at": 1}]
        put_incidents(connection, rows, [], [{"incident": one["id"], "moment": "t1", "at": 1} for one in rows])
        forget(connection, LARGE)
        assert list(connection.execute(text("SELECT id FROM incidents")).scalars()) == ["inc-a"]
        assert list(connection.execute(text("SELECT incident FROM moments")).scalars()) == ["inc-a"]
