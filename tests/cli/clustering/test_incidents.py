"""Incidents as people are shown them: which, in what order, in which words, and what they say of them."""

from __future__ import annotations

import msgspec
import pytest
from tests.support.seen_objects import NOW, an_incident, said

from watchkeeper_cli.clustering.incident_changes import change_line, told
from watchkeeper_cli.clustering.incident_lines import flowing, incident_lines
from watchkeeper_cli.clustering.incident_rows import Asked, incident_rows, state_words, terminal_rows
from watchkeeper_cli.clustering.listing_incidents import nothing
from watchkeeper_cli.clustering.saying import Said, applied, manager_of, others
from watchkeeper_cli.clustering.shapes import Entity
from watchkeeper_cli.output.looks import Look

PLAIN = Look(colours=False, moves=False)


def row(**fields):
    return incident_rows([an_incident(**fields)], Asked(closed=True))[0]


def names(asked, *incidents):
    return [one.name for one in incident_rows(incidents, asked)]


CLOSED = {"conditions": said(Closed=(True, "Disposed"))}
FOUR = (
    an_incident("older", severity="P2", lastDetectedAt="2026-11-24T00:00:00Z"),
    an_incident("newer", severity="P2"),
    an_incident("gravest", severity="P1", lastDetectedAt="2026-11-20T00:00:00Z"),
    an_incident("over", severity="P1", **CLOSED),
)


def test_open_ones_come_first_then_the_gravest_then_the_newest():
    assert names(Asked(closed=True), *FOUR) == ["gravest", "newer", "older", "over"]


def test_what_is_not_asked_for_is_left_out():
    assert names(Asked("P1"), *FOUR) == ["gravest"]
    assert names(Asked(open=False, closed=True), *FOUR) == ["over"]


def test_one_whose_severity_is_not_written_yet_is_never_left_out():
    assert names(Asked("P1"), an_incident("new", severity="")) == ["new"]


def test_what_a_person_closed_is_closed_before_the_operator_says_so():
    for spec in ({"closed": True}, {"disposition": "Benign"}, {"disposition": "FalsePositive"}):
        assert not row(spec=spec).open
    assert row(spec={"disposition": "TruePositive"}).open


STATES = {
    "nobody has it": {},
    "alice": {"owner": "alice"},
    "true positive, alice": {"owner": "alice", "disposition": "TruePositive"},
    "benign, closed": {"owner": "alice", "disposition": "Benign"},
    "closed": {"closed": True},
}


@pytest.mark.parametrize("words", STATES)
def test_its_state_is_said_in_words(words):
    assert state_words(row(spec=STATES[words])) == words


def test_where_is_the_place_that_most_detections_name_and_who_the_identity():
    entities = [
        Entity("actor", "node", "n1", detections=1),
        Entity("actor", "pod", "5f", "shop/web-1", 4),
        Entity("origin", "address", "10.0.0.1", detections=9),
    ]
    assert (row(entities=entities).where, row(entities=entities).who) == ("shop/web-1", "10.0.0.1")
    assert (row(entities=[]).where, row(entities=[]).who) == ("", "")


def test_below_a_row_of_a_terminal_is_what_a_person_asks_next():
    below = [cell.text for cell in terminal_rows([row(attack=["T1609"], blindSpots=["node-2 was silent"])], NOW)[0].below]
    assert below == ["in shop/web-1 by alice", "nobody has it; 3 detections; the latest 5s ago; T1609; 1 blind spot"]


def test_none_of_those_is_told_apart_from_none_at_all():
    assert nothing([], Asked()) == "No open incidents."
    assert nothing([an_incident(**CLOSED)], Asked("P2")) == "No open incidents of P2 or graver; 1 in all, --all shows them."
    assert nothing([an_incident()], Asked(open=False, closed=True)) == "No closed incidents; 1 in all, --all shows them."


NEWS = {
    "open": (None, {}),
    "closed": ({}, {"spec": {"closed": True}}),
    "graver": ({"severity": "P3"}, {"severity": "P1"}),
    "taken": ({}, {"spec": {"owner": "alice"}}),
    "judged": ({}, {"spec": {"disposition": "TruePositive"}}),
}


@pytest.mark.parametrize("word", NEWS)
def test_worth_a_line_is(word):
    before, after = NEWS[word]
    assert told(None if before is None else row(**before), row(**after)) == word


def test_more_detections_are_worth_no_line_and_what_is_gone_is_worth_one():
    assert told(row(detections=3), row(detections=4, lastDetectedAt="2026-11-25T01:59:59Z")) is None
    assert told(row(), None) == "gone"
    assert told(None, None) is None


def test_a_line_while_watching_says_all_that_a_person_needs():
    line = change_line("open", row(severity="P1"), PLAIN, NOW)
    assert line == "2026-11-25 02:00:00 open     P1 inc-1  Shell in a pod  in shop/web-1 by alice; 3 detections; nobody has it"


def shown(**fields):
    return list(incident_lines(an_incident(**fields), PLAIN, now=NOW, columns=100))


TIMES = {"began": "2026-11-25T01:00:00Z", "detected": "2026-11-25T01:00:02.5Z"}


