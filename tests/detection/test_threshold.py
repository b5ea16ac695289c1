import msgspec
from tests.support.matches import SECOND, a_match

from watchkeeper_detection import window_state
from watchkeeper_detection.program import Threshold
from watchkeeper_detection.threshold import ThresholdState


def a_threshold(count=3, within=10, distinct=None):
    return ThresholdState(Threshold(count, within * SECOND, (), distinct))


def fires(state, matches):
    return [match.observed_at // SECOND for match in matches if state.join(match)]


def test_fires_when_the_count_is_reached_within_the_window():
    assert fires(a_threshold(), [a_match(0), a_match(4), a_match(9)]) == [9]


def test_quiet_when_the_first_match_has_left_the_window():
    assert fires(a_threshold(), [a_match(0), a_match(5), a_match(10)]) == []


def test_fires_again_after_each_count_more():
    assert fires(a_threshold(count=2), [a_match(second) for second in range(7)]) == [1, 3, 5]


def test_keys_do_not_share_a_window():
    assert fires(a_threshold(count=2), [a_match(0, "alice"), a_match(1, "bob"), a_match(2, "alice")]) == [2]


def test_distinct_counts_values_not_matches():
    matches = [a_match(second, value=value) for second, value in enumerate("aaabac")]
    assert fires(a_threshold(distinct=object()), matches) == [5]


def test_distinct_remembers_the_last_time_of_a_value():
    matches = [a_match(0, value="a"), a_match(8, value="a"), a_match(12, value="b"), a_match(17, value="c")]
    assert fires(a_threshold(distinct=object()), matches) == [17]


def test_distinct_ignores_an_absent_value():
    state = a_threshold(count=1, distinct=object())
    assert state.join(msgspec.structs.replace(a_match(0), value=(None,))) is None


def test_names_at_most_twenty_events_and_the_last_is_among_them():
    state = a_threshold(count=50, within=1000)
    fired = [found for second in range(50) if (found := state.join(a_match(second)))]
    assert fired[0].times == 50
    assert len(fired[0].matches) == 20
    assert fired[0].matches[-1].observed_at == 49 * SECOND


def test_the_key_unused_for_longest_is_evicted_and_counted():
    state = a_threshold(count=2)
    state.windows = window_state.Keyed(bound=2)
    for second, key in enumerate("abac"):
        state.join(a_match(second, key, number=second))
    assert state.evicted == 0  # a fired at its second match and left
    for second, key in enumerate("de", start=4):
        state.join(a_match(second, key))
    assert state.evicted == 2


def test_closing_forgets_windows_that_cannot_fill_any_more():
    state = a_threshold()
    state.join(a_match(0, "old"))
    state.join(a_match(95, "new"))
    state.close(100 * SECOND)
    assert [key for key, _ in state.windows] == [("new",)]


def test_a_snapshot_carries_the_window_over_a_restart():
    before, after = a_threshold(), a_threshold()
    before.join(a_match(0))
    before.join(a_match(1))
    after.restore(before.snapshot())
    assert after.join(a_match(2))


def test_a_snapshot_carries_distinct_values_over_a_restart():
    before, after = a_threshold(distinct=object()), a_threshold(distinct=object())
    for second, value in enumerate("aab"):
        before.join(a_match(second, value=value))
    after.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(before.snapshot())))
    assert after.join(a_match(3, value="b")) is None
    assert after.join(a_match(4, value="c")).times == 3


def test_a_window_keeps_no_more_matches_than_a_detection_names():
    for distinct in (None, object()):
        state = a_threshold(count=1000, within=10_000, distinct=distinct)
        for second in range(999):
            assert state.join(a_match(second, value=str(second) if distinct else None)) is None
        ((_, window),) = state.windows
        assert len(window.matches) == 20


def test_what_all_keys_keep_together_is_bounded_and_the_loss_is_counted():
    state = a_threshold(count=5, within=1000)
    state.windows = window_state.Keyed(matches_in=lambda window: len(window.matches), room=10)
    for second in range(30):
        state.join(a_match(second, f"user-{second // 3}"))
    assert sum(len(window.matches) for _, window in state.windows) <= 10
    assert state.evicted == 7


def test_an_absent_distinct_value_takes_no_room():
    state = a_threshold(distinct=object())
    state.join(msgspec.structs.replace(a_match(0), value=(None,)))
    assert len(state.windows) == 0
