from __future__ import annotations

from functools import reduce
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.detections import MARCH_12, SECOND, a_detection

from watchkeeper_detection.detection import Act
from watchkeeper_detection.wire import Blind
from watchkeeper_operator.incidents.objects import STATUS_BYTES, Known, status_of
from watchkeeper_operator.incidents.shares import shares_of
from watchkeeper_operator.incidents.summary import decode, encode, merged, summary_of
from watchkeeper_operator.resources.incident import Incident

HOSTILE = st.text(st.characters(codec="utf-8"), max_size=300) | st.sampled_from(["é" * 3000, "\x1b[31m", "\u202e" * 200, "--password=hunter2 " * 50, "\0", " "])


def known_of(*detections: Any, **fields: Any) -> Known:
    summary = reduce(merged, [summary_of(one, shares_of(one)) for one in detections])
    return Known(**({"id": "inc-1", "scope": "watchkeeper", "summary": decode(encode(summary)), "moments": {"t1": 1, "t5": 2}} | fields))


def shown(known: Known) -> dict[str, Any]:
    return status_of(known, before=(), generation=1, now=MARCH_12 * SECOND)


def as_object(status: dict[str, Any]) -> Incident:
    """As the API server would check it: raises where it is refused."""
    metadata = {"name": "inc-1", "namespace": "watchkeeper"}
    return Incident.model_validate({"apiVersion": "watchkeeper.dev/v1alpha1", "kind": "Incident", "metadata": metadata, "spec": {}, "status": status})


@settings(deadline=None, max_examples=60)
@given(texts=st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE, HOSTILE), min_size=1, max_size=6), copies=st.integers(1, 60))
def test_whatever_was_detected_it_is_a_valid_object_within_its_size(texts: list[tuple[str, str, str, str]], copies: int) -> None:
    detections = []
    for number, (a, b, c, d) in enumerate(texts * copies):
        act = Act(process=a, process_id=1, pod="shop/web", image=c, container_id=d, node=b)
        told = {"message": a, "title": b, "identity": f"{c}{number}", "target": d, "runbook": a, "act": act}
        detections.append(a_detection(line=number, at=number, rule=f"rule-{number}", **told))
    blind = [(a, Blind(cause=b or "x", since=1, until=2, records={c: 3})) for a, b, c, _ in texts]
    status = shown(known_of(*detections, blind=blind, context=detections[:3]))
    as_object(status)
    encoded = msgspec.json.encode(status)
    assert len(encoded) <= STATUS_BYTES
    assert b"hunter2" not in encoded
    assert "\x1b" not in encoded.decode()
    assert status["detections"] == len(detections)


def test_a_grave_line_among_many_is_shown_as_are_the_first_and_the_newest() -> None:
    lines = [a_detection(line=n, at=n, rule=f"rule-{n}", severity="P1" if n == 70 else "P3") for n in range(1, 151)]
    status = shown(known_of(*lines))
    rules = [entry["rule"] for entry in status["timeline"]]
    assert {"rule-1", "rule-70", "rule-150"} <= set(rules)
    assert len(rules) == 50
    assert rules == sorted(rules, key=lambda rule: int(rule.removeprefix("rule-")))
    assert status["entriesLeftOut"] == 100


def test_times_are_those_that_are_known() -> None:
    assert shown(known_of(a_detection()))["times"] == {
        "began": "2026-03-12T02:30:00Z",
        "recorded": "1970-01-01T00:00:00.000000001Z",
        "declared": "1970-01-01T00:00:00.000000002Z",
    }


def test_conditions_say_who_has_it_and_how_it_ended() -> None:
    def conditions(**fields: Any) -> dict[str, tuple[str, str]]:
        return {one["type"]: (one["status"], one["reason"]) for one in shown(known_of(a_detection(), **fields))["conditions"]}

    assert conditions() == {"Acknowledged": ("False", "NobodyYet"), "Contained": ("False", "NoAction"), "Closed": ("False", "GoingOn")}
    assert conditions(owner="alice")["Acknowledged"] == ("True", "OwnerSet")
    assert conditions(disposition="Benign", closed_at=5)["Closed"] == ("True", "Disposed")


def test_what_a_namespace_could_not_see_is_told_without_where() -> None:
    blind = [("node/secret", Blind(cause="ring_full", since=1, until=2))]
    tenants = shown(known_of(a_detection(namespace="shop"), scope="shop", blind=blind))
    assert tenants["blindSpots"] == ["1 times a sensor or log did not see everything meanwhile"]
    assert [entry["message"] for entry in tenants["timeline"] if entry["what"] == "blind"] == ["from here on a sensor or log did not see everything"]
    assert b"node/secret" not in msgspec.json.encode(tenants)
    assert b"node/secret" in msgspec.json.encode(shown(known_of(a_detection(), blind=blind)))


def test_times_of_one_source_without_sight_for_one_cause_are_one_entry() -> None:
    blind = [
        ("rbac", Blind(cause="relisted", since=1, until=5, records={"a": 1})),
        ("rbac", Blind(cause="relisted", since=2, until=9, records={"a": 2, "b": 1})),
        ("rbac", Blind(cause="stopped", since=3, until=4)),
        ("node/1", Blind(cause="relisted", since=4, until=5)),
    ]
    status = shown(known_of(a_detection(), blind=blind))
    entries = [entry["message"] for entry in status["timeline"] if entry["what"] == "blind"]
    assert len(entries) == 3
    assert entries[0].startswith("rbac: relisted, 4 records not told (a, b), from 1970-01-01T00:00:00.000000001Z until 1970-01-01T00:00:00.000000009Z")
    assert sorted(entries) == sorted(status["blindSpots"])
