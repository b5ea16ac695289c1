import msgspec
from tests.support.matches import SECOND, a_match

from watchkeeper_detection import first_seen
from watchkeeper_detection.program import FirstSeen

DAY = 86400


def a_state(learn_days=14):
    return first_seen.FirstSeenState(FirstSeen((), (), learn_days * DAY * SECOND))


def test_learns_in_silence_then_fires_on_what_is_new():
    state = a_state()
    assert state.join(a_match(0, value="paris")) is None
    assert state.join(a_match(13 * DAY, value="rome")) is None
    assert state.join(a_match(15 * DAY, value="rome")) is None
    assert state.join(a_match(15 * DAY, value="oslo"))


def test_fires_once_per_value():
    state = a_state()
    state.join(a_match(0, value="paris"))
    assert state.join(a_match(15 * DAY, value="oslo"))
    assert state.join(a_match(16 * DAY, value="oslo")) is None


def test_a_new_key_space_learns_anew():
    state = a_state()
    state.join(a_match(0, "alice", value="paris"))
    assert state.join(a_match(15 * DAY, "bob", value="oslo")) is None


def test_after_a_baseline_every_new_value_is_news():
    learned, judging = a_state(), a_state()
    learned.join(a_match(0, value="paris"))
    learned.learned()
    judging.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(learned.snapshot())))
    assert judging.join(a_match(1, value="paris")) is None
    assert judging.join(a_match(2, value="oslo"))


def test_an_absent_value_is_no_news():
    state = a_state(learn_days=0)
    assert state.join(msgspec.structs.replace(a_match(0), value=(None,))) is None


def test_past_its_bound_it_stops_and_says_blind(monkeypatch):
    monkeypatch.setattr(first_seen, "VALUES_PER_RULE", 2)
    state = a_state(learn_days=0)
    fired = [state.join(a_match(second, value=value)) is not None for second, value in enumerate("abcc")]
    assert fired == [True, True, False, False]
    assert state.blind
    assert state.unlearned == 2


def test_a_noisy_key_space_blinds_itself_only(monkeypatch):
    monkeypatch.setattr(first_seen, "VALUES_PER_SPACE", 2)
    state = a_state(learn_days=0)
    assert [state.join(a_match(second, "noisy", value=value)) is not None for second, value in enumerate("abc")] == [True, True, False]
    assert state.join(a_match(4, "quiet", value="a"))
    assert state.unlearned == 1
