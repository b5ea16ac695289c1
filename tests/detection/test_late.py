import pytest
from tests.support.events import a_policy, a_program, an_event

from watchkeeper_detection.engine import Engine
from watchkeeper_detection.late import late_fields
from watchkeeper_detection.matcher import Matcher

LABELLED = """
- name: labelled
  "on": [file.open]
  when: |-
    file.path == "/etc/shadow" && pod.labels["app"] == "web"
  unless: [{name: known, when: 'process.exe == "/usr/bin/backup"'}]
  severity: P2
  message: "{process.exe}"
"""
UNLABELLED = """
- name: unlabelled
  "on": [file.open]
  when: |-
    file.path == "/etc/shadow" && !has(pod.labels)
  severity: P2
"""
PLAIN = """
- name: plain
  "on": [file.open]
  when: |-
    file.path == "/etc/shadow"
  severity: P2
"""
GUARDED = """
- name: guarded
  "on": [file.open]
  when: |-
    file.path == "/etc/shadow"
  unless: [{name: packaged, when: 'process.exe_package == "login"'}]
  severity: P2
"""
TOLD = """
- name: told
  "on": [file.open]
  when: |-
    file.path == "/etc/shadow"
  severity: P2
  message: "of {pod.owner_name}"
"""
BURST = """
- name: burst
  "on": [file.open]
  when: |-
    file.path == "/etc/shadow"
  threshold: {count: 2, within: 10s, by: [identity.id]}
  severity: P2
"""
STEPS = """
- name: steps
  sequence:
    within: 1m
    steps:
    - {name: read, "on": [file.open], when: 'file.path == "/etc/shadow"', by: [process.id]}
    - {name: sent, "on": [network.connect], when: 'connection.remote_port == 443', by: [process.id]}
  severity: P1
  message: "{read.file.hash} was sent"
"""


def a_matcher(*rules):
    return Matcher(a_program(*(a_policy(rule, name=f"policy-{number}") for number, rule in enumerate(rules))), late_fields())


def opened(path="/etc/shadow", **fields):
    return an_event("file.open", at=1, **{"file.path": path, **fields})


def names(detections):
    return [detection.rule for detection in detections]


def test_only_rules_that_read_a_late_field_wait():
    detections, _, later = a_matcher(LABELLED, PLAIN).match_now(opened())
    assert names(detections) == ["plain"]
    assert [unit.rule.rule for unit in later] == ["labelled"]


def test_a_rule_that_cannot_hold_whatever_comes_does_not_wait():
    assert a_matcher(LABELLED).match_now(opened("/etc/hosts")) == ((), (), ())


def test_a_rule_that_is_held_back_whatever_comes_does_not_wait():
    matcher = a_matcher(LABELLED)
    assert matcher.match_now(opened(process_exe="/usr/bin/backup")) == ((), (), ())
    assert matcher.statistics.held == {("policy-0/labelled", "known"): 1}


@pytest.mark.parametrize(("labels", "fires"), [({"app": "web"}, True), ({"app": "shop"}, False), (None, False)])
def test_what_came_late_decides(labels, fires):
    matcher = a_matcher(LABELLED)
    event = opened()
    _, _, later = matcher.match_now(event)
    event.pod.labels = labels
    detections, matches = matcher.match_late(event, later)
    assert (len(detections), matches) == (fires, ())


def test_a_rule_judged_without_says_what_was_unresolved():
    matcher = a_matcher(UNLABELLED)
    event = opened()
    _, _, later = matcher.match_now(event)
    ((detection,), _) = matcher.match_late(event, later, frozenset({"pod.labels", "pod.ip"}))
    assert detection.unresolved == ("pod.labels",)
    ((detection,), _) = matcher.match_late(event, later)
    assert detection.unresolved == ()


@pytest.mark.parametrize("rule", [GUARDED, TOLD, BURST, STEPS])
def test_guards_messages_and_keys_are_waited_for_too(rule):
    detections, matches, later = a_matcher(rule).match_now(opened())
    assert (detections, matches, len(later)) == ((), (), 1)


def test_a_step_of_which_nothing_late_is_kept_does_not_wait():
    _, (match,), later = a_matcher(STEPS).match_now(an_event("network.connect", **{"connection.remote_port": 443}))
    assert (match.step, later) == (1, ())


def test_a_guard_that_came_late_holds_back():
    matcher = a_matcher(GUARDED)
    event = opened()
    _, _, later = matcher.match_now(event)
    event.process.exe_package = "login"
    assert matcher.match_late(event, later) == ((), ())


def test_a_joined_detection_says_what_was_unresolved_in_any_of_its_events():
    engine = Engine(a_program(a_policy(STEPS)), late=late_fields())
    read = opened(process_id="p")
    _, _, later = engine.matcher.match_now(read)
    _, (first,) = engine.matcher.match_late(read, later, frozenset({"file.hash"}))
    _, (second,), _ = engine.matcher.match_now(an_event("network.connect", at=2, process_id="p", **{"connection.remote_port": 443}))
    for match in (first, second):
        engine.wait(match)
    engine.restore(engine.snapshot())
    (detection,) = engine.finish()
    assert (detection.unresolved, detection.message) == (("file.hash",), "? was sent")


def test_a_matcher_judges_whole_events_at_once():
    matcher = a_matcher(LABELLED, UNLABELLED, PLAIN)
    detections, _ = matcher.match(opened(pod_labels={"app": "web"}))
    assert sorted(names(detections)) == ["labelled", "plain"]
    detections, _ = matcher.match(opened())
    assert sorted(names(detections)) == ["plain", "unlabelled"]


def test_a_namespace_that_is_not_known_yet_is_waited_for():
    late = late_fields() | {"pod.namespace"}
    policy = a_policy(PLAIN, spec="scope: {namespaces: {exclude: [kube-system]}}\n")
    _, _, later = Matcher(a_program(policy), late).match_now(opened())
    assert [sorted(unit.late) for unit in later] == [["pod.namespace"]]
