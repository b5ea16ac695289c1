import itertools
import random

import msgspec
import pytest
from tests.support.events import SECOND, a_policy, a_program, an_event, errors_of

from watchkeeper_detection import engine as engine_module
from watchkeeper_detection import index as index_module
from watchkeeper_detection import matcher as matcher_module
from watchkeeper_detection.engine import Engine, Watermarks

DELETE = """
- name: deleted
  "on": [audit.request]
  when: |-
    audit.verb == "delete"
  severity: P3
  message: "{identity.id} deleted {audit.objectRef.name}"
"""
BURST = """
- name: burst
  "on": [audit.request]
  when: |-
    audit.verb == "delete"
  threshold: {count: 3, within: 10s, by: [identity.id]}
  severity: P2
  message: "{identity.id} deleted {audit.objectRef.name}"
"""
MINTED = """
- name: token-elsewhere
  sequence:
    within: 1m
    steps:
    - {name: minted, "on": [audit.request], when: 'audit.verb == "create"', by: [identity.id]}
    - {name: used, "on": [cloudtrail.event], when: 'cloudtrail.eventName == "GetObject" && origin.ip != minted.origin.ip', by: [identity.id]}
  severity: P1
  message: "{identity.id} from {minted.origin.ip}, then {used.origin.ip}"
"""


def an_engine(*rules, **settings):
    return Engine(a_program(*(a_policy(rule, name=f"policy-{number}") for number, rule in enumerate(rules))), **settings)


def run(engine, events):
    found = [detection for event in events for detection in engine.evaluate(event)]
    return found + engine.finish()


def a_delete(at=0.0, who="alice", **fields):
    return an_event(at=at, audit_verb="delete", identity_id=who, **{"audit.objectRef.name": "web", **fields})


def test_a_plain_rule_fires_at_once_and_says_who_did_what():
    (detection,) = an_engine(DELETE).evaluate(a_delete())
    assert (detection.policy, detection.rule, detection.severity, detection.message) == ("policy-0", "deleted", "P3", "alice deleted web")
    assert detection.identity == "alice"
    assert detection.event_ids == ("test:log:1",)


def test_a_detection_says_which_fields_were_absent():
    (detection,) = an_engine(DELETE).evaluate(an_event(audit_verb="delete"))
    assert detection.message == "? deleted ?"
    assert {"identity.id", "audit.objectRef.name"} <= set(detection.absent)


def test_an_open_field_that_nobody_opened_is_absent_when_the_record_has_none():
    engine = an_engine(DELETE.replace('audit.verb == "delete"', 'audit.verb == "delete" || audit.requestObject.a == 1'))
    (detection,) = engine.evaluate(a_delete())
    assert "audit.requestObject" in detection.absent
    (detection,) = engine.evaluate(a_delete(**{"audit.requestObject": {"a": 2}}))
    assert "audit.requestObject" not in detection.absent


def test_the_same_events_give_the_same_detection_id():
    first, again = (an_engine(DELETE).evaluate(a_delete())[0].id for _ in range(2))
    assert first == again != an_engine(DELETE).evaluate(a_delete(at=1))[0].id


def test_a_threshold_waits_for_the_watermark_and_fires_in_event_time():
    engine = an_engine(BURST)
    assert [engine.evaluate(a_delete(second)) for second in (8, 0, 4)] == [[], [], []]
    assert engine.advance(8 * SECOND) == []
    (detection,) = engine.advance(9 * SECOND)
    assert detection.count == 3
    assert detection.observed_at == 8 * SECOND
    assert detection.event_ids == ("test:log:1", "test:log:4001", "test:log:8001")


def test_the_order_in_which_events_are_read_changes_nothing():
    events = [a_delete(second, who) for second, who in enumerate("abbaabbbaabbababab")]
    expected = [(one.id, one.message) for one in run(an_engine(BURST, DELETE), events)]
    for seed in range(5):
        random.Random(seed).shuffle(events)
        assert sorted((one.id, one.message) for one in run(an_engine(BURST, DELETE), events)) == sorted(expected)


