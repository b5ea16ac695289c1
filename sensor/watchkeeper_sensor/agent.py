"""The agent: what the kernel tells → events → detections, with what was lost, until it is told to stop."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.engine import Engine
from watchkeeper_detection.joining import spanning
from watchkeeper_sensor.act import act_of
from watchkeeper_sensor.asking import asked_of, kernel_part
from watchkeeper_sensor.decoding import PROGRAMS
from watchkeeper_sensor.decoding.system import follow
from watchkeeper_sensor.events import EventStream
from watchkeeper_sensor.health import Health
from watchkeeper_sensor.keeping import Keeper, KeepingError
from watchkeeper_sensor.kernel.enforcement import Enforcement, enforcement_of, protect, tell_scope
from watchkeeper_sensor.kernel.libbpf import BpfError, BpfUnavailableError, give_back_memory
from watchkeeper_sensor.kernel.programs import KernelSensor
from watchkeeper_sensor.late.feed import NAME, FileFeed
from watchkeeper_sensor.late.source import LATE_SECONDS
from watchkeeper_sensor.late.sources import LateFields
from watchkeeper_sensor.lookout import Lookout
from watchkeeper_sensor.recorder import Recorder
from watchkeeper_sensor.surroundings import Surroundings
from watchkeeper_sensor.waiting_acts import WaitingActs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.event import Event
    from watchkeeper_detection.match import Match
    from watchkeeper_detection.program import Program
    from watchkeeper_sensor.kernel.filters import Filters
    from watchkeeper_sensor.late.feed import Feed

KEEP_SECONDS = 5.0  # between two savings of the state
GIVE_BACK_SECONDS = 60.0  # between two times that memory which a storm took goes back to the system
SOON_SECONDS = 0.01  # to wait for records while matches wait for the moment to pass
LATENESS_NS = 15_000_000  # between a record's time and its place in a ring: a program of the kernel is interrupted, but not for long
LEAVING = 100_000  # matches of one round that go elsewhere
ENFORCING = "exec_enforce"


class Agent:
    """Owns the kernel's programs and the engine. Raises BpfUnavailableError where the machine can't."""

    def __init__(
        self,
        programs: Path,
        program: Program,
        *,
        also: Collection[str] = (),
        state: Path | None = None,
        feed: Feed | None = None,
        node_name: str | None = None,
        root: Path = Path("/"),
        joins_spanning: bool = True,
        pid_namespace: int = 0,
        takes_over: bool = False,
    ) -> None:
        """`also`: kinds that are told whatever the policies ask for. `state`: folder where windows survive a restart.

        `feed`: what the cluster knows of pods; the file of this name in the state's folder where none is given. `root`: where the host's files are.
        `pid_namespace`: the node's (inode) where it shares its kernel with other nodes, of which nothing is told then.
        `takes_over`: another agent watches still; what is kept is a copy of its state.
        `joins_spanning`: whether windows that span nodes are kept here as well; where matches of all nodes come together, they are that one's.
        """
        self.program = kernel_part(program)
        self.around = Surroundings(node_name, root=root, pid_namespace=pid_namespace)
        self._joins_spanning = joins_spanning
        self.around.containers.feed = feed if feed is not None else FileFeed(state / NAME) if state else None
        self.late = LateFields(self.around)
        self.late.judge_by(self.program)
        self.enforcement = enforcement_of(self.program)
        filters = self._filters(also)
        self.kernel = KernelSensor(programs, filters.kinds, PROGRAMS, root=root, pid_namespace=pid_namespace)
        self.kernel.keep_quiet(os.getpid())
        self.kernel.set_filters(filters)
        self.stream = EventStream(self.around)
        self.stream.tree.seed()
        self._scoped: set[int] = set()
        self._test_id = 1
        self._enforce(self.enforcement)
        self.engine = self._new_engine()
        self._held_before: Counter[str] = Counter()  # by exceptions, in engines of before
        self.health = Health(time.time(), tuple(sorted(self.kernel.kinds)), self.kernel.blind_spots)
        self._recorder = Recorder()
        self._acts = WaitingActs(self._recorder)
        self.lookout = Lookout(self.kernel, self.around, self.health.lost, shares_kernel=bool(pid_namespace))
        self._keeper = Keeper(state) if state else None
        self._leaving: deque[Match] = deque(maxlen=LEAVING)
        self._spanning = spanning(self.program)
        self._watched_until = time.time_ns()  # what happened before has been judged and told
        self._gave_back_at = time.monotonic()
        self._kept_at = -KEEP_SECONDS  # at once: a kill in the first seconds is told too
        self.keeping_failed = ""  # why the state was not kept, the last time that it should have been
        self.news: list[str] = []  # about what is kept, for people; whoever shows it takes it out
        self._replayed: list[Detection] = []  # of windows that a kill cut short
        self._pending: list[Event] = self._opening(takes_over=takes_over)

    def _new_engine(self) -> Engine:
        return Engine(self.program, late=self.late.paths)

    def _enforce(self, enforcement: Enforcement) -> None:
        """Hand the rules that kill to the kernel, where it runs the program for them."""
        self.enforcement = enforcement
        if self._asks_where or enforcement.rules:
            for cgroup in self.stream.tree.cgroups():
                self._scope(cgroup)
        if not self.kernel.is_attached(ENFORCING):
            return
        self.around.enforced_rules = tuple(enforcement.rules)
        protect(self.kernel.object)
        self._test_id = enforcement.install(self.kernel.object, self._test_id)

    def _scope(self, cgroup: int) -> None:
        """Let the kernel know of a cgroup that was met for the first time."""
        container_id = self.around.containers.id_of(cgroup)
        if container_id is None and self.around.containers.is_unknown(cgroup):
            return
        self._scoped.add(cgroup)
        tell_scope(self.kernel.object, cgroup, is_container=container_id is not None)

    def _filters(self, also: Collection[str]) -> Filters:
        filters = asked_of(self.program, {*also, *self.late.needs}, kills=bool(self.enforcement.rules))
        self._asks_where = filters.asks_where
        return filters

    def _opening(self, *, takes_over: bool) -> list[Event]:
        """Take up what was kept, and say since when nobody watched."""
        if self._keeper is None:
            return [self.lookout.event("sensor.started")]
        kept, since, cause = None, None, "killed"
        try:
            kept = self._keeper.load()
            if kept is not None:
                since, cause = kept.moment, "stopped" if kept.stopped else "killed"
                if kept.boot_id == self.around.host.boot_id and kept.steady:
                    self.around.clock.steady_boot_time_ns = kept.steady
                self.engine.restore(kept.engine)
        except KeepingError as error:
            since = error.since
            self.news.append(str(error))
        except ValueError as error:  # of a version that kept other things
            self.news.append(f"windows begin anew: {error}")
            self.engine = self._new_engine()
        for match in self._keeper.journaled(kept.journal if kept else 0):
            self._replayed += self.engine.wait(match)
        return [*self.lookout.was_away(since, cause)] if since is not None and not takes_over else [self.lookout.event("sensor.started")]

    def _keep(self, *, stopped: bool = False) -> None:
        if self._keeper is None:
            return
        self._kept_at = time.monotonic()
        failed_before = self.keeping_failed
        try:
            steady = self.around.clock.steady_boot_time_ns
            self._keeper.save(self.around.host.boot_id, self._watched_until, self.engine.snapshot(), steady=steady, stopped=stopped)
            self.keeping_failed = self._keeper.failed
        except KeepingError as error:
            self.keeping_failed = str(error)
        if bool(self.keeping_failed) != bool(failed_before):
            self.news.append(self.keeping_failed or "the agent's state is kept again")

    def events(self, seconds: float) -> Iterator[Event]:
        """Events of what happened until now; waits up to `seconds` for some. What the last call gave has been told."""
        self._note_time()
        yield from self._pending
        self._pending.clear()
        self.kernel.rings.wait(min(seconds, SOON_SECONDS) if self.engine.is_waiting or self.late else seconds)
        for event in self.stream.take(self.kernel.rings.rings):
            self.health.events += 1
            if (self._asks_where or self.enforcement.rules) and event.header[5] not in self._scoped:
                self._scope(event.header[5])
            if event.kind == "clock.set":
                follow(event)
            if event.kind in self.late.needs:
                self.late.saw(event)
            if event.kind == "bpf.load" and event.bpf.program_id is not None:
                self.lookout.saw_program(event.bpf.program_id)
            yield event
        yield from self.lookout.look()
        if time.monotonic() - self._kept_at >= KEEP_SECONDS:
            self._keep()
        if time.monotonic() - self._gave_back_at >= GIVE_BACK_SECONDS:
            self._gave_back_at = time.monotonic()
            give_back_memory()

    def _note_time(self) -> None:
        """A kill from here on loses nothing that happened before, but for what waits for late fields."""
        if self.stream.complete_until:
            waits_ns = int(LATE_SECONDS * 1e9) if self.late else 0
            self._watched_until = self.stream.complete_until + self.around.boot_time_ns - LATENESS_NS - waits_ns

    def judge(self, event: Event) -> list[Detection]:
        """Detections of this event, and of sequences and thresholds that it completes."""
        detections, matches, later = self.engine.matcher.match_now(event)
        if later:
            late = self.late.take(event, self.engine.matcher, later)
            detections, matches = detections + late.detections, matches + late.matches
        return self._found(event, detections, matches) if detections or matches else []

    def _found(self, event: Event, detections: tuple[Detection, ...], matches: tuple[Match, ...]) -> list[Detection]:
        """What a judgement gave, with who acted; matches go to the windows."""
        act = act_of(event)
        found = [msgspec.structs.replace(detection, act=act, event=self._recorder.written(event)) for detection in detections]
        if matches:
            self._acts.hold(event, act)
            joined = matches if self._joins_spanning else [match for match in matches if match.rule not in self._spanning]
            steady = [self._steady(match, event) for match in joined]
            for match in steady:
                found += self._with_acts(self.engine.wait(match))
            if self._keeper is not None:
                self._keeper.note(steady)
            self._leaving.extend(match for match in matches if match.rule in self._spanning)
        return [self._counted(detection) for detection in found]

    def _steady(self, match: Match, event: Event) -> Match:
        """The match by the time that no step of the clock moves: windows are kept by it."""
        moment = self.around.steady_time(event)
        return match if moment == match.observed_at else msgspec.structs.replace(match, observed_at=moment)

    def advance(self) -> list[Detection]:
        """Detections of thresholds and sequences: the rings were emptied, so nothing older than a moment ago is still to come."""
        late = [detection for judged in self.late.settled() for detection in self._found(*judged)]
        if self._keeper is not None:
            self._keeper.flush()
        replayed, self._replayed = self._replayed, []
        complete = self.stream.complete_until + self.around.clock.steady_boot_time_ns - LATENESS_NS
        joined = self.engine.advance(min(complete, self.late.joined_until))
        return late + [self._counted(detection) for detection in self._with_acts([*replayed, *joined])]

    def leaving(self) -> list[Match]:
        """Matches since the last call of rules whose windows span nodes."""
        found = list(self._leaving)
        self._leaving.clear()
        return found

    def finish(self) -> list[Detection]:
        """Judge by what is known all that still waits for late fields: the agent is about to end."""
        late = [detection for judged in self.late.finish() for detection in self._found(*judged)]
        return late + self.advance()

    def _with_acts(self, detections: list[Detection]) -> list[Detection]:
        return self._acts.given(detections, self.around.clock.drift_ns)

    def _counted(self, detection: Detection) -> Detection:
        self.health.detections[detection.severity] += 1
        self.health.delays_ms.append((time.time_ns() - detection.observed_at) / 1e6)
        return detection

    def reload(self, program: Program, *, also: Collection[str] = ()) -> None:
        """Judge by other policies from now on; state of rules whose condition did not change is kept. Raises BpfError, and then judges as before."""
        before = self.program
        try:
            self._judge_by(program, also)
        except (BpfError, BpfUnavailableError):
            self._judge_by(before, also)
            raise

    def _judge_by(self, program: Program, also: Collection[str]) -> None:
        self.program = kernel_part(program)
        self.late.judge_by(self.program)
        self._spanning = spanning(self.program)
        self.enforcement = enforcement_of(self.program)
        self.kernel.set_filters(self._filters(also))
        self._enforce(self.enforcement)
        self.lookout.claim()
        self._renew_engine()

    def _renew_engine(self) -> None:
        """For the program as it is now; also without what the old one remembered of events that are alike."""
        self._held_before = Counter(self.held_back)
        snapshot = self.engine.snapshot()
        self.engine = self._new_engine()
        self.engine.restore(snapshot)

    @property
    def held_back(self) -> dict[str, int]:
        """`policy/rule exception` → detections that the exception held back since the start."""
        found = Counter(self._held_before)
        for (rule, exception), count in self.engine.matcher.statistics.held_by_exception.items():
            found[f"{rule} {exception}"] += count
        for (rule, guard, is_exception), count in self.engine.joiner.held().items():
            if is_exception:
                found[f"{rule} {guard}"] += count
        return dict(found)

    def shed(self) -> None:
        """Give back memory that holds what can be learned again."""
        self._renew_engine()
        self.stream.tree.forget_views()
        give_back_memory()

    def close(self) -> None:
        self._note_time()
        self._keep(stopped=True)
        if self._keeper is not None:
            self._keeper.close()
        self.late.close()
        self.kernel.close()
