from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from tests.support.detections import MARCH_12, SECOND, a_detection
from tests.support.events import a_policy, a_program
from tests.support.messages import a_message
from tests.support.spanning import SPANNING, a_denial

from watchkeeper_detection.detection import Act, Entity
from watchkeeper_detection.program import Program
from watchkeeper_detection.wire import Blind
from watchkeeper_operator.bus.messages import Message
from watchkeeper_operator.incidents.deciding import CROWD
from watchkeeper_operator.incidents.intake import Intake
from watchkeeper_operator.incidents.summary import Summary, decode
from watchkeeper_operator.store.documents import FencedError
from watchkeeper_operator.store.engine import open_engine, reading, writing
from watchkeeper_operator.store.incident_objects import due_objects, incident, mark_written
from watchkeeper_operator.store.incidents import moments_of
from watchkeeper_operator.store.notices import due_notices
from watchkeeper_operator.store.progress import blind_between, dropped
from watchkeeper_operator.store.schema import migrate
from watchkeeper_operator.store.tables import DetectionRow, IncidentRow

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from tests.operator.incidents.conftest import Clock

    from watchkeeper_detection.detection import Detection


def incidents(engine: Engine) -> dict[str, Summary]:
    """Open ones."""
    with reading(engine) as connection:
        return {row.id: decode(row.content) for row in connection.execute(select(IncidentRow.__table__).where(IncidentRow.merged_into == ""))}


def members(engine: Engine) -> set[frozenset[str]]:
    with reading(engine) as connection:
        found: dict[str, set[str]] = {}
        for row in connection.execute(select(DetectionRow.id, DetectionRow.incident)):
            found.setdefault(row.incident, set()).add(row.id)
    return {frozenset(part) for part in found.values()}


def take(intake: Intake, *detections: Detection, first: int = 1) -> None:
    messages = [a_message(number, one) for number, one in enumerate(detections, first)]
    asyncio.run(intake.take("queue", messages, complete_until=0))


def test_detections_of_one_workload_by_sensor_and_audit_are_one_incident(intake: Intake, engine: Engine) -> None:
    shell = a_detection(line=1, identity=None, act=Act(process="/bin/sh", process_id=7, pod="shop/cart-6f8d7b5c9-wz8rn", workload="shop/cart"))
    exec_ = a_detection(line=2, at=2, identity="alice", target="namespaces/shop/pods/cart-6f8d7b5c9-wz8rn", severity="P2")
    later = a_detection(line=3, at=60, identity="alice", target="namespaces/shop/secrets")
    other = a_detection(line=4, at=60, identity="bob")
    take(intake, shell, exec_, later, other)
    assert members(engine) == {frozenset({shell.id, exec_.id, later.id}), frozenset({other.id})}
    assert sorted((one.detections, one.severity) for one in incidents(engine).values()) == [(1, "P3"), (3, "P2")]


def test_a_detection_that_comes_twice_is_one(intake: Intake, engine: Engine) -> None:
    take(intake, a_detection(), a_detection())
    take(intake, a_detection(), first=3)
    assert [one.detections for one in incidents(engine).values()] == [1]


def test_a_detection_between_two_incidents_makes_them_one(intake: Intake, engine: Engine) -> None:
    one, other = a_detection(line=1, identity="alice"), a_detection(line=2, at=5, identity="bob")
    take(intake, one)
    take(intake, other, first=2)
    bridge = a_detection(line=3, at=9, identity="alice", target="namespaces/a/serviceaccounts/b")
    take(intake, bridge, a_detection(line=4, at=10, identity="bob", target="namespaces/a/serviceaccounts/b"), first=3)
    assert len(members(engine)) == 1
    (summary,) = incidents(engine).values()
    assert summary.detections == 4


def test_what_is_only_to_be_recorded_opens_no_incident(intake: Intake, engine: Engine) -> None:
    take(intake, a_detection(severity="P4"))
    assert incidents(engine) == {}
    assert members(engine) == {frozenset({a_detection().id})}


