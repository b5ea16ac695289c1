import msgspec
import pytest
from tests.support.events import a_policy, a_program, an_event
from tests.support.matches import SECOND, a_match

from watchkeeper_detection.engine import Engine
from watchkeeper_detection.program import Sequence, Step
from watchkeeper_detection.sequence import SequenceState


def a_sequence(names=("read", "call"), *, ordered=True, within=10):
    steps = tuple(Step(name, ("audit.request",), None, (), (), ()) for name in names)
    return SequenceState(Sequence(within * SECOND, ordered, steps), {})


def fires(state, matches):
    return [match.observed_at // SECOND for match in matches if state.join(match)]


def test_fires_when_the_steps_come_in_order():
    assert fires(a_sequence(), [a_match(0.001, step=0), a_match(5, step=1)]) == [5]


def test_quiet_when_the_steps_come_in_the_wrong_order():
    assert fires(a_sequence(), [a_match(0.001, step=1), a_match(5, step=0)]) == []


def test_unordered_steps_may_come_in_any_order():
    assert fires(a_sequence(ordered=False), [a_match(0.001, step=1), a_match(5, step=0)]) == [5]


def test_quiet_when_the_window_has_passed():
    assert fires(a_sequence(), [a_match(0.001, step=0), a_match(10.002, step=1)]) == []


def test_quiet_when_the_keys_differ():
    assert fires(a_sequence(), [a_match(0.001, "alice", step=0), a_match(5, "bob", step=1)]) == []


def test_an_absent_key_joins_nobody():
    assert fires(a_sequence(), [a_match(0.001, None, step=0), a_match(5, None, step=1)]) == []


def test_fires_once_per_completed_match():
    state = a_sequence()
    assert fires(state, [a_match(0.001, step=0), a_match(1, step=1), a_match(2, step=1)]) == [1]


def test_one_event_can_not_be_two_steps():
    first = a_match(0.001, step=0, number=7)
    second = msgspec.structs.replace(first, step=1)
    assert fires(a_sequence(), [first, second]) == []


def test_the_steps_captured_values_are_told_apart_by_name():
    state = a_sequence()
    state.join(a_match(0.001, step=0, **{"origin.ip": "10.0.0.1"}))
    fired = state.join(a_match(1, step=1, **{"origin.ip": "192.0.2.1"}))
    captured = state.captured(dict(enumerate(fired.matches)))
    assert captured == {"read.origin.ip": "10.0.0.1", "call.origin.ip": "192.0.2.1", "origin.ip": "192.0.2.1"}


def test_partial_sequences_of_one_key_are_bounded_and_the_loss_is_counted():
    state = a_sequence(within=1000)
    for second in range(1, 41):
        state.join(a_match(second, step=0, **{"audit.verb": str(second)}))
    assert state.crowded == 8
    assert state.evicted == 8


def test_a_snapshot_carries_a_started_sequence_over_a_restart():
    before, after = a_sequence(), a_sequence()
    before.join(a_match(0.001, step=0))
    after.restore(before.snapshot())
    assert after.join(a_match(1, step=1))


def test_closing_forgets_sequences_that_cannot_complete():
    state = a_sequence()
    state.join(a_match(0.001, step=0))
    state.close(11 * SECOND)
    assert len(state.partials) == 0


def test_an_event_without_a_time_has_no_place_in_a_sequence():
    state = a_sequence()
    assert fires(state, [a_match(0, step=0), a_match(0, step=1)]) == []
    assert state.untimed == 2


@pytest.mark.parametrize("ordered", [True, False])
def test_a_later_match_may_fit_the_next_step_better_than_the_first_one_did(ordered):
    program = a_program(
        a_policy(f"""
        - name: chain
          sequence:
            within: 10m
            ordered: {str(ordered).lower()}
            steps:
            - {{name: one, "on": [audit.request], when: 'audit.verb == "get"', by: [identity.id]}}
            - {{name: two, "on": [audit.request], when: 'audit.verb == "list"', by: [identity.id]}}
            - {{name: three, "on": [audit.request], when: 'audit.verb == "watch" && audit.userAgent == two.audit.userAgent', by: [identity.id]}}
          severity: P3
        """)
    )
    story = [("get", "x"), ("list", "noise"), ("list", "mine"), ("list", "noise"), ("watch", "mine"), ("watch", "noise")]
    engine = Engine(program)
    for second, (verb, agent) in enumerate(story, 1):
        engine.evaluate(an_event(at=second, audit_verb=verb, audit_userAgent=agent, identity_id="alice"))
    (detection,) = engine.finish()
    assert [place.number for place in detection.places] == [1001, 3001, 5001]


def test_a_flood_of_second_steps_leaves_the_first_waiting():
    state = a_sequence(("one", "two", "three"), within=1000)
    state.join(a_match(1, step=0))
    for second in range(2, 60):
        state.join(a_match(second, step=1, number=second, **{"audit.verb": str(second)}))
    assert state.crowded == 58 - 32
    assert fires(state, [a_match(70, step=1), a_match(71, step=2)]) == [71]


def test_second_steps_that_keep_the_same_values_wait_as_one_for_each_match():
    state = a_sequence(("one", "two", "three"), within=1000)
    for second in range(1, 8):
        state.join(a_match(second, step=0))
    state.join(a_match(20, step=1))
    ((_, partials),) = state.partials
    assert [len(partial.matches) for partial in partials] == [1] * 7 + [2]


def test_of_first_steps_that_keep_the_same_values_the_latest_few_wait_and_nothing_is_lost():
    state = a_sequence(("one", "two"), within=1000)
    for second in range(1, 100):
        state.join(a_match(second, step=0))
    ((_, partials),) = state.partials
    assert [partial.since // SECOND for partial in partials] == list(range(92, 100))
    assert state.crowded == 0
    assert fires(state, [a_match(1090, step=1), a_match(1091, step=1)]) == [1090, 1091]
