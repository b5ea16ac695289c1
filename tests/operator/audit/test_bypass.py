"""A process that came into a container is unasked for when the audit log, complete past that moment, has no exec that explains it."""

from __future__ import annotations

from watchkeeper_detection import wire
from watchkeeper_detection.detection import Act, Detection, detection_id
from watchkeeper_operator.audit.bypass import Bypasses, pod_of
from watchkeeper_operator.bus.messages import Message

SECOND = 10**9
NOON = 1_773_300_000 * SECOND


def at(seconds: float) -> int:
    return NOON + round(seconds * SECOND)


def _detection(rule: str, number: int, seconds: float, **parts) -> Detection:
    defaults = {"title": "t", "severity": "P4", "confidence": "low", "attack": ("T1609",), "message": "sh was started", "source": "kernel", "places": ()}
    events = (f"{rule}:{number}",)
    return Detection(
        id=detection_id("exec-past-audit", rule, events), policy="exec-past-audit", rule=rule, event_ids=events, observed_at=at(seconds), **(defaults | parts)
    )


def entered(number: int, seconds: float, pod: str = "shop/web", process: int | None = None) -> Detection:
    act = Act(process="/bin/sh", process_id=process or number, pod=pod, container_id="c1")
    return _detection("entered", number, seconds, kind="process.exec", act=act)


def session(number: int, seconds: float, pod: str = "shop/web") -> Detection:
    namespace, name = pod.split("/")
    return _detection("session", number, seconds, kind="audit.request", target=f"namespaces/{namespace}/pods/{name}")


def decided(*detections: Detection, complete: float = 1000, now: float = 1000) -> list[str]:
    bypasses = Bypasses()
    for one in detections:
        bypasses.take_detection(one)
    return [one.event_ids[0] for one in bypasses.decide(at(complete), at(now))]


def test_a_process_that_no_exec_explains_is_unasked_for():
    assert decided(entered(1, 100)) == ["entered:1"]


def test_an_exec_shortly_before_explains_it_whichever_comes_first():
    assert decided(session(1, 99), entered(1, 100)) == []
    assert decided(entered(1, 100), session(1, 99)) == []


def test_an_exec_long_before_of_another_pod_or_well_after_explains_nothing():
    assert decided(session(1, 30), entered(1, 100)) == ["entered:1"]
    assert decided(session(1, 99, "shop/db"), entered(1, 100)) == ["entered:1"]
    assert decided(session(1, 110), entered(1, 100)) == ["entered:1"]


def test_one_exec_explains_one_process():
    assert decided(session(1, 99), entered(1, 100), entered(2, 101)) == ["entered:2"]
    assert decided(session(1, 99), session(2, 100.5), entered(1, 100), entered(2, 101)) == []


def test_a_process_that_runs_another_program_is_the_same_one():
    assert decided(session(1, 99), entered(1, 100, process=7), entered(2, 100.2, process=7)) == []


def test_nothing_is_claimed_before_the_log_is_complete_past_the_process():
    bypasses = Bypasses()
    bypasses.take_detection(entered(1, 100))
    assert bypasses.decide(at(114), at(200)) == []
    bypasses.take_detection(session(1, 99))
    assert bypasses.decide(at(115), at(200)) == []


def test_where_the_log_is_silent_nothing_is_claimed_and_it_is_counted():
    bypasses = Bypasses()
    bypasses.take_detection(entered(1, 100))
    assert bypasses.decide(at(50), at(600)) == []
    assert bypasses.undecided == 0
    assert bypasses.decide(at(50), at(701)) == []
    assert bypasses.undecided == 1


def test_what_comes_twice_is_told_once_and_always_by_the_same_id():
    bypasses = Bypasses()
    for _ in range(2):
        bypasses.take([Message(1, "detection", "node/u", NOON, wire.encode(entered(1, 100)))])
    first = bypasses.decide(at(1000), at(1000))
    bypasses.take_detection(entered(1, 100))
    assert bypasses.decide(at(1000), at(1000)) == []
    other = Bypasses()
    other.take_detection(entered(1, 100))
    assert [one.id for one in other.decide(at(1000), at(1000))] == [one.id for one in first]


def test_it_is_two_ranks_worse_than_the_record_and_keeps_who_acted():
    bypasses = Bypasses()
    bypasses.take_detection(entered(1, 100))
    (found,) = bypasses.decide(at(1000), at(1000))
    assert (found.rule, found.severity, found.act) == ("unasked", "P2", entered(1, 100).act)
    assert found.message == "sh was started; the API server was asked for no exec in that pod"


def test_of_more_than_can_wait_the_oldest_are_counted_as_undecided():
    bypasses = Bypasses()
    for number in range(10_005):
        bypasses.take_detection(entered(number + 1, 100))
    assert bypasses.undecided == 5


def test_targets_that_are_no_pod_are_none():
    assert pod_of("namespaces/shop/pods/web") == "shop/web"
    assert [pod_of(target) for target in (None, "", "nodes/n1", "namespaces/shop/secrets/web", "namespaces/a/pods/b/c")] == [""] * 5