def test_policies_of_different_namespaces_never_meet(intake: Intake, engine: Engine) -> None:
    take(
        intake, a_detection(line=1, namespace="shop"), a_detection(line=2, namespace="watchkeeper"), a_detection(line=3, namespace="bank"), a_detection(line=4)
    )
    assert sorted(len(part) for part in members(engine)) == [1, 1, 2]  # where the namespace is not said, it is root's


def test_an_incident_that_a_person_closed_takes_nothing_more_in(intake: Intake, engine: Engine) -> None:
    take(intake, a_detection(line=1))
    with writing(engine) as connection:
        connection.execute(text("UPDATE incidents SET closed_at = 1"))
    take(intake, a_detection(line=2, at=1), first=2)
    assert len(members(engine)) == 2


def test_one_rule_opens_few_incidents_and_then_one_more(intake: Intake, engine: Engine) -> None:
    take(intake, *(a_detection(line=number, identity=f"user-{number}", at=number / 1000) for number in range(1, 500)))
    found = incidents(engine).values()
    assert len(found) == CROWD + 1
    assert sum(one.detections for one in found) == 499


def test_an_event_of_a_clock_that_runs_ahead_counts_as_now(intake: Intake, engine: Engine) -> None:
    (message,) = [a_message(1, a_detection(at=10**9), received_at=MARCH_12 * SECOND)]
    asyncio.run(intake.take("queue", [message], complete_until=0))
    assert [one.last for one in incidents(engine).values()] == [MARCH_12 * SECOND]


def test_matches_from_several_nodes_are_joined_when_nothing_earlier_can_come(intake: Intake, engine: Engine) -> None:
    async def deliver() -> None:
        await intake.use(SPANNING)
        at = (MARCH_12 + 3) * SECOND
        await intake.take("queue", [a_message(n, a_denial(n, n), source=f"node/{n}") for n in (1, 2, 3)], complete_until=at)
        assert incidents(engine) == {}
        await intake.take("queue", [], complete_until=at + 20 * SECOND)

    asyncio.run(deliver())
    assert [one.lines[next(iter(one.lines))].message for one in incidents(engine).values()] == ["alice was denied often (3 times)"]


@pytest.mark.parametrize("restarts_after", [1, 2, 3])
def test_windows_live_through_a_restart(engine: Engine, clock: Clock, restarts_after: int) -> None:
    async def deliver() -> None:
        intake = Intake(engine, SPANNING, epoch=1, clock=clock)
        for number in (1, 2, 3):
            await intake.take("queue", [a_message(number, a_denial(number, number))], complete_until=MARCH_12 * SECOND)
            if number == restarts_after:
                intake = Intake(engine, SPANNING, epoch=2, clock=clock)
        await intake.take("queue", [], complete_until=(MARCH_12 + 30) * SECOND)

    asyncio.run(deliver())
    assert [one.detections for one in incidents(engine).values()] == [1]


def test_a_match_that_comes_twice_counts_once(engine: Engine, clock: Clock) -> None:
    async def deliver() -> None:
        intake = Intake(engine, SPANNING, epoch=1, clock=clock)
        await intake.take("queue", [a_message(n, a_denial(1, 1)) for n in (1, 2, 3)], complete_until=(MARCH_12 + 30) * SECOND)

    asyncio.run(deliver())
    assert incidents(engine) == {}


def test_windows_live_through_a_snapshot_and_other_policies(engine: Engine, clock: Clock) -> None:
    async def deliver() -> None:
        intake = Intake(engine, SPANNING, epoch=1, clock=clock)
        await intake.take("queue", [a_message(n, a_denial(n, n)) for n in (1, 2)], complete_until=MARCH_12 * SECOND)
        await intake.use(
            Program(rules=(*SPANNING.rules, *a_program(a_policy("- {name: any, on: [audit.request], when: audit.verb == 'x', severity: P3}")).rules))
        )
        await intake.take("queue", [a_message(3, a_denial(3, 3))], complete_until=(MARCH_12 + 30) * SECOND)

    asyncio.run(deliver())
    assert [one.detections for one in incidents(engine).values()] == [1]


