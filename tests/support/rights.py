"""The watch of rights on a real API server, with the leader's own intake and store, judged by the shipped library."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import msgspec
from sqlalchemy import select

from watchkeeper_cli.policy_set import library_program
from watchkeeper_detection.detection import Detection
from watchkeeper_detection.program import narrowed_to
from watchkeeper_operator.cluster import Cluster
from watchkeeper_operator.incidents.intake import Intake
from watchkeeper_operator.rbac.watching import RightsWatch
from watchkeeper_operator.store.engine import open_engine, reading
from watchkeeper_operator.store.schema import migrate
from watchkeeper_operator.store.tables import DetectionRow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watchkeeper_detection.program import Program

SEEN_SECONDS = 15.0
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class InForce:
    program: Program
    number: int = 1


class FixedPolicies:
    """Policies that are what they are."""

    def __init__(self, program: Program) -> None:
        self._in_force = InForce(program)

    async def after(self, number: int) -> InForce:
        if number >= self._in_force.number:
            await asyncio.Event().wait()
        return self._in_force


def rights_program() -> Program:
    """The shipped policies over grants and what decides about them."""
    return narrowed_to(library_program(), ("rbac.grant", "rbac.object"))


class WatchedRights:
    """The watch in a thread of its own, while the context lasts; `store` outlives it, so that another one can go on."""

    def __init__(self, kubeconfig: Path, store: Path, program: Program | None = None) -> None:
        self._kubeconfig = kubeconfig
        self._engine = open_engine(f"sqlite:///{store}")
        self._program = program or rights_program()
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        migrate(self._engine)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.await_(self._ready.is_set, "the watch has not begun")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        self._engine.dispose()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._watch())
        except asyncio.CancelledError:
            pass
        except BaseException as failure:  # noqa: BLE001 (raised in the test's own thread)
            self._failure = failure
            self._ready.set()

    async def _watch(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        async with Cluster.connect(self._kubeconfig) as cluster:
            intake = Intake(self._engine, self._program, epoch=1, clock=time.time_ns)
            self.watch = RightsWatch(cluster.in_epoch(1), FixedPolicies(self._program), intake, self._engine)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.watch.run())
                tasks.create_task(self._go_on(intake))

    async def _go_on(self, intake: Intake) -> None:
        """As the leader does when its queues are read to the end."""
        while True:
            await asyncio.sleep(0.2)
            if self.watch.settled:
                self._ready.set()
            await intake.take("rights", (), complete_until=time.time_ns())

    def detections(self) -> list[Detection]:
        with reading(self._engine) as connection:
            return [
                msgspec.msgpack.decode(content, type=Detection)
                for content in connection.execute(select(DetectionRow.content).order_by(DetectionRow.stored_at)).scalars()
            ]

    def seen(self, policy: str, rule: str, words: str = "") -> Detection:
        """The detection of a rule whose message has these words; waits for it. Raises TimeoutError."""
        found: list[Detection] = []

        def there() -> bool:
            found[:] = [one for one in self.detections() if (one.policy, one.rule) == (policy, rule) and words in one.message]
            return bool(found)

        self.await_(there, f"{policy}/{rule} with {words!r} was not seen")
        return found[0]

    def await_(self, holds: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + SEEN_SECONDS
        while not holds():
            if self._failure is not None:
                raise self._failure
            if time.monotonic() > end:
                told = [f"{one.policy}/{one.rule}: {one.message}" for one in self.detections()] if self._ready.is_set() else []
                raise TimeoutError(f"{otherwise}; told: {told[-20:]}")
            time.sleep(POLL_SECONDS)
