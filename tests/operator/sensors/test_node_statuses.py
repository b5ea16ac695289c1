"""What a node says of itself becomes a status that the API server takes, whatever it says."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper_detection.node_wire import NodeState, NotInForce
from watchkeeper_operator.resources.node_sensor import NodeSensor
from watchkeeper_operator.sensors import sensor_statuses
from watchkeeper_operator.sensors.node_statuses import heard_from, is_worth_writing, status_of
from watchkeeper_operator.sensors.nodes import SILENT_NS, Heard, Node, NodeMetadata, Nodes, watched_by
from watchkeeper_operator.shapes import Metadata, Object

NOW = 1_780_000_000 * 10**9
WELL = NodeState(sensor_version="1", kernel="6.18.0", started_at=NOW - 10**12, policies_revision="r1", policies=3, rules=5, hooks=40)

TEXT = st.text(max_size=400)
NUMBER = st.integers(min_value=-(2**63), max_value=2**63 - 1)
ANY_STATE = st.builds(
    NodeState,
    sensor_version=TEXT,
    kernel=TEXT,
    started_at=NUMBER,
    policies_revision=TEXT,
    policies=NUMBER,
    rules=NUMBER,
    not_in_force=st.lists(st.builds(NotInForce, policy=TEXT | st.just("watchkeeper/p/r"), reason=TEXT), max_size=20).map(tuple),
    hooks=NUMBER,
    missing_hooks=st.lists(TEXT, max_size=80).map(tuple),
    blind=st.lists(TEXT, max_size=40).map(tuple),
    lost=st.dictionaries(TEXT, NUMBER, max_size=40),
    delivered=NUMBER,
    waiting=NUMBER,
    memory_bytes=NUMBER,
)


def written(heard, before=None, *, is_current=True, now=NOW):
    return status_of(heard, before or {}, is_current=is_current, allowed="", generation=1, now=now)


def conditions(status):
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


@settings(max_examples=300, deadline=None)
@given(ANY_STATE)
def test_a_status_is_of_the_schema_whatever_a_node_says(state):
    status = written(Heard(state, NOW))
    NodeSensor.model_validate(
        {"apiVersion": "watchkeeper.dev/v1alpha1", "kind": "NodeSensor", "metadata": {"name": "n"}, "spec": {"sensor": "s"}, "status": status | {"epoch": 1}}
    )
    msgspec.json.encode(status)


CASES = {
    "well": (Heard(WELL, NOW), True, {"Connected": "True", "InForce": "True", "Seeing": "True"}),
    "never heard": (None, False, {"Connected": "Unknown", "InForce": "Unknown", "Seeing": "Unknown"}),
    "silent": (Heard(WELL, NOW - SILENT_NS - 1), True, {"Connected": "False"}),
    "behind": (Heard(WELL, NOW), False, {"InForce": "False"}),
    "without a hook": (Heard(msgspec.structs.replace(WELL, missing_hooks=("tty.inject",)), NOW), True, {"Seeing": "False"}),
    "losing": (Heard(msgspec.structs.replace(WELL, lost={"ring_full": 3}), NOW), True, {"Seeing": "False"}),
    "refusing a policy": (
        Heard(msgspec.structs.replace(WELL, not_in_force=(NotInForce(policy="watchkeeper/p", reason="no"),)), NOW),
        True,
        {"InForce": "False"},
    ),
}


def test_conditions_say_how_a_node_is():
    for case, (heard, is_current, wanted) in CASES.items():
        found = {type_: status for type_, (status, _) in conditions(written(heard, is_current=is_current)).items()}
        assert wanted.items() <= found.items(), case


def test_counts_that_always_move_are_no_news_and_a_new_loss_is():
    before = written(Heard(WELL, NOW))
    moved = msgspec.structs.replace(WELL, delivered=7, memory_bytes=9)
    assert not is_worth_writing(before, written(Heard(moved, NOW + 10**9), before))
    losing = msgspec.structs.replace(WELL, lost={"ring_full": 1})
    assert is_worth_writing(before, written(Heard(losing, NOW), before))


def test_a_new_leader_knows_what_the_last_one_wrote():
    status = written(Heard(WELL, NOW))
    recalled = heard_from(status)
    assert recalled == Heard(WELL, NOW)
    assert written(recalled, status) == status
    assert heard_from({}) is None


def a_node(name, **labels):
    return Node(NodeMetadata(name=name, uid=f"uid-{name}", labels=labels))


def a_sensor(name, created, **selector):
    return Object(metadata=Metadata(name=name, creation_timestamp=created, generation=2), spec={"nodeSelector": {"matchLabels": selector}})


def test_a_node_that_two_sensors_select_is_the_older_ones():
    nodes = [a_node("a", pool="x"), a_node("b")]
    sensors = [a_sensor("young", "2026-02-01T00:00:00Z"), a_sensor("old", "2026-01-01T00:00:00Z", pool="x")]
    assert watched_by(sensors, nodes) == {"uid-a": "old", "uid-b": "young"}


def test_what_an_unknown_node_or_an_older_message_says_is_no_news():
    nodes = Nodes()
    nodes.there([a_node("a")])
    assert nodes.hear("uid-b", WELL, 5) == "old"
    assert nodes.hear("uid-a", WELL, 5) == "policies"
    assert nodes.hear("uid-a", WELL, 5) == "old"
    assert nodes.hear("uid-a", msgspec.structs.replace(WELL, delivered=7), 6) == "counts"
    assert nodes.hear("uid-a", msgspec.structs.replace(WELL, policies_revision="r2"), 7) == "policies"
    assert nodes.hear("uid-a", msgspec.structs.replace(WELL, policies_revision="r2"), 8 + SILENT_NS) == "policies"
    nodes.there([])
    assert nodes.heard == {}


def test_a_sensor_names_the_first_ten_nodes_that_fail_and_counts_all():
    nodes = [(a_node(f"n{number:02}"), None) for number in range(12)] + [(a_node("well"), Heard(WELL, NOW))]
    status = sensor_statuses.status_of(a_sensor("s", ""), nodes, version="1", too_many_terms=False, now=NOW)
    assert {name: status["nodes"][name] for name in ("selected", "reporting", "current", "blind")} == {"selected": 13, "reporting": 1, "current": 1, "blind": 0}
    assert [one["node"] for one in status["nodes"]["failing"]] == [f"n{number:02}" for number in range(10)]
    assert conditions(status)["Ready"] == ("False", "SomeNotReporting")


def test_a_sensor_of_which_all_nodes_report_is_ready():
    status = sensor_statuses.status_of(a_sensor("s", ""), [(a_node("well"), Heard(WELL, NOW))], version="1", too_many_terms=False, now=NOW)
    assert conditions(status)["Ready"] == ("True", "AllReporting")
    older = sensor_statuses.status_of(a_sensor("s", ""), [(a_node("well"), Heard(WELL, NOW))], version="2", too_many_terms=False, now=NOW)
    assert conditions(older)["Ready"] == ("False", "RollingOut")
