"""The sensor of one node: kernel → events → detections and matches → the collector, by policies that the collector tells."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

from watchkeeper_detection.program import Program
from watchkeeper_detection.wire import encode
from watchkeeper_sensor.agent import Agent
from watchkeeper_sensor.cluster.channel import Channel
from watchkeeper_sensor.cluster.credentials import Credentials
from watchkeeper_sensor.cluster.following import FeedError, Follower, Told, judged
from watchkeeper_sensor.cluster.kept_feed import kept
from watchkeeper_sensor.cluster.memory import is_short, own_limit
from watchkeeper_sensor.cluster.memory_feed import MemoryFeed
from watchkeeper_sensor.cluster.probe import beat
from watchkeeper_sensor.cluster.receiving import Collector, spool_id
from watchkeeper_sensor.cluster.settings import SettingsError
from watchkeeper_sensor.cluster.slots import SPOOL, take_left
from watchkeeper_sensor.cluster.stating import Reporter, state_of
from watchkeeper_sensor.kernel.libbpf import BpfError, BpfUnavailableError
from watchkeeper_sensor.kernel.privileges import give_up, go_first
from watchkeeper_sensor.kernel.programs import object_path
from watchkeeper_sensor.spool.delivery import Delivery
from watchkeeper_sensor.surroundings import shared_kernel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from watchkeeper_detection.detection import Detection
    from watchkeeper_sensor.cluster.limits import Limits
    from watchkeeper_sensor.cluster.settings import Settings
    from watchkeeper_sensor.cluster.slots import Slot

WAIT_SECONDS = 0.1
BEAT_SECONDS = 1.0  # between two touches of the heartbeat, and two looks at how the node does
SHED_SECONDS = 30.0  # between two times that memory is given back because it runs short
END_SECONDS = 3.0  # to deliver what is found last


def node_namespace() -> int:
    """The node's pid namespace where it shares its kernel (kind); else 0. Raises SettingsError for a pod that sees its own processes alone."""
    found = shared_kernel()
    if found and os.getpid() == 1:
        raise SettingsError("this pod sees no process but its own: it needs hostPID: true")
    return found


