"""PolicyExceptions outside root, as detections of root: one is made or changed, and one held something back for the first time.

Told from the objects and the nodes' counts, so also where no audit log is connected. What was told is in the store: a new leader does not say it again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.attack import with_v18
from watchkeeper_detection.detection import Detection, detection_id
from watchkeeper_operator.names import ROOT_NAMESPACE
from watchkeeper_operator.policy_objects import EXCEPTION
from watchkeeper_operator.store.documents import claim, document, put_document
from watchkeeper_operator.store.engine import reading, writing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Engine

    from watchkeeper_operator.policy_objects import Key, Written

POLICY, SOURCE = "detection-excepted", "watchkeeper"
KIND, NAME = "exceptions-told", "all"
RUNBOOK = """What it means: a namespace outside root holds detections back for its own workloads, until the date that it names.
What to check: who wrote the exception (managedFields, audit log), whether its owner knows of it, and what it has held back (status.heldBack).
How to contain: delete the exception; what it held back is counted, not kept. Let fewer people write policyexceptions there.
How to tune: a rule with exceptions RootOnly counts exceptions of root alone; rules of severity P1 and P2 are so unless they say otherwise."""


class Told(msgspec.Struct, frozen=True):
    """What was told of an exception, by its uid: up to which generation, and whether that it was used."""

    generation: int
    used: bool = False


def news(told: Mapping[str, Told], in_force: Iterable[Written], used: Iterable[Key], now: int) -> tuple[list[Detection], dict[str, Told]]:
    """Detections, and what is told then; exceptions that are gone are forgotten. `used`: those that held something back lately."""
    found, after, those = [], {}, set(used)
    for one in in_force:
        if one.key.kind != EXCEPTION or one.key.namespace == ROOT_NAMESPACE:
            continue
        before = told.get(one.uid, Told(0))
        if one.generation > before.generation:
            found.append(_detection(one, "changed" if before.generation else "made", one.generation, now))
        if one.key in those and not before.used:
            found.append(_detection(one, "first-used", 1, now))
        after[one.uid] = Told(max(one.generation, before.generation), before.used or one.key in those)
    return found, after


WORDS = {
    "made": ("An exception from detection was made", "holds back what policy {policy} finds in namespace {namespace}"),
    "changed": ("An exception from detection was changed", "holds back what policy {policy} finds in namespace {namespace}"),
    "first-used": ("An exception from detection was used for the first time", "held back what policy {policy} found in namespace {namespace}"),
}


def _detection(one: Written, rule: str, number: int, now: int) -> Detection:
    title, words = WORDS[rule]
    event = f"{SOURCE}:{one.uid}:{number}"
    does = words.format(policy=one.spec.get("policy", ""), namespace=one.key.namespace)
    said = ", ".join(f"{what} {one.spec[what]}" for what in ("until", "owner", "reason") if one.spec.get(what))
    return Detection(
        id=detection_id(POLICY, rule, (event,)),
        kind="policy.exception",
        observed_at=now,
        policy=POLICY,
        namespace=ROOT_NAMESPACE,
        rule=rule,
        title=title,
        severity="P3",
        confidence="high",
        attack=with_v18("T1685"),
        message=f"PolicyException {one.key.namespace}/{one.key.name} {does}: {said}",
        source=SOURCE,
        places=(),
        event_ids=(event,),
        target=f"namespaces/{one.key.namespace}/policyexceptions/{one.key.name}",
        runbook=RUNBOOK,
    )


class Excepting:
    """Of one leader. `in_force`: what is in force now; `hand_in`: detections, durably (`Intake.hand_in`); `clock`: ns since the epoch."""

    def __init__(
        self,
        store: Engine,
        epoch: int,
        in_force: Callable[[], Sequence[Written]],
        hand_in: Callable[[Sequence[Detection]], Awaitable[None]],
        clock: Callable[[], int],
    ) -> None:
        self._store, self._epoch, self._in_force, self._hand_in, self._clock = store, epoch, in_force, hand_in, clock
        self._used: set[Key] = set()
        self._woken = asyncio.Event()

    def used(self, exceptions: set[Key]) -> None:
        self._used |= exceptions
        self._woken.set()

    def policies_changed(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled. Raises StoreError."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self.look()

    async def look(self) -> None:
        """Tell what is news now. Raises StoreError."""
        told = await asyncio.to_thread(self._load)
        used, self._used = self._used, set()
        found, after = news(told, self._in_force(), used, self._clock())
        if found:
            await self._hand_in(found)
        if after != told:
            await asyncio.to_thread(self._save, after)

    def _load(self) -> dict[str, Told]:
        with reading(self._store) as connection:
            content = document(connection, KIND, NAME)
        return {} if content is None else msgspec.msgpack.decode(content, type=dict[str, Told])

    def _save(self, told: dict[str, Told]) -> None:
        with writing(self._store) as connection:
            claim(connection, self._epoch)
            put_document(connection, KIND, NAME, msgspec.msgpack.encode(told), now=self._clock())
