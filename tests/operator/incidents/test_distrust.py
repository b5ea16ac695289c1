"""What a node may not say, or who shows its token as well, becomes a detection of root."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import select

from watchkeeper_detection.wire import WireError
from watchkeeper_operator.bus.messages import Discarded, Message
from watchkeeper_operator.incidents.distrust import detection_of
from watchkeeper_operator.incidents.intake import is_well_named
from watchkeeper_operator.store.engine import reading
from watchkeeper_operator.store.tables import DetectionRow, IncidentRow

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from watchkeeper_operator.incidents.intake import Intake

NOW = 1_773_282_600_000_000_000


def a_report(number: int = 1, **fields: object) -> Message:
    told = Discarded(**({"reason": "AnotherNodesPod", "node_uid": "uid-1", "node_name": "n1", "pod": "shop/cart", "policy": "watchkeeper/shell"} | fields))
    return Message(number, "discarded", "node/uid-1", NOW + number, msgspec.msgpack.encode(told))


@pytest.mark.parametrize(
    ("reason", "rule", "severity"),
    [
        ("AnotherNodesPod", "forged", "P2"),
        ("AnotherIdentity", "forged", "P2"),
        ("NotItsKind", "forged", "P2"),
        ("Unreadable", "forged", "P3"),
        ("PodUnknown", "unknown", "P4"),
        ("PolicyUnknown", "unknown", "P4"),
        ("NotCovered", "unknown", "P4"),
        ("SecondCertificate", "second-certificate", "P2"),
        ("SomethingThatALaterCollectorSays", "forged", "P2"),
    ],
)
def test_each_reason_has_its_rule_and_gravity(reason: str, rule: str, severity: str) -> None:
    found = detection_of(a_report(reason=reason))
    assert (found.rule, found.severity, found.namespace) == (rule, severity, "watchkeeper")
    assert is_well_named(found)


def test_the_same_message_is_the_same_detection_and_another_is_another() -> None:
    assert detection_of(a_report(1)) == detection_of(a_report(1))
    assert detection_of(a_report(1)).id != detection_of(a_report(2)).id


def test_it_says_which_node_spoke_of_what() -> None:
    assert detection_of(a_report(count=3)).message == (
        "node n1 reported what it may not speak of, which was discarded: AnotherNodesPod, times 3, about shop/cart, by policy watchkeeper/shell"
    )


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(WireError):
        detection_of(Message(1, "discarded", "node/uid-1", NOW, b"\x00"))


def test_a_thousand_reports_of_a_node_are_one_incident_of_root(intake: Intake, engine: Engine) -> None:
    asyncio.run(intake.take("queue", [a_report(number) for number in range(1, 1001)], complete_until=0))
    with reading(engine) as connection:
        scopes = connection.execute(select(IncidentRow.scope).where(IncidentRow.merged_into == "")).scalars().all()
        detections = connection.execute(select(DetectionRow.id)).all()
    assert scopes == ["watchkeeper"]
    assert len(detections) == 1000
