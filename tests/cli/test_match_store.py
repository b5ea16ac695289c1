import random

from tests.support.matches import a_match

from watchkeeper_cli.match_store import MatchStore
from watchkeeper_detection.match import Match


def shuffled(count):
    matches = [a_match(at=number, number=number) for number in range(count)]
    random.Random(7).shuffle(matches)
    return matches


def test_matches_come_back_in_event_time_order_also_from_disk():
    store = MatchStore(held=10)
    for match in shuffled(95):
        store.add([match])
    assert [match.order() for match in store.in_order()] == sorted(match.order() for match in shuffled(95))


def test_a_match_survives_the_disk_unchanged():
    match = a_match(at=3, value="x", pod="cart")
    store = MatchStore(held=1)
    store.add([match])
    assert list(store.in_order()) == [match]


def test_the_store_is_empty_after_taking():
    store = MatchStore()
    store.add(shuffled(3))
    assert len(list(store.in_order())) == 3
    assert list(store.in_order()) == []


def test_order_does_not_depend_on_how_matches_were_cut():
    whole, cut = MatchStore(), MatchStore(held=4)
    whole.add(shuffled(30))
    for match in reversed(shuffled(30)):
        cut.add([match])
    assert list(map(Match.order, whole.in_order())) == list(map(Match.order, cut.in_order()))
