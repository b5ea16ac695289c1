"""What `status` makes of what was read: blind is never told as well, and unknown never as either."""

from __future__ import annotations

import msgspec
import pytest
from tests.support.seen_objects import NOW, a_deployment, a_lease, a_log_source, a_node_sensor, a_policy, a_sensor, an_incident, facts, said

from watchkeeper_cli.clustering.blind import blind_in
from watchkeeper_cli.clustering.door import Unread
from watchkeeper_cli.clustering.facts import COLLECTOR, OPERATOR
from watchkeeper_cli.clustering.overview import overview
from watchkeeper_cli.clustering.overview_lines import overview_lines
from watchkeeper_cli.clustering.processes import ConfigMap
from watchkeeper_cli.output.looks import Look
from watchkeeper_operator.shapes import Named

PLAIN = Look(colours=False, moves=False)


def blind(**parts):
    return [f"{one.what}: {one.why}" for one in blind_in(facts(**parts), NOW)]


def lines(**parts):
    return list(overview_lines(overview(facts(**parts), "tests", NOW), PLAIN, "now"))


def down(name):
    return {OPERATOR: a_deployment(), COLLECTOR: a_deployment(COLLECTOR)} | {name: a_deployment(name, ready=0)}


GAP = {"since": "2026-11-25T01:10:00Z", "until": "2026-11-25T01:20:00Z", "reason": "dropped", "records": 120}
OLD_GAP = GAP | {"since": "2026-11-20T01:10:00Z", "until": "2026-11-20T01:20:00Z"}
LOST = {"conditions": said(Connected=(True, "Reporting"), Seeing=(False, "Losing")), "lost": [{"cause": "ring_full", "records": 1200}]}

BLIND = {
    "an operator that is down": (
        {"deployments": down(OPERATOR)},
        "operator: 0 of 1 replica ready: nothing is joined into incidents, and all below is as it was then",
    ),
    "an operator of which none leads": ({"lease": a_lease(renewed="2026-11-25T01:50:00Z")}, "operator: nobody leads for 10m: nothing is joined into incidents"),
    "a Lease that was given back": ({"lease": a_lease(holder="")}, "operator: nobody leads for 5s: nothing is joined into incidents"),
    "a collector that is down": (
        {"deployments": down(COLLECTOR)},
        "collector: 0 of 1 replica ready: nodes keep what they find, audit events are lost after about 80 s",
    ),
    "no Sensor at all": ({"sensors": [], "node_sensors": []}, "all nodes: there is no Sensor: no node is watched"),
    "a node that no Sensor selects": (
        {"nodes": [msgspec.convert({"metadata": {"name": name}}, Named) for name in ("n1", "n9")]},
        "node n9: no Sensor selects it",
    ),
    "a node that is silent": (
        {"node_sensors": [a_node_sensor(heardAt="2026-11-25T01:20:00Z", conditions=said(Connected=(False, "Silent")))]},
        "node n1: silent, last heard 40m ago",
    ),
    "a node that nobody has heard": ({"node_sensors": [a_node_sensor(heardAt="", conditions=())]}, "node n1: its sensor was never heard"),
    "a node that lost records": ({"node_sensors": [a_node_sensor(**LOST)]}, "node n1: 1,200 records lost since the sensor started (ring_full)"),
    "a node that sees less than is asked": (
        {"node_sensors": [a_node_sensor(blindSpots=["no LSM programs"], conditions=said(Connected=(True, "Reporting"), Seeing=(False, "Blind")))]},
        "node n1: no LSM programs",
    ),
    "no log source": ({"log_sources": []}, "audit log: there is no LogSource: nothing that is asked of the API server is judged"),
    "a log source that never spoke": (
        {"log_sources": [a_log_source(lastRecordAt="", conditions=said(Receiving=(False, "NeverSeen")))]},
        "log source control-plane: no record has come yet",
    ),
    "a gap of today": ({"log_sources": [a_log_source(gaps=[GAP])]}, "log source control-plane: gap from 50m to 40m ago: dropped (120 records)"),
    "a gap that goes on": (
        {"log_sources": [a_log_source(gaps=[{"since": GAP["since"], "reason": "silent"}])]},
        "log source control-plane: gap since 50m ago: silent",
    ),
    "a policy that was refused": (
        {"policies": [a_policy(nodes=None, conditions=said(Accepted=(False, "OverQuota"), InForce=(False, "NotAccepted")))]},
        "policy k8s-pod-exec: OverQuota",
    ),
    "a policy that a node does not hold": (
        {
            "policies": [
                a_policy(
                    nodes={"total": 2, "inForce": 1, "failing": [{"node": "n2", "reason": "silent"}]},
                    conditions=said(Accepted=(True, "Compiled"), InForce=(False, "OnSomeNodes")),
                )
            ]
        },
        "policy k8s-pod-exec: OnSomeNodes (n2: silent)",
    ),
}