def test_moments_say_how_long_after_the_first_event_each_was():
    lines = shown(times=TIMES)
    assert "  t0 2026-11-25 01:00:00               the first malicious event" in lines
    assert "  t3 2026-11-25 01:00:02       +2.5 s  the first detection" in lines
    assert sum(line.startswith("  t") and "not yet" in line for line in lines) == 7


def test_what_was_not_seen_is_told_before_the_timeline():
    lines = shown(blindSpots=["node-2 was silent"], timeline=[{"at": JUST, "what": "detection", "severity": "P1", "message": "sh"}])
    assert lines.index("  node-2 was silent") < lines.index("timeline")


JUST = "2026-11-25T01:59:00Z"


def test_of_many_blind_times_a_few_are_told_and_how_many_more_there_are():
    lines = shown(blindSpots=[f"node-{number} was silent" for number in range(9)])
    assert "  5 times more: in the timeline" in lines
    assert "  node-4 was silent" not in lines


def test_what_it_is_about_is_told_by_how_many_detections_name_it():
    entities = [{"role": "actor", "kind": "pod", "id": f"pod-{number:02}", "detections": number} for number in range(1, 21)]
    lines = shown(entities=entities)
    about = lines[lines.index("about") + 1 :]
    assert about[0].split() == ["actor", "pod", "pod-20", "×20"]
    assert about[15] == "  5 things more: -o yaml"


RUNBOOK = """What it means: the person holds a copy
of the pod's identity.
What to check: rights: which
ones. Delete the pod.
How to tune: except it."""


def test_a_runbook_is_broken_into_lines_for_the_terminal_not_for_its_file():
    assert flowing(RUNBOOK) == [
        "What it means: the person holds a copy of the pod's identity.",
        "What to check: rights: which ones. Delete the pod.",
        "How to tune: except it.",
    ]
    assert flowing("") == []


def test_times_are_told_to_the_second_and_names_stay_whole():
    lines = shown(summary="it was k8s-anonymous-access-granted " * 3 + "at 2026-11-25T16:18:51.593732829Z")
    assert any(line.endswith("at 2026-11-25T16:18:51Z") for line in lines)
    assert not any(line.endswith("-") for line in lines)


def test_one_that_the_operator_has_not_written_is_said_to_be_so():
    assert any("has not written what it knows" in line for line in shown(title="", summary=""))


def test_bytes_of_attackers_are_escaped_wherever_they_stand():
    evil = "\x1b[2J\u202e"
    lines = shown(
        **dict.fromkeys(("title", "summary"), evil),
        timeline=[{"at": evil, "what": evil, "severity": evil, "message": evil, "policy": evil, "rule": evil}],
        entities=[{"role": evil, "kind": evil, "id": evil, "name": evil}],
        nextSteps=[evil],
        blindSpots=[evil],
        related=[evil],
        attack=[evil],
        policies=[evil],
        spec={"owner": evil, "note": evil, "disposition": evil},
    )
    assert not [line for line in lines if "\x1b" in line or "\u202e" in line]


def an_entry(manager, *fields, operation="Apply", subresource=""):
    return {"manager": manager, "operation": operation, "subresource": subresource, "fieldsV1": {"f:spec": {f"f:{name}": {} for name in fields}}}


def written(spec, *entries):
    return msgspec.convert({"metadata": {"name": "inc-1", "managedFields": list(entries)}, "spec": spec}, Said)


def test_what_the_same_person_said_before_is_said_again_and_what_others_said_is_not():
    before = written({"owner": "alice", "note": "mine", "disposition": "Benign"}, an_entry("me", "owner", "note"), an_entry("other", "disposition"))
    assert applied(before, "me", {"closed": True, "note": "newer", "owner": None}) == {"owner": "alice", "note": "newer", "closed": True}


SAID = {
    "nothing, of an incident that nobody spoke of": (written({"closed": False}, an_entry("watchkeeper", "closed")), {"closed": True}, {}),
    "who said it, where somebody did": (
        written({"owner": "bob"}, an_entry("kubectl-edit", "owner", operation="Update")),
        {"owner": "alice"},
        {"owner": "kubectl-edit"},
    ),
    "nothing, where they said the same": (written({"owner": "alice"}, an_entry("kubectl-edit", "owner")), {"owner": "alice"}, {}),
    "nothing, of what one said oneself": (written({"owner": "bob"}, an_entry("me", "owner")), {"owner": "alice"}, {}),
    "nothing, of what the operator put back": (written({"owner": "bob"}, an_entry("watchkeeper", "owner")), {"owner": "alice"}, {}),
    "nothing, of the default of a field": (written({"closed": False}, an_entry("somebody", "closed")), {"closed": True}, {}),
    "nothing, of what is left out": (written({"owner": "bob"}, an_entry("somebody", "owner")), {"owner": None}, {}),
}


@pytest.mark.parametrize("what", SAID)
def test_said_otherwise_is(what):
    before, words, expected = SAID[what]
    assert others(before, "me", words) == expected


def test_each_person_has_a_field_manager_of_their_own_that_the_api_takes():
    assert manager_of("alice@example.com") == "kubectl-watchkeeper/alice@example.com"
    assert "\n" not in manager_of("a\nb")
    first, second = (manager_of("x" * 300 + end) for end in "ab")
    assert len(first) == len(second) == 128
    assert first != second