def test_a_state_that_is_damaged_begins_anew_and_says_blind(engine: Engine, clock: Clock) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO snapshots VALUES ('joins', 1, :content)"), {"content": b"\xc1"})
    take(Intake(engine, SPANNING, epoch=1, clock=clock), a_detection())
    with reading(engine) as connection:
        assert [interval.cause for _, interval in blind_between(connection, 0, 2**62)] == ["state_damaged"]


def test_a_message_that_can_not_be_read_is_blind_and_holds_up_nothing(intake: Intake, engine: Engine) -> None:
    async def deliver() -> None:
        damaged = Message(1, "detection", "node/a", MARCH_12 * SECOND, b"\x07nonsense")
        await intake.take("queue", [damaged, a_message(2, a_detection()), a_message(3, a_detection(id="../../etc"))], complete_until=0)
        for number, wrong in enumerate(
            ({"policy": "a/b"}, {"rule": "\0"}, {"namespace": "A"}, {"attack": ("x",)}, {"entities": (Entity("Actor", "pod", "x"),)}), 4
        ):
            await intake.take("queue", [a_message(number, a_detection(at=number, **wrong))], complete_until=0)

    asyncio.run(deliver())
    assert [one.detections for one in incidents(engine).values()] == [1]
    with reading(engine) as connection:
        assert dropped(connection) == {("message", "damaged"): 7}
        assert [(source, interval.cause) for source, interval in blind_between(connection, 0, 2**62)] == [("node/a", "damaged")] * 7


def test_losses_are_kept_as_blind_intervals_each_once(intake: Intake, engine: Engine) -> None:
    async def deliver() -> None:
        interval = Blind(cause="ring_full", since=MARCH_12 * SECOND, until=(MARCH_12 + 4) * SECOND, records={"process.exec": 3})
        await intake.take("queue", [a_message(1, interval), a_message(2, interval), a_message(3, interval, source="node/b")], complete_until=0)

    asyncio.run(deliver())
    with reading(engine) as connection:
        assert [(source, one.records) for source, one in blind_between(connection, (MARCH_12 + 4) * SECOND, 2**62)] == [
            ("node/a", {"process.exec": 3}),
            ("node/b", {"process.exec": 3}),
        ]
        assert blind_between(connection, (MARCH_12 + 5) * SECOND, 2**62) == []


def test_a_loss_of_times_that_can_not_be_is_cut_to_such_that_can(intake: Intake, engine: Engine) -> None:
    day = 24 * 3600 * SECOND
    wrong = (Blind(cause="x", since=-5, until=2**64 - 1), Blind(cause="y", since=2**63, until=0))
    asyncio.run(intake.take("queue", [a_message(n, one, received_at=MARCH_12 * SECOND) for n, one in enumerate(wrong, 1)], complete_until=0))
    with reading(engine) as connection:
        found = [(one.cause, one.since, one.until) for _, one in blind_between(connection, 0, 2**62)]
    assert found == [("x", MARCH_12 * SECOND - 30 * day, (MARCH_12 + 600) * SECOND), ("y", MARCH_12 * SECOND, MARCH_12 * SECOND)]


def test_an_older_leader_takes_nothing_in(intake: Intake, engine: Engine, clock: Clock) -> None:
    take(Intake(engine, Program(), epoch=2, clock=clock), a_detection(line=1))
    with pytest.raises(FencedError):
        take(intake, a_detection(line=2, at=1), first=2)
    assert members(engine) == {frozenset({a_detection(line=1).id})}


def test_the_position_moves_with_what_was_taken(intake: Intake, engine: Engine, clock: Clock) -> None:
    take(intake, a_detection(line=1), a_detection(line=2), first=41)
    assert asyncio.run(Intake(engine, Program(), epoch=1, clock=clock).position("queue")) == 42
    assert asyncio.run(intake.position("another")) == 0


def test_times_say_when_it_happened_was_received_and_was_detected(intake: Intake, engine: Engine, clock: Clock) -> None:
    take(intake, a_detection(at=2))
    with reading(engine) as connection:
        (moments,) = moments_of(connection, incidents(engine)).values()
    assert moments == {"t1": (MARCH_12 + 2) * SECOND, "t2": (MARCH_12 + 3) * SECOND, "t3": clock.now}


