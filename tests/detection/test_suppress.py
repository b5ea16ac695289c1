from tests.support.matches import SECOND, a_match

from watchkeeper_detection.program import Suppress
from watchkeeper_detection.suppress import SuppressState


def test_a_key_speaks_once_in_the_while_and_what_is_held_is_counted():
    state = SuppressState(Suppress((), 60 * SECOND))
    assert [state.allows(a_match(second)) for second in (0, 30, 59, 60, 61)] == [True, False, False, True, False]
    assert state.held == 3


def test_another_key_is_not_held():
    state = SuppressState(Suppress((), 60 * SECOND))
    assert state.allows(a_match(0, "alice"))
    assert state.allows(a_match(1, "bob"))


def test_closing_forgets_keys_that_may_speak_again():
    state = SuppressState(Suppress((), 60 * SECOND))
    state.allows(a_match(0, "alice"))
    state.allows(a_match(30, "bob"))
    state.close(70 * SECOND)
    assert [key for key, _ in state.spoke] == [("bob",)]


def test_a_match_that_came_late_is_held_only_near_what_was_said():
    state = SuppressState(Suppress((), 60 * SECOND))
    assert [state.allows(a_match(second)) for second in (300, 250, 200, 359, 360)] == [True, False, True, False, True]


def test_a_snapshot_carries_the_silence_over_a_restart():
    before, after = SuppressState(Suppress((), 60 * SECOND)), SuppressState(Suppress((), 60 * SECOND))
    before.allows(a_match(0))
    after.restore(before.snapshot())
    assert not after.allows(a_match(59))
    assert after.allows(a_match(60))


def test_matches_without_the_key_do_not_silence_each_other():
    state = SuppressState(Suppress((), 60 * SECOND))
    assert state.allows(a_match(0, None))
    assert state.allows(a_match(1, None))