def test_a_match_older_than_the_watermark_is_judged_alone_and_counted():
    engine = an_engine(DELETE, BURST)
    engine.advance(100 * SECOND)
    assert [one.rule for one in engine.evaluate(a_delete(1))] == ["deleted"]
    assert engine.late == 1


def test_a_sequence_joins_events_of_different_sources_and_compares_their_fields():
    minted = an_event(at=1, audit_verb="create", identity_id="sa", origin_ip="10.0.0.1")
    used = an_event("cloudtrail.event", at=5, cloudtrail_eventName="GetObject", identity_id="sa", origin_ip="192.0.2.7")
    (detection,) = run(an_engine(MINTED), [used, minted])
    assert detection.message == "sa from 10.0.0.1, then 192.0.2.7"
    assert len(detection.event_ids) == 2


def test_a_sequence_is_quiet_when_the_later_step_does_not_differ_from_the_earlier():
    minted = an_event(at=1, audit_verb="create", identity_id="sa", origin_ip="10.0.0.1")
    used = an_event("cloudtrail.event", at=5, cloudtrail_eventName="GetObject", identity_id="sa", origin_ip="10.0.0.1")
    assert run(an_engine(MINTED), [minted, used]) == []


def test_a_sequence_is_quiet_when_what_it_compares_is_absent():
    minted = an_event(at=1, audit_verb="create", identity_id="sa")
    used = an_event("cloudtrail.event", at=5, cloudtrail_eventName="GetObject", identity_id="sa", origin_ip="192.0.2.7")
    assert run(an_engine(MINTED), [minted, used]) == []


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_restart_in_the_middle_changes_nothing(cut):
    events = [a_delete(second) for second in range(6)]
    before = an_engine(BURST)
    found = [one for event in events[:cut] for one in before.evaluate(event)] + before.advance((cut - 2) * SECOND)
    after = an_engine(BURST)
    assert after.restore(before.snapshot()) == ()
    found += run(after, events[cut:])
    assert [one.count for one in found] == [3, 3]


def test_an_edit_of_the_message_keeps_the_state_and_an_edit_of_the_condition_begins_anew():
    before = an_engine(BURST)
    for second in range(2):
        before.evaluate(a_delete(second))
    before.advance(5 * SECOND)
    snapshot = before.snapshot()
    reworded = an_engine(BURST.replace("deleted {audit", "removed {audit"))
    assert reworded.restore(snapshot) == ()
    assert len(run(reworded, [a_delete(6)])) == 1
    for edit in (('== "delete"', '!= "get"'), ("[audit.request]", "[audit.request, cloudtrail.event]")):
        changed = an_engine(BURST.replace(*edit))
        assert changed.restore(snapshot) == ("policy-0/burst",)
        assert run(changed, [a_delete(6)]) == []


def test_what_is_no_snapshot_is_refused():
    for damage in (b"", b"\x00", b"\x93\x01\x02\x03", an_engine(BURST).snapshot()[:-1]):
        with pytest.raises(ValueError, match="not a snapshot"):
            an_engine(BURST).restore(damage)


def test_a_guard_holds_the_rule_back_and_is_counted():
    engine = an_engine(DELETE.replace("  severity", '  unless:\n  - {name: robot, when: identity.id == "robot"}\n  severity'))
    assert engine.evaluate(a_delete(who="robot")) == []
    assert engine.matcher.statistics.held == {("policy-0/deleted", "robot"): 1}
    assert len(engine.evaluate(a_delete())) == 1


def test_a_guard_that_reads_an_absent_field_does_not_hold_back():
    engine = an_engine(DELETE.replace("  severity", "  unless:\n  - {name: robot, when: audit.userAgent != 'kubectl'}\n  severity"))
    assert len(engine.evaluate(a_delete())) == 1


