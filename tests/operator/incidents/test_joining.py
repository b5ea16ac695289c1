from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper_operator.incidents.joining import Group, Groups, Span

MINUTE = 60_000_000_000
WINDOW = 30 * MINUTE


def a_group(name: str, at: float, *keys: str) -> Group:
    moment = round(at * MINUTE)
    return Group(name, (1, moment, name), {key: Span(moment, moment) for key in keys})


def joined(*groups: Group) -> set[frozenset[str]]:
    known = Groups(window_ns=WINDOW)
    for group in groups:
        known.add(group)
    return {frozenset(group.holds) for group in known}


def test_detections_that_share_a_key_within_the_window_are_one_incident() -> None:
    assert joined(a_group("a", 0, "shop/cart"), a_group("b", 30, "shop/cart", "alice")) == {frozenset("ab")}


def test_detections_that_share_a_key_beyond_the_window_are_two() -> None:
    assert joined(a_group("a", 0, "shop/cart"), a_group("b", 30.01, "shop/cart")) == {frozenset("a"), frozenset("b")}


def test_detections_that_share_nothing_are_two() -> None:
    assert joined(a_group("a", 0, "shop/cart"), a_group("b", 0, "alice")) == {frozenset("a"), frozenset("b")}


def test_one_that_shares_with_two_makes_all_three_one_and_the_older_keeps_its_id() -> None:
    known = Groups(window_ns=WINDOW)
    known.add(a_group("a", 0, "shop/cart"))
    known.add(a_group("b", 5, "alice"))
    assert known.add(a_group("c", 10, "shop/cart", "alice")).id == "a"
    assert [sorted(group.holds) for group in known] == [["a", "b", "c"]]


def test_nothing_joins_an_incident_that_would_be_longer_than_a_day() -> None:
    steady = [a_group(f"{number:03}", number * 20, "shop/cart") for number in range(100)]
    found = joined(*steady)
    assert len(found) == 2
    assert max(map(len, found)) == 24 * 60 // 20 + 1


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[str, int, tuple[str, ...]]]:
    """Up to 14 detections of few keys within some hours: joins, bridges and gaps all come about."""
    rows = draw(st.lists(st.tuples(st.integers(0, 300), st.sets(st.sampled_from("pqrs"), min_size=1, max_size=2)), min_size=1, max_size=14))
    return [(f"d{number}", minute, tuple(sorted(keys))) for number, (minute, keys) in enumerate(rows)]


def independently_joined(rows: list[tuple[str, int, tuple[str, ...]]]) -> set[frozenset[str]]:
    """The same by the definition alone: join any two sets that must be, until there are none."""
    sets = [{row} for row in rows]
    while True:
        for one, other in combinations(sets, 2):
            shared = {key for _, _, keys in one for key in keys} & {key for _, _, keys in other for key in keys}
            hulls = [[[minute for _, minute, keys in part if key in keys] for part in (one, other)] for key in shared]
            if any(min(left) - 30 <= max(right) and min(right) - 30 <= max(left) for left, right in hulls):
                one.update(other)
                sets.remove(other)
                break
        else:
            return {frozenset(name for name, _, _ in part) for part in sets}


@settings(deadline=None, max_examples=300)
@given(rows=arrivals(), random=st.randoms(use_true_random=False))
def test_incidents_do_not_depend_on_the_order_of_arrival(rows: list[tuple[str, int, tuple[str, ...]]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    expected = independently_joined(rows)
    assert joined(*(a_group(name, minute, *keys) for name, minute, keys in rows)) == expected
    assert joined(*(a_group(name, minute, *keys) for name, minute, keys in shuffled)) == expected
