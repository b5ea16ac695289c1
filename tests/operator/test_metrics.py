from __future__ import annotations

from prometheus_client import generate_latest

from watchkeeper_operator.metrics import Metrics


def said(type_, status, reason):
    return {"type": type_, "status": status, "reason": reason}


def samples(metrics, name="watchkeeper_conditions{"):
    return [line for line in generate_latest(metrics.registry).decode().splitlines() if line.startswith(name)]


def test_conditions_are_counted_by_what_they_say():
    metrics = Metrics()
    blind, seeing = {"conditions": [said("Seeing", "False", "Blind")]}, {"conditions": [said("Seeing", "True", "Unhindered")]}
    nodes = {"a": blind, "b": seeing, "c": seeing}
    metrics.statuses.of("NodeSensor", nodes.values)
    assert samples(metrics) == [
        'watchkeeper_conditions{kind="NodeSensor",reason="Blind",status="False",type="Seeing"} 1.0',
        'watchkeeper_conditions{kind="NodeSensor",reason="Unhindered",status="True",type="Seeing"} 2.0',
    ]
    nodes["a"] = seeing
    assert samples(metrics) == ['watchkeeper_conditions{kind="NodeSensor",reason="Unhindered",status="True",type="Seeing"} 3.0']


def test_words_that_are_not_ours_make_no_series():
    metrics = Metrics()
    forged = [said("Accepted", "False", f"made-up-{number}") for number in range(100)]
    strange = [said(f"type-{number}", "False", "Invalid") for number in range(100)] + [said("Accepted", "Maybe", "Invalid")]
    metrics.statuses.of("RuntimePolicy", lambda: [{"conditions": [one]} for one in (*forged, *strange)])
    assert samples(metrics) == ['watchkeeper_conditions{kind="RuntimePolicy",reason="Other",status="False",type="Accepted"} 100.0']


def test_an_object_without_status_counts_for_nothing():
    metrics = Metrics()
    metrics.statuses.of("LogSource", lambda: [{}, {"conditions": None}])
    assert not samples(metrics)


def test_who_leads_no_longer_says_nothing():
    metrics = Metrics()
    metrics.statuses.of("NodeSensor", lambda: [{"conditions": [said("Connected", "False", "Silent")]}])
    metrics.statuses.clear()
    assert not samples(metrics)


def test_rules_that_cannot_fire_are_told_once_canaries_were_sent():
    metrics = Metrics()
    logs = [{}, {"coverage": {"blind": 1}}]
    metrics.statuses.of("LogSource", lambda: logs)
    assert samples(metrics, "watchkeeper_audit_blind_rules") == ["watchkeeper_audit_blind_rules 1.0"]
    logs.pop()
    assert not samples(metrics, "watchkeeper_audit_blind_rules")