def test_a_rule_with_suppress_speaks_once_in_the_while():
    engine = an_engine(DELETE.replace("  severity", "  suppress: {by: [identity.id], for: 1m}\n  severity"))
    found = run(engine, [a_delete(0), a_delete(1), a_delete(2, "bob"), a_delete(61)])
    assert [(one.identity, one.observed_at // SECOND) for one in found] == [("alice", 0), ("bob", 2), ("alice", 61)]
    assert engine.joiner.suppressed() == {"policy-0/deleted": 1}


def test_without_a_baseline_a_first_seen_rule_is_blind_and_says_so():
    rule = DELETE.replace("  severity", "  firstSeen: {of: [origin.ip], learn: 1d}\n  severity")
    engine = an_engine(rule, first_seen="blind")
    assert run(engine, [a_delete()]) == []
    assert engine.joiner.blind() == {"policy-0/deleted": "no baseline: what is new can't be known"}


def test_a_scope_that_leaves_a_namespace_out_keeps_the_rule_quiet_there():
    program = a_program(a_policy(DELETE, spec="scope: {namespaces: {exclude: [kube-*]}}\n"))
    engine = Engine(program)
    assert engine.evaluate(a_delete(target_namespace="kube-system")) == []
    assert len(engine.evaluate(a_delete(target_namespace="shop"))) == 1
    assert len(engine.evaluate(a_delete())) == 1


def test_type_errors_are_counted_not_raised():
    rule = DELETE.replace('audit.verb == "delete"', 'audit.verb == "delete" && audit.requestObject.replicas > 3')
    engine = an_engine(rule)
    assert engine.evaluate(a_delete(**{"audit.requestObject": {"replicas": "many"}})) == []
    assert engine.matcher.statistics.failures == {"policy-0/deleted": 1}
    assert engine.evaluate(a_delete()) == []
    assert engine.matcher.statistics.failures == {"policy-0/deleted": 1}


def test_a_value_of_an_impossible_type_reaches_every_rule_instead_of_raising():
    engine = an_engine(*(DELETE.replace("delete", verb) for verb in ("delete", "create", "patch", "update")))
    event = a_delete()
    event.audit.verb = ["delete"]
    assert engine.evaluate(event) == []


def test_waiting_matches_are_bounded_and_what_is_joined_early_is_counted(monkeypatch):
    monkeypatch.setattr(engine_module, "WAITING", 2)
    engine = an_engine(BURST)
    found = [one for second in range(5) for one in engine.evaluate(a_delete(second))]
    assert engine.hurried == 3
    assert [one.count for one in found] == [3]


def test_watermarks_are_the_least_of_all_kinds_less_their_lateness():
    marks = Watermarks()
    marks.observe(an_event(at=1000))
    assert marks.complete_until == 970 * SECOND
    marks.observe(an_event("cloudtrail.event", at=1000))
    assert marks.complete_until == 100 * SECOND


def test_candidates_are_few_however_many_rules_ask_for_other_values():
    rules = [DELETE.replace('"delete"', f'"delete" && audit.objectRef.resource == "things-{number}"') for number in range(100)]
    engine = an_engine(*rules)
    engine.evaluate(a_delete(**{"audit.objectRef.resource": "things-7"}))
    assert engine.matcher.statistics.candidates == 1


@pytest.mark.parametrize(
    ("condition", "fields"),
    [
        ('audit.verb == "a" || audit.userAgent.contains("evil")', {"audit.userAgent": "an evil one"}),
        ('audit.verb == "a" || audit.userAgent.contains("evil")', {"audit.verb": "a"}),
        ('audit.verb in ["a", "b"] && audit.objectRef.name.startsWith("x")', {"audit.verb": "b", "audit.objectRef.name": "xy"}),
        ('!(audit.verb != "a")', {"audit.verb": "a"}),
        ('audit.userAgent.matches("^k[a-z]+l$")', {"audit.userAgent": "kubectl"}),
        ("audit.responseStatus.code == 403 || audit.responseStatus.code == 401", {"audit.responseStatus.code": 401}),
        ('ieq(audit.verb, "GET")', {"audit.verb": "get"}),
        ('audit.verb.lowerAscii().matches("^[^A-Z]+$")', {"audit.verb": "GET"}),
        ('audit.verb.lowerAscii().contains("e")', {"audit.verb": "GET"}),
        ('ieq(audit.verb.lowerAscii(), "STRASSE")', {"audit.verb": "Straße"}),
    ],
)
def test_the_index_finds_a_rule_whenever_its_condition_holds(condition, fields):
    others = [DELETE.replace('audit.verb == "delete"', f'audit.verb == "v{n}" && audit.userAgent.contains("u{n}")') for n in range(20)]
    engine = an_engine(DELETE.replace('audit.verb == "delete"', condition), *others)
    assert [one.policy for one in engine.evaluate(an_event(**fields))] == ["policy-0"]


def test_the_index_agrees_with_running_every_rule():
    texts = [
        f"{left} {joint} {right}"
        for left, joint, right in itertools.product(
            ('audit.verb == "a"', 'audit.verb in ["a", "b"]', 'audit.userAgent.contains("x")', 'audit.objectRef.name.endsWith("z")'),
            ("&&", "||"),
            ('audit.objectRef.resource == "pods"', 'audit.objectRef.name.startsWith("z")', 'audit.verb != "b"', "audit.responseStatus.code == 403"),
        )
    ]
    engine = an_engine(*(DELETE.replace('audit.verb == "delete"', text) for text in texts))
    units = list(dict.fromkeys(engine.matcher.index_of("audit.request").root.every()))
    assert len(units) == len(texts)
    for verb, agent, name, resource, code in itertools.product(("a", "b", "c", None), ("x", "y"), ("z", "az", "y", None), ("pods", None), (403, None)):
        event = an_event(
            **{
                "audit.verb": verb,
                "audit.userAgent": agent,
                "audit.objectRef.name": name,
                "audit.objectRef.resource": resource,
                "audit.responseStatus.code": code,
            }
        )
        expected = {unit.rule.name for unit in units if unit.holds(event)}
        assert {f"{one.policy}/{one.rule}" for one in engine.evaluate(event)} == expected


def test_fields_with_too_many_values_leave_the_memo_and_the_index_still_finds_every_rule(monkeypatch):
    monkeypatch.setattr(index_module, "COMBINATIONS", 16)
    conditions = ('audit.objectRef.name == "n7" && audit.verb == "get"', 'audit.userAgent.contains("u3") || audit.verb == "put"', 'audit.verb == "get"')
    engine = an_engine(*(DELETE.replace('audit.verb == "delete"', text) for text in conditions))
    units = list(dict.fromkeys(engine.matcher.index_of("audit.request").root.every()))
    for number in range(500):
        event = an_event(**{"audit.verb": ("get", "put", "list")[number % 3], "audit.objectRef.name": f"n{number % 50}", "audit.userAgent": f"u{number % 70}"})
        expected = {unit.rule.name for unit in units if unit.holds(event)}
        assert {f"{one.policy}/{one.rule}" for one in engine.evaluate(event)} == expected
    assert len(engine.matcher.index_of("audit.request")._memo) <= 16


def test_placing_the_rules_anew_by_what_the_log_holds_loses_none(monkeypatch):
    monkeypatch.setattr(matcher_module, "SAMPLED", range(10, 110))
    texts = [
        f"{left} {joint} {right}"
        for left, joint, right in itertools.product(
            ('audit.verb == "a"', 'audit.userAgent.contains("x")', "has(audit.user.uid)", 'ieq(audit.objectRef.name, "Z")'),
            ("&&", "||"),
            (
                'audit.objectRef.resource == "pods"',
                'audit.objectRef.name.startsWith("z")',
                'audit.verb != "b"',
                "audit.responseStatus.code == 403",
                "!has(audit.user.uid)",
            ),
        )
    ]
    engine = an_engine(*(DELETE.replace('audit.verb == "delete"', text) for text in texts))
    first = engine.matcher.index_of("audit.request")
    units = list(dict.fromkeys(first.root.every()))
    chance = random.Random(1)
    for number in range(400):
        event = an_event(
            number=number + 1,
            **{
                "audit.verb": chance.choice("aaab"),
                "audit.userAgent": chance.choice("xyy"),
                "audit.objectRef.name": chance.choice(("z", "az", None)),
                "audit.objectRef.resource": chance.choice(("pods", "leases")),
                "audit.responseStatus.code": chance.choice((200, 403)),
                "audit.user.uid": chance.choice(("u", None)),
            },
        )
        expected = {unit.rule.name for unit in units if unit.holds(event)}
        assert {f"{one.policy}/{one.rule}" for one in engine.evaluate(event)} == expected
    assert engine.matcher.index_of("audit.request") is not first


def test_a_late_match_of_a_rule_that_needs_no_others_still_speaks():
    engine = an_engine(DELETE.replace("  severity", "  suppress: {by: [identity.id], for: 1m}\n  severity"))
    engine.advance(100 * SECOND)
    assert [one.observed_at for one in engine.evaluate(a_delete(1))] == [1 * SECOND]
    assert engine.evaluate(a_delete(2)) == []
    assert engine.late == 2


def test_a_line_without_a_time_does_not_hold_the_watermark_back():
    marks = Watermarks()
    marks.observe(an_event(at=1000))
    marks.observe(an_event("log.rejected", at=0))
    assert marks.complete_until == 970 * SECOND


def test_a_sequence_is_suppressed_by_what_its_steps_kept():
    by = "  suppress: {by: [minted.origin.ip, origin.ip], for: 1h}\n  severity"
    events = []
    for second, (here, there) in enumerate((("10.0.0.1", "192.0.2.1"), ("10.0.0.2", "192.0.2.1"), ("10.0.0.2", "192.0.2.1"), ("10.0.0.2", "192.0.2.2"))):
        events.append(an_event(at=10 * second + 1, audit_verb="create", identity_id="sa", origin_ip=here))
        events.append(an_event("cloudtrail.event", at=10 * second + 2, cloudtrail_eventName="GetObject", identity_id="sa", origin_ip=there))
    engine = an_engine(MINTED.replace("  severity", by))
    assert [one.observed_at // SECOND for one in run(engine, events)] == [2, 12, 32]
    assert engine.joiner.suppressed() == {"policy-0/token-elsewhere": 1}


def test_events_without_a_time_are_told_as_blind_to_a_sequence():
    engine = an_engine(MINTED)
    run(engine, [an_event(audit_verb="create", identity_id="sa")])
    assert engine.joiner.blind() == {"policy-0/token-elsewhere": "some events say no time: they have no place in a sequence"}


def test_rules_that_spell_one_text_differently_are_all_found():
    engine = an_engine(*(DELETE.replace('audit.verb == "delete"', f'ieq(audit.verb, "{verb}")') for verb in ("GET", "get", "gEt")))
    assert [one.policy for one in engine.evaluate(an_event(audit_verb="Get"))] == ["policy-0", "policy-1", "policy-2"]


@pytest.mark.parametrize(
    "value",
    ["\ud800", 2**70, 10**5000, "x" * 5000, ["a", 10**5000], [None], float("nan")],
    ids=["lone surrogate", "70 bits", "5000 digits", "long", "list", "null in a list", "not a number"],
)
def test_whatever_a_record_holds_its_match_can_be_kept_and_sent(value):
    rule = BURST.replace("by: [identity.id]", "by: [audit.requestObject.key]").replace("{audit.objectRef.name}", "{audit.requestObject.key}")
    engine = an_engine(rule)
    for second in range(3):
        engine.evaluate(a_delete(second, **{"audit.requestObject": {"key": value}, "audit.objectRef.name": value}))
    assert an_engine(rule).restore(engine.snapshot()) == ()
    (detection,) = engine.finish()
    assert msgspec.json.encode(detection)


@pytest.mark.parametrize(("one", "other"), [("x" * 2000 + "a", "x" * 2000 + "b"), (["a, b"], ["a", "b"]), ([None], ["None"]), (["a"], ["b"])])
def test_different_values_are_different_keys(one, other):
    engine = an_engine(BURST.replace("by: [identity.id]", "by: [audit.requestObject.key]"))
    for second, value in enumerate((one, other, one)):
        engine.evaluate(a_delete(second, **{"audit.requestObject": {"key": value}}))
    assert engine.finish() == []


def test_a_guard_of_a_sequence_may_not_ask_for_a_list():
    errors = errors_of(
        a_policy(
            MINTED.replace(
                "  severity", '  unless:\n  - {name: admins, when: \'"admins" in used.audit.user.groups || "a" in cloudtrail.resources\'}\n  severity'
            )
        )
    )
    assert errors
