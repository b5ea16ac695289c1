"""Counts of what exceptions held back, over nodes and restarts of their sensors."""

from __future__ import annotations

import asyncio

import msgspec

from watchkeeper_detection.node_wire import NodeState
from watchkeeper_operator.held_back import HeldBack, Sums, add
from watchkeeper_operator.policy_objects import Key, Written
from watchkeeper_operator.policy_statuses import Held

BACKUP = Written(Key("PolicyException", "shop", "backup"), "u", 1, "", {"policy": "shell"})
OTHERS = Written(Key("PolicyException", "bank", "backup"), "v", 1, "", {"policy": "shell"})
ROOTS = Written(Key("PolicyException", "watchkeeper", "backup"), "w", 1, "", {"policy": "shell"})
SECOND = 10**9


def a_state(count, started_at=1, rule="shell/run", exception="shop/backup"):
    return NodeState(sensor_version="1", kernel="6", started_at=started_at, held_back={f"{rule} {exception}": count} if count else {})


def told(*words):
    """Sums after (node, state) were told, a second apart."""
    sums = Sums({}, {})
    for second, (uid, state) in enumerate(words, 1):
        add(sums, uid, state, second * SECOND, [BACKUP, OTHERS, ROOTS])
    return sums.exceptions


CASES = {
    "a count goes on from the node's last word": ([("a", a_state(2)), ("a", a_state(5))], {"shop/backup": (5, 2 * SECOND)}),
    "the same count again is no use of it": ([("a", a_state(2)), ("a", a_state(2))], {"shop/backup": (2, SECOND)}),
    "nodes are summed": ([("a", a_state(2)), ("b", a_state(3))], {"shop/backup": (5, 2 * SECOND)}),
    "a sensor that began anew counts anew": ([("a", a_state(5)), ("a", a_state(2, started_at=2))], {"shop/backup": (7, 2 * SECOND)}),
    "one of the same name in another namespace is another": ([("a", a_state(2, exception="bank/backup"))], {"bank/backup": (2, SECOND)}),
    "one of root is called by its name": ([("a", a_state(2, exception="backup"))], {"watchkeeper/backup": (2, SECOND)}),
    "what nobody wrote is passed over": ([("a", a_state(2, rule="gone/run"))], {}),
    "nothing held back": ([("a", a_state(0))], {}),
}


def test_counts():
    for case, (words, wanted) in CASES.items():
        assert told(*words) == wanted, case


async def kept(engine):
    first = HeldBack(engine, 1, lambda: 0)
    assert first.take("a", a_state(2), SECOND, [BACKUP])
    assert not first.take("a", a_state(2), 2 * SECOND, [BACKUP])
    first._save(msgspec.msgpack.encode(first._sums))
    second = HeldBack(engine, 2, lambda: 0)
    await second.load()
    return second


def test_counts_outlive_the_leader(engine):

    second = asyncio.run(kept(engine))
    assert second.by_exception() == {BACKUP.key: Held(2, "1970-01-01T00:00:01Z")}
    assert not second.take("a", a_state(2), 3 * SECOND, [BACKUP])
