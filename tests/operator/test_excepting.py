"""Exceptions of namespaces as detections of root: each once, also for a leader that comes later."""

from __future__ import annotations

import asyncio

from watchkeeper_operator.excepting import Excepting, Told, news
from watchkeeper_operator.incidents.intake import is_well_named
from watchkeeper_operator.policy_objects import Key, Written

NOW = 1_773_282_600_000_000_000
SPEC = {"policy": "shell", "when": "true", "until": "2026-04-01T00:00:00Z", "owner": "ops", "reason": "nightly"}


def an_exception(generation=1, namespace="shop", uid="u"):
    return Written(Key("PolicyException", namespace, "backup"), uid, generation, "", SPEC)


BACKUP = an_exception()
CASES = {
    "one that is made": ({}, [BACKUP], set(), ["made"]),
    "one that was told": ({"u": Told(1)}, [BACKUP], set(), []),
    "one that is changed": ({"u": Told(1)}, [an_exception(2)], set(), ["changed"]),
    "an older generation that came back to force": ({"u": Told(2)}, [BACKUP], set(), []),
    "one that is used for the first time": ({"u": Told(1)}, [BACKUP], {BACKUP.key}, ["first-used"]),
    "one that is used again": ({"u": Told(1, used=True)}, [BACKUP], {BACKUP.key}, []),
    "one of the same name made anew": ({"old": Told(1, used=True)}, [BACKUP], {BACKUP.key}, ["made", "first-used"]),
    "root's own": ({}, [an_exception(namespace="watchkeeper")], set(), []),
    "a policy": ({}, [Written(Key("RuntimePolicy", "shop", "shell"), "p", 1, "", {})], set(), []),
}


def test_what_is_told():
    for case, (told, in_force, used, rules) in CASES.items():
        found, after = news(told, in_force, used, NOW)
        assert [one.rule for one in found] == rules, case
        assert news(after, in_force, used, NOW) == ([], after), case
        assert all(one.namespace == "watchkeeper" and is_well_named(one) for one in found), case


def test_a_detection_says_whose_exception_of_what_until_when():
    (made,), _ = news({}, [BACKUP], set(), NOW)
    assert (
        made.message
        == "PolicyException shop/backup holds back what policy shell finds in namespace shop: until 2026-04-01T00:00:00Z, owner ops, reason nightly"
    )
    assert news({}, [BACKUP], set(), NOW + 1)[0][0].id == made.id


async def told_by(engine, epoch):
    handed: list[str] = []

    async def hand_in(detections):
        handed.extend(one.rule for one in detections)

    excepting = Excepting(engine, epoch, lambda: [BACKUP], hand_in, lambda: NOW)
    excepting.used({BACKUP.key})
    await excepting.look()
    return handed


def test_a_later_leader_says_nothing_again(engine):
    assert asyncio.run(told_by(engine, 1)) == ["made", "first-used"]
    assert asyncio.run(told_by(engine, 2)) == []