def test_a_person_is_told_when_an_incident_opens_and_when_it_becomes_graver(intake: Intake, engine: Engine, clock: Clock) -> None:
    take(intake, a_detection(line=1))
    take(intake, a_detection(line=2, at=1), first=2)
    take(intake, a_detection(line=3, at=2, severity="P1"), first=3)
    with reading(engine) as connection:
        assert sorted(notice.occasion for notice in due_notices(connection, "webhook", now=clock.now)) == ["graver P1", "opened P3"]


def a_few(draw: st.DrawFn) -> list[Detection]:
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 7200), st.sampled_from(["alice", "bob", None]), st.sampled_from(["x", "y", "z"]), st.sampled_from(["P1", "P3"])),
            min_size=1,
            max_size=10,
        )
    )
    return [
        a_detection(line=number, at=at, identity=identity, target=f"namespaces/shop/pods/{pod}", severity=severity, rule=f"rule-{number % 3}")
        for number, (at, identity, pod, severity) in enumerate(rows, 1)
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arriving=st.composite(a_few)(), random=st.randoms(use_true_random=False), cuts=st.lists(st.integers(1, 5), max_size=4))
def test_incidents_do_not_depend_on_order_batches_and_duplicates(
    arriving: list[Detection], random: object, cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    def outcome(delivered: list[list[Detection]]) -> list[tuple[frozenset[str], object]]:
        engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('order') / 'store.db'}")
        migrate(engine)
        intake = Intake(engine, Program(), epoch=1, clock=lambda: MARCH_12 * SECOND)
        for part in delivered:
            take(intake, *part)
        with reading(engine) as connection:
            rows = {row.id: row.incident for row in connection.execute(select(DetectionRow.id, DetectionRow.incident))}
        found = incidents(engine)
        engine.dispose()
        return sorted((sorted(name for name, of in rows.items() if of == incident), summary) for incident, summary in found.items())

    shuffled = [*arriving, *arriving[:3]]
    random.shuffle(shuffled)
    parts, rest = [], shuffled
    for cut in cuts:
        parts.append(rest[:cut])
        rest = rest[cut:]
    assert outcome([arriving]) == outcome([*parts, rest])


@pytest.mark.parametrize(("later", "is_due"), [(60, True), (600, False)])
def test_what_makes_no_incident_and_comes_beside_one_is_written_into_its_object(
    intake: Intake, engine: Engine, clock: Clock, later: int, *, is_due: bool
) -> None:
    take(intake, a_detection(line=1, at=10, identity="alice"))
    with writing(engine) as connection:
        (due,) = due_objects(connection, most=9)
        mark_written(connection, due, now=clock.now)
    clock.now += SECOND
    take(intake, a_detection(line=2, at=10 + later, identity="alice", severity="P4"), a_detection(line=3, at=10, identity="bob", severity="P4"), first=2)
    with reading(engine) as connection:
        assert [one.id for one in due_objects(connection, most=9)] == [due.id] * is_due


def test_incidents_that_are_new_are_written_before_those_that_go_on_and_the_gravest_of_these_first(intake: Intake, engine: Engine, clock: Clock) -> None:
    take(intake, a_detection(line=1, identity="alice", severity="P1"))
    with writing(engine) as connection:
        (old,) = due_objects(connection, most=9)
        mark_written(connection, old, now=clock.now)
    clock.now += SECOND
    take(intake, a_detection(line=2, at=5, identity="alice", severity="P1"), a_detection(line=3, identity="bob"), first=2)
    take(intake, a_detection(line=4, identity="carol", severity="P2"), first=4)
    with reading(engine) as connection:
        due = due_objects(connection, most=9)
        assert [one.is_new for one in due] == [True, True, False]
        assert [incident(connection, one.id).severity for one in due] == ["P2", "P3", "P1"]  # type: ignore[union-attr] (all are there)
