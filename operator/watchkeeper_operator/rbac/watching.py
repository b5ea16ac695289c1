"""The running watch: follows the objects, lets changes settle, and hands what policies say of them to the leader's intake.

watch = RightsWatch(cluster, policies, intake, engine)     # engine: a store that `migrate` has seen
await watch.run()                                          # until cancelled: of the leader alone
"""

from __future__ import annotations

import asyncio
import logging
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from watchkeeper_detection.wire import Blind
from watchkeeper_operator import kinds
from watchkeeper_operator.rbac import changes
from watchkeeper_operator.rbac.becoming import Powers
from watchkeeper_operator.rbac.judging import Judge
from watchkeeper_operator.rbac.memory import Asked, Memory
from watchkeeper_operator.rbac.shapes import Account, Binding, Other, Pod, Role
from watchkeeper_operator.rbac.state import State
from watchkeeper_operator.rbac.trimming import kept_of
from watchkeeper_operator.store.documents import FencedError
from watchkeeper_operator.store.engine import StoreError
from watchkeeper_operator.watches import Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy import Engine

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.match import Match
    from watchkeeper_detection.program import Program
    from watchkeeper_operator.cluster import Cluster
    from watchkeeper_operator.rbac.shapes import Key, Watched
    from watchkeeper_operator.rbac.telling import Record

SETTLED_SECONDS = 0.5  # without a change: what was applied together is judged together
LONGEST_SECONDS = 2.0  # from the first change of a batch to its judgement
BATCH = 5_000  # changes of one batch at most
WAITING = 1_000  # changes on their way at most; then watches wait
AT_ONCE = 200  # events judged between two looks at other tasks
STORE_RETRY_SECONDS = 5.0
ALIVE_SECONDS = 60.0  # without a change, until it is noted that there was none
NS = 1_000_000_000
SOURCE = "rbac"

log = logging.getLogger(__name__)


def _watched(group: str, plural: str, kind: str, version: str = "v1") -> kinds.Resource:
    return kinds.Resource(group, version, plural, kind, namespaced=False)