class Node:
    """Raises BpfUnavailableError, BpfError where the machine can't, SpoolInUseError."""

    def __init__(self, settings: Settings, slot: Slot, say: Callable[[str], None]) -> None:
        """`slot`: the place in the state folder that is this process's; `say`: tells people, once for each thing that changed."""
        self._settings, self._slot, self._say = settings, slot, say
        self._said: dict[str, str] = {}
        self.credentials = Credentials(settings)
        self._pods = MemoryFeed()
        self._told = self._kept()
        self.agent = Agent(
            object_path(),
            self._told.program or Program() if self._told is not None else Program(),
            state=slot.folder,
            feed=self._pods,
            node_name=settings.node_name,
            root=settings.root,
            joins_spanning=False,
            pid_namespace=node_namespace(),
            takes_over=slot.takes_over,
        )
        if self._told is not None:
            self._take_limits(self._told.limits)
        self.delivery = self._delivery(slot.folder / SPOOL)
        self._left: dict[Path, Delivery] = {}  # what sensors before us could not deliver
        self.follower = Follower(self._channel(), self.credentials, slot.folder, self._told.feed if self._told is not None else None)
        self.reporter = Reporter(self._channel(), self.credentials)
        self._is_over = False
        self._beat_at = self._shed_at = float("-inf")

    def _channel(self) -> Channel:
        return Channel(self._settings.collector, self._settings.ca, self.credentials.identity)

    def _delivery(self, folder: Path) -> Delivery:
        return Delivery(folder, Collector(self._channel(), self.credentials, spool_id(folder, self.agent.around.host.boot_id)))

    def _kept(self) -> Told | None:
        """The policies of the feed on disk, which are in force until the collector answers."""
        feed, trouble = kept(self._slot.folder)
        if feed is None:
            self._news("policies", trouble or "there are no policies yet: nothing is judged until the collector tells some")
            return None
        try:
            told = judged(feed)
        except FeedError as error:
            self._news("policies", str(error))
            return None
        self._pods.tell(feed.pods)
        return told

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        if not go_first():
            self._say("CAP_SYS_NICE is missing: on a busy node the sensor waits for its turn, and may lose what happens meanwhile")
        gc.collect()
        gc.freeze()
        give_up()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        for part in (self.credentials, self.follower, self.reporter, self.delivery):
            part.start()
        try:
            while not self._is_over:
                self.round(WAIT_SECONDS)
            self.round(0.0)
            self._keep(self.agent.finish())
        finally:
            self.close()

    def round(self, seconds: float) -> None:
        """Judge what happened until now, and put in force what the collector told; waits up to `seconds` for something to happen."""
        found: list[Detection] = []
        for event in self.agent.events(seconds):
            found += self.agent.judge(event)
        self._keep([*found, *self.agent.advance()])
        told = self.follower.take()
        if told is not None:
            self._put_in_force(told)
        if time.monotonic() - self._beat_at >= BEAT_SECONDS:
            self._beat()

    def _keep(self, detections: list[Detection]) -> None:
        matches, blind = self.agent.leaving(), self.agent.lookout.blind()
        for kind, payloads in (("detection", map(encode, detections)), ("match", map(encode, matches)), ("loss", map(encode, blind))):
            self.delivery.keep(kind, payloads, wakes=False)  # type: ignore[arg-type]
        if detections or matches or blind:
            self.delivery.wake()

    def _put_in_force(self, told: Told) -> None:
        """What was in force stays where the kernel does not take the new."""
        refused = self._pods.tell(told.feed.pods)
        self._news("pods", f"what the cluster knows of pods can't be read: {refused}" if refused else "")
        if told.program is None:
            return
        try:
            self.agent.reload(told.program)
        except (BpfError, BpfUnavailableError) as error:
            self._news("policies", f"the policies of before stay in force: the kernel does not take revision {told.feed.policies_revision}: {error}")
            return
        self._take_limits(told.limits)
        self._told = told
        self._news("policies", "")
        self._say(f"policies in force: {told.policies}, {len(self.agent.program.rules)} rules, revision {told.feed.policies_revision}")

    def _take_limits(self, limits: Limits) -> None:
        self.agent.kernel.set_rate(limits.records_per_second, limits.burst)

    def _beat(self) -> None:
        self._beat_at = time.monotonic()
        try:
            beat(self._slot.folder)
            self._news("heartbeat", "")
        except OSError as error:
            self._news("heartbeat", f"the probe can't see that the sensor goes round: {error.strerror}")
        self._shed()
        self._deliver_left()
        for part, trouble in (("certificate", self.credentials.trouble), ("feed", self.follower.trouble), ("state", self.reporter.trouble)):
            self._news(part, trouble)
        self.delivery.tick()
        for text in (*self.delivery.news(), *self.agent.news):
            self._say(text)
        self.agent.news.clear()
        told = self._told
        self.reporter.tell(
            state_of(
                self.agent,
                self.delivery,
                revision=told.feed.policies_revision if told is not None else "",
                policies=told.policies if told is not None else 0,
                not_in_force=told.not_in_force if told is not None else (),
                troubles=[text for text in self._said.values() if text],
            )
        )

    def _deliver_left(self) -> None:
        """Once the sensor beside us has ended, what it left is ours to deliver."""
        try:
            for folder in take_left(self._slot):
                if folder not in self._left:
                    self._left[folder] = self._delivery(folder)
                    self._left[folder].start()
            self._news("what another sensor left", "")
        except OSError as error:
            self._news("what another sensor left", f"what another sensor left can't be taken: {error.strerror}")
        for folder, delivery in list(self._left.items()):
            if not delivery.waiting:
                delivery.close(END_SECONDS)
                del self._left[folder]
                shutil.rmtree(folder, ignore_errors=True)

    def _shed(self) -> None:
        limit = (self._told.limits.memory_bytes if self._told is not None else 0) or own_limit()
        resident = self.agent.health.resident_bytes
        if not is_short(resident, limit):
            self._news("memory", "")
        elif self._beat_at - self._shed_at >= SHED_SECONDS:
            self._shed_at = self._beat_at
            self.agent.shed()
            self._news("memory", f"memory is short: {resident >> 20} of {limit >> 20} MiB; what was learned of containers and processes is forgotten")

    def _news(self, about: str, text: str) -> None:
        if text != self._said.get(about, ""):
            self._say(text or f"{about}: well again")
        self._said[about] = text

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        self._is_over = True

    def close(self) -> None:
        self.agent.close()
        self.follower.close()
        self.reporter.close()
        self.delivery.close(END_SECONDS)
        for left in self._left.values():
            left.close(END_SECONDS)
        self.credentials.close()
        for text in self.delivery.news():
            self._say(text)
