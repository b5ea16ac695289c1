from tests.support.events import a_policy, a_program, an_event

from watchkeeper_detection.unit import Unit

RULE = """
- name: deleted
  "on": [audit.request]
  when: |-
    %s
  severity: P3
  message: "deleted"
"""
KNOWN = frozenset({"audit.verb", "audit.objectRef.resource"})


def a_unit(condition):
    program = a_program(a_policy(RULE % condition))
    return Unit(program.rules[0], 0, program.rules[0].when, {})


def left_for(condition, **fields):
    unit = a_unit(condition)
    left = unit.left_for(an_event(**fields), KNOWN)
    assert left is None or left.whole is unit
    return left


def test_a_condition_that_known_fields_decide_leaves_nothing_to_test():
    left = left_for('audit.verb == "delete" && audit.objectRef.resource in ["pods"]', **{"audit.verb": "delete", "audit.objectRef.resource": "pods"})
    assert left is not None
    assert left.when is None
    assert left.holds(an_event())


def test_a_condition_that_known_fields_contradict_cannot_hold():
    assert left_for('audit.verb == "delete" && audit.userAgent == "x"', **{"audit.verb": "get", "audit.userAgent": "x"}) is None


def test_what_other_fields_decide_is_left_to_test():
    left = left_for('audit.verb == "delete" && (audit.userAgent == "x" || audit.objectRef.resource == "pods")', **{"audit.verb": "delete"})
    assert left is not None
    assert left.holds(an_event(**{"audit.userAgent": "x"}))
    assert not left.holds(an_event(**{"audit.userAgent": "y"}))


def test_a_condition_without_known_fields_is_tested_as_a_whole():
    unit = a_unit('audit.userAgent == "x"')
    assert unit.left_for(an_event(), KNOWN) is unit


def test_a_type_error_in_known_fields_is_left_to_be_counted():
    left = left_for('int(audit.verb) == 1 && audit.userAgent == "x"', **{"audit.verb": "delete"})
    assert left is not None
    assert left.failure(an_event(**{"audit.verb": "delete", "audit.userAgent": "x"}))