CORE = (kinds.ROLES, kinds.CLUSTER_ROLES, kinds.ROLE_BINDINGS, kinds.CLUSTER_ROLE_BINDINGS, kinds.SERVICE_ACCOUNTS)
OTHERS = (
    kinds.VALIDATING_WEBHOOKS,
    kinds.MUTATING_WEBHOOKS,
    kinds.CERTIFICATE_SIGNING_REQUESTS,
    _watched("admissionregistration.k8s.io", "validatingadmissionpolicies", "ValidatingAdmissionPolicy"),
    _watched("admissionregistration.k8s.io", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"),
    _watched("admissionregistration.k8s.io", "mutatingadmissionpolicies", "MutatingAdmissionPolicy"),
    _watched("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding"),
    _watched("apiregistration.k8s.io", "apiservices", "APIService"),
)
SHAPES: dict[str, type[Watched]] = {"Role": Role, "ClusterRole": Role, "RoleBinding": Binding, "ClusterRoleBinding": Binding, "ServiceAccount": Account}
RUNNING_PODS = "status.phase!=Succeeded,status.phase!=Failed"


class Intake(Protocol):
    """Where detections and matches go; durable when it returns. Raises StoreError."""

    async def hand_in(self, detections: Sequence[Detection] = (), matches: Sequence[Match] = (), *, blind: Sequence[tuple[str, Blind]] = ()) -> None: ...


class JudgedPolicies(Protocol):
    """What the policies of the cluster say; `number` rises with each judgement."""

    @property
    def number(self) -> int: ...

    @property
    def program(self) -> Program: ...


class Policies(Protocol):
    async def after(self, number: int) -> JudgedPolicies: ...


class Listed(NamedTuple):
    """All there is of a kind has been told. unheard_since: nanoseconds since the epoch, where it was listed before; what came and went since is not known."""

    kind: str
    unheard_since: int = 0


class Became(NamedTuple):
    """What an object became; None: it is gone."""

    key: Key
    object: Watched | None


Told: TypeAlias = "Became | Listed | JudgedPolicies"


class RightsWatch:
    """Run it once per leader. `watches`: by kind, for whoever looks after their health."""

    def __init__(self, cluster: Cluster, policies: Policies, intake: Intake, engine: Engine, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.watches: dict[str, Watch[Watched]] = {one.kind: Watch(cluster, one, SHAPES.get(one.kind, Other)) for one in (*CORE, *OTHERS)}
        self.pods: Watch[Pod] = Watch(cluster, kinds.PODS, Pod, fields=RUNNING_PODS)
        self._policies = policies
        self._intake = intake
        self._memory = Memory(engine, cluster.epoch or 0)
        self._clock_ns = clock_ns
        self._state = State()
        self._powers = Powers(self._state)
        self._told: asyncio.Queue[Told] = asyncio.Queue(WAITING)
        self._unsettled: dict[Key, Watched | None] = {}  # of kinds that were not listed to their end yet
        self._settled: set[str] = set()
        self._known: dict[Key, Watched] = {}  # what was told before this process, of kinds that are not settled yet
        self._asked = Asked()

    async def run(self) -> None:
        """Until cancelled. Raises StoreError when what was told can't be read, FencedError when another leader writes."""
        self._known, self._asked = await asyncio.to_thread(self._memory.load)
        async with asyncio.TaskGroup() as tasks:
            for kind, watch in self.watches.items():
                tasks.create_task(self._follow(kind, watch))
            tasks.create_task(self._follow_pods())
            tasks.create_task(self._follow_policies())
            tasks.create_task(self._tell())

    @property
    def settled(self) -> frozenset[str]:
        """Kinds of which everything that is there has been told."""
        return frozenset(self._settled)

    @property
    def blind(self) -> dict[str, str]:
        """Kinds of which nothing is known yet, or no longer, and why."""
        watches: list[Watch[Any]] = [*self.watches.values(), self.pods]
        return {one.resource.kind: str(one.failure or "not listed yet") for one in watches if one.failure is not None or not one.listed.is_set()}

    async def _follow(self, kind: str, watch: Watch[Watched]) -> None:
        heard_at, is_listed = 0, False
        async for change in watch:
            if change.kind == "listed":
                await self._told.put(Listed(kind, heard_at if is_listed else 0))
                is_listed = True
            elif (one := change.object) is not None:
                kept = None if change.kind == "deleted" else kept_of(kind, one) if isinstance(one, Other) else one
                await self._told.put(Became((kind, one.metadata.namespace, one.metadata.name), kept))
            heard_at = self._clock_ns()

    async def _follow_pods(self) -> None:
        """Pods make no events: they say who can become whom."""
        async for change in self.pods:
            if change.object is not None:
                if change.kind == "deleted":
                    self._state.remove_pod(change.object.metadata.namespace, change.object.metadata.name)
                else:
                    self._state.put_pod(change.object)

    async def _follow_policies(self) -> None:
        number = 0
        while True:
            judged = await self._policies.after(number)
            number = judged.number
            await self._told.put(judged)

    async def _tell(self) -> None:
        judge: Judge | None = None
        listed: set[str] = set()
        while True:
            batch: dict[Key, Watched | None] = {}
            for told in await self._next_batch():
                if isinstance(told, Listed):
                    listed.add(told.kind)
                    if told.unheard_since:
                        await self._say_blind("relisted", told.unheard_since)
                elif isinstance(told, Became):
                    (batch if told.key[0] in self._settled else self._unsettled)[told.key] = told.object
                else:
                    judge = Judge(told.program)
            if judge is None or not self._is_core_listed(listed):
                self._unsettled.update(batch)
                continue
            await self._tell_changes(judge, batch)
            await self._settle(judge, listed - self._settled)
            await self._ask_new_rules(judge)
            if self._clock_ns() - self._asked.alive_at >= ALIVE_SECONDS * NS:
                await self._remember({})

    async def _next_batch(self) -> list[Told]:
        """What came until nothing comes for a moment; bounded in time and number. Empty when nothing came for long."""
        batch: list[Told] = []
        loop = asyncio.get_running_loop()
        wait, end = ALIVE_SECONDS, loop.time() + ALIVE_SECONDS
        while len(batch) < BATCH:
            try:
                async with asyncio.timeout(max(0.0, wait)):
                    batch.append(await self._told.get())
            except TimeoutError:
                break
            end = min(end, loop.time() + LONGEST_SECONDS)
            wait = min(SETTLED_SECONDS, end - loop.time())
        return batch

    def _is_core_listed(self, listed: set[str]) -> bool:
        return self.pods.listed.is_set() and listed.issuperset(one.kind for one in CORE)

    async def _tell_changes(self, judge: Judge, batch: dict[Key, Watched | None]) -> None:
        news = {key: one for key, one in batch.items() if self._state.objects.get(key) != one}
        if news:
            await self._hand_over(judge, changes.apply(self._state, self._powers, news, self._clock_ns()))
            await self._remember(news)

    async def _settle(self, judge: Judge, settling: set[str]) -> None:
        """Kinds whose first list is complete: what became of them since they were last watched; where they never were, what is present."""
        if not settling:
            return
        seen = {key: one for key, one in self._unsettled.items() if key[0] in settling}
        known = {key: one for key, one in self._known.items() if key[0] in settling}
        self._unsettled = {key: one for key, one in self._unsettled.items() if key not in seen}
        self._known = {key: one for key, one in self._known.items() if key not in known}
        self._settled |= settling
        familiar = settling & self._asked.kinds
        if familiar and self._asked.alive_at:
            await self._say_blind("stopped", self._asked.alive_at)
        for key, one in (known | {key: one for key, one in seen.items() if key[0] not in familiar}).items():
            if one is not None:
                self._state.put(key, one)
        self._asked.kinds |= settling
        new = settling - familiar
        if new:
            log.info("rights: watching %s", ", ".join(sorted(new)))
            await self._hand_over(judge, changes.present(self._state, self._powers, self._clock_ns(), new))
        gone = dict.fromkeys(key for key in known if key[0] in familiar and seen.get(key) is None)
        await self._tell_changes(judge, {key: one for key, one in seen.items() if key[0] in familiar} | gone)
        await self._remember(seen)

    async def _ask_new_rules(self, judge: Judge) -> None:
        """Rules that were not there when what is present was told are asked about it once."""
        if judge.rules == self._asked.rules:
            return
        if self._asked.rules and (asked := judge.of_new_rules(self._asked.rules)):
            await self._hand_over(asked, changes.present(self._state, self._powers, self._clock_ns(), self._settled))
        self._asked.rules = judge.rules
        await self._remember({})

    async def _hand_over(self, judge: Judge, records: Iterable[Record]) -> None:
        rest = iter(records)
        while some := list(islice(rest, AT_ONCE)):
            judged = judge.judge(some)
            if judged.detections or judged.matches:
                await self._stored(lambda judged=judged: self._intake.hand_in(judged.detections, judged.matches))  # type: ignore[misc]
            await asyncio.sleep(0)

    async def _remember(self, changed: dict[Key, Watched | None]) -> None:
        """Only after it was handed over: what is told twice is the same detection."""
        self._asked.alive_at = self._clock_ns()
        await self._stored(lambda: asyncio.to_thread(self._memory.save, changed, self._asked, self._asked.alive_at))

    async def _say_blind(self, cause: str, since: int) -> None:
        """What was changed and changed back in a gap nobody saw; what is different after it is told."""
        interval = Blind(cause=cause, since=since, until=self._clock_ns())
        await self._stored(lambda: self._intake.hand_in(blind=[(SOURCE, interval)]))

    async def _stored(self, put: Callable[[], Awaitable[None]]) -> None:
        """A store that fails is tried until it works: nothing is told or forgotten meanwhile."""
        while True:
            try:
                return await put()
            except FencedError:
                raise
            except StoreError as error:
                log.error("rights: the store failed, trying again: %s", error)  # noqa: TRY400 (the error says what there is to say)
                await asyncio.sleep(STORE_RETRY_SECONDS)