def test_nothing_is_blind_where_all_is_well():
    assert blind() == []
    assert overview(facts(), "tests", NOW).is_well
    assert "ok       nothing that policies ask for is blind" in lines()


@pytest.mark.parametrize("what", BLIND)
def test_blind_is(what):
    parts, words = BLIND[what]
    assert blind(**parts) == [words]
    assert not overview(facts(**parts), "tests", NOW).is_well


NOT_BLIND = {
    "a gap that was over days ago": {"log_sources": [a_log_source(gaps=[OLD_GAP])]},
    "a policy that is switched off": {"policies": [a_policy(conditions=said(Accepted=(True, "Compiled"), InForce=(False, "Disabled")))]},
    "a policy whose last good revision holds": {"policies": [a_policy(conditions=said(Accepted=(False, "Invalid"), InForce=(False, "LastGood")))]},
    "a node whose name only the Sensor knows, when nodes can't be listed": {"nodes": Unread("nodes", "you may not list nodes")},
    "a Lease by a clock that is a little behind ours": {"lease": a_lease(renewed="2026-11-25T01:59:20Z")},
}


@pytest.mark.parametrize("what", NOT_BLIND)
def test_not_blind_is(what):
    assert blind(**NOT_BLIND[what]) == []


def test_a_policy_whose_last_good_revision_holds_is_told_all_the_same():
    conditions = said(Accepted=(False, "Invalid"), InForce=(False, "LastGood"))
    assert any("k8s-pod-exec: Invalid; an older generation is in force" in line for line in lines(policies=[a_policy(conditions=conditions)]))


def test_of_many_blind_nodes_ten_are_named_and_the_others_counted():
    nodes = [a_node_sensor(f"n{number:02}", conditions=()) for number in range(25)]
    found = blind(node_sensors=nodes, nodes=[])
    assert len(found) == 11
    assert found[-1] == "15 more: nodes are blind"


UNREAD = ("sensors", "node_sensors", "log_sources", "policies", "incidents", "lease", "paused")


@pytest.mark.parametrize("part", UNREAD)
def test_what_could_not_be_read_is_unknown_and_not_well(part):
    found = overview(facts(**{part: Unread(part, f"you may not list {part}")}), "tests", NOW)
    assert found.unread == (f"you may not list {part}",)
    assert not found.is_well
    told = list(overview_lines(found, PLAIN, "now"))
    assert f"UNKNOWN  you may not list {part}" in told
    assert "ok       nothing that policies ask for is blind" not in told


def test_nodes_that_may_not_be_listed_make_nothing_unknown():
    assert overview(facts(nodes=Unread("nodes", "you may not list nodes")), "tests", NOW).is_well


def test_blind_comes_before_incidents_and_incidents_before_parts():
    told = lines(node_sensors=[a_node_sensor(conditions=())], incidents=[an_incident(severity="P1")])
    starts = [line.split()[0] for line in told if line]
    assert [word for word in starts if word in ("BLIND", "incidents", "operator", "policies")] == ["BLIND", "incidents", "operator", "policies"]


def test_incidents_are_counted_by_severity_and_closed_ones_not():
    found = overview(
        facts(
            incidents=[
                an_incident("a", severity="P1"),
                an_incident("b", severity="P1", spec={"owner": "alice"}),
                an_incident("c", severity="P3", spec={"closed": True}),
                an_incident("d", severity="P3", spec={"disposition": "FalsePositive"}),
            ]
        ),
        "tests",
        NOW,
    ).incidents
    assert found is not None
    assert (found.open, found.unowned) == ({"P1": 2}, 1)


def test_a_pause_is_told_whatever_stands_in_it():
    bare = msgspec.convert({"metadata": {"name": "watchkeeper-pause", "creationTimestamp": "2026-11-25T01:00:00Z"}}, ConfigMap)
    found = overview(facts(paused=bare), "tests", NOW)
    assert not found.is_well
    assert "PAUSED   responses, by ? at 2026-11-25T01:00:00Z" in list(overview_lines(found, PLAIN, "now"))


def test_a_sensor_that_is_being_rolled_out_says_how_far():
    conditions = said(Accepted=(True, "Valid"), Ready=(False, "RollingOut"))
    told = lines(sensors=[a_sensor(nodes={"selected": 3, "reporting": 3, "current": 1}, conditions=conditions)])
    assert "sensors      all-nodes: 3 of 3 nodes report; version 0.1.0 on 1, the others follow" in told


def test_what_attackers_name_is_escaped():
    told = lines(node_sensors=[a_node_sensor(blindSpots=["\x1b[2J"], conditions=said(Connected=(True, "Reporting"), Seeing=(False, "Blind")))])
    assert "BLIND    node n1: \\x1b[2J" in told
