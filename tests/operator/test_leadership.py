"""Who may take the Lease, when, and with which epoch."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from watchkeeper_operator.leadership import Seen, Timing, may_take, released, renewed, seen, taken

MOMENT = datetime(2026, 7, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def a_lease(holder="a", epoch=7, seconds=15, version="1"):
    return {
        "metadata": {"name": "watchkeeper-operator", "resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseTransitions": epoch, "leaseDurationSeconds": seconds},
    }


CASES = {
    "one that is renewed stays its holder's": (a_lease(), 14.9, False),
    "one that was not renewed for as long as it lasts is free": (a_lease(), 15.1, True),
    "one that was given back is free at once": (released(a_lease()), 0.0, True),
    "one that nobody ever held is free": ({"metadata": {"resourceVersion": "1"}, "spec": {}}, 0.0, True),
}


@pytest.mark.parametrize("case", CASES)
def test_a_lease(case):
    lease, age, free = CASES[case]
    assert may_take(Seen(lease, 100.0), 100.0 + age) is free


def test_age_is_counted_from_when_we_first_saw_it_so_not_by_another_nodes_clock():
    first = seen(None, a_lease(), 100.0)
    assert seen(first, a_lease(), 109.0).since == 100.0
    assert seen(first, a_lease(version="2"), 109.0).since == 109.0


def test_each_taking_is_a_new_epoch_also_by_the_same_process():
    lease = taken(Seen(a_lease(holder="me", epoch=7), 0.0), "me", Timing(), MOMENT)
    assert lease["spec"] == {
        "holderIdentity": "me",
        "leaseTransitions": 8,
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-07-01T12:00:00.250000Z",
        "renewTime": "2026-07-01T12:00:00.250000Z",
    }
    assert lease["metadata"]["resourceVersion"] == "1"
    assert taken(None, "me", Timing(), MOMENT)["spec"]["leaseTransitions"] == 1


def test_renewing_and_giving_back_keep_the_epoch():
    lease = taken(None, "me", Timing(), MOMENT)
    assert renewed(lease, MOMENT)["spec"]["leaseTransitions"] == 1
    assert released(lease)["spec"]["leaseTransitions"] == 1


def test_a_leader_stops_by_itself_before_another_may_lead():
    assert Timing().give_up < Timing().lease
