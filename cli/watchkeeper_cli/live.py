"""The run of `watchkeeper up`: sensor → detections → terminal, history, webhook."""

from __future__ import annotations

import gc
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from watchkeeper_cli.delivering import Outbox
from watchkeeper_cli.ending import FAILED, SUCCEEDED, USAGE, CommandError, flush_output
from watchkeeper_cli.output.live import view_for
from watchkeeper_cli.output.opening import said_meanwhile
from watchkeeper_cli.output.text import clock, shown
from watchkeeper_cli.policy_set import kernel_program_of
from watchkeeper_cli.sensing import started
from watchkeeper_sensor.keeping import FolderInUseError, own_folder
from watchkeeper_sensor.kernel.libbpf import BpfError, BpfUnavailableError
from watchkeeper_sensor.kernel.privileges import give_up, go_first

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from watchkeeper_cli.demo import Demo
    from watchkeeper_cli.notifying import Webhook
    from watchkeeper_cli.output.live import View
    from watchkeeper_detection.detection import Detection
    from watchkeeper_sensor.agent import Agent
    from watchkeeper_sensor.metrics import MetricsServer

WAIT_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for."""

    policies: tuple[Path, ...]
    with_library: bool
    severity: str
    output: str
    notify: str | None
    metrics: str | None
    state: Path
    demo: bool


class Live:
    """Runs until Ctrl-C, SIGTERM, or the end of the demo."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._is_over = False
        self._is_to_reload = False
        self._unwritten = ""  # why some of the output could not be written

    def run(self) -> int:
        state = self._state()
        outbox = Outbox(state, self._webhook(), self._request.severity)
        agent = self._agent(state)
        if not go_first():
            print("watchkeeper: CAP_SYS_NICE is missing: on a busy host the sensor waits for its turn, and may lose what happens meanwhile", file=sys.stderr)
        gc.collect()
        gc.freeze()  # policies and programs live as long as the run: collections need not look at them
        metrics = self._metrics(agent, outbox)
        demo = self._demo(agent)
        view = view_for(self._request.output, agent, is_demo=demo is not None)  # opens the terminal, which may be another user's
        if demo is None:
            give_up()  # the acts of the demo need what is given up here
        before = [(number, signal.signal(number, self._end)) for number in (signal.SIGINT, signal.SIGTERM)]
        before.append((signal.SIGHUP, signal.signal(signal.SIGHUP, self._ask_to_reload)))
        try:
            self._show(view.__enter__)
            try:
                self._watch(agent, outbox, metrics, view, demo)
            finally:
                self._show(partial(view.__exit__, None, None, None))
        finally:
            for number, handler in before:
                signal.signal(number, handler)
            agent.close()
            for text in outbox.close():
                print(f"watchkeeper: {shown(text)}", file=sys.stderr)
            if metrics:
                metrics.close()
        if self._unwritten:
            flush_output()
            raise CommandError(f"some of the output could not be written: {self._unwritten}", FAILED)
        if demo is None:
            return SUCCEEDED
        demo.report()
        return SUCCEEDED if demo.all_seen else FAILED

    def _watch(self, agent: Agent, outbox: Outbox, metrics: MetricsServer | None, view: View, demo: Demo | None) -> None:
        outbox.start()
        if metrics:
            metrics.start()
        if demo is not None:
            demo.start()
        is_last = False
        while not is_last:  # the last round takes what waits in the rings
            is_last = self._is_over or view.is_over or (demo is not None and demo.is_over)
            found: list[Detection] = []
            for event in agent.events(0 if is_last else WAIT_SECONDS):
                found += agent.judge(event)
            found += agent.advance()
            self._tell(agent, found, outbox, view, demo)
            self._show(view.tick)
            if metrics:
                metrics.round_at = time.monotonic()
            if self._is_to_reload:
                self._reload(agent, view)
        self._tell(agent, agent.finish(), outbox, view, demo)

    def _tell(self, agent: Agent, found: list[Detection], outbox: Outbox, view: View, demo: Demo | None) -> None:
        """What was found is on the disk before it is shown: what was seen once is not gone after a kill."""
        blind, matches = agent.lookout.blind(), agent.leaving()
        if found or blind or matches:
            outbox.keep(found, blind, matches)
        for detection in found:
            if demo is not None:
                demo.take(detection)
            if detection.severity <= self._request.severity:
                self._show(partial(view.add, detection))
        self._say([*agent.news, *outbox.tick()], view)
        agent.news.clear()

    def _say(self, news: list[str], view: View) -> None:
        """With the time, so that what happens again is said again."""
        for text in news:
            self._show(partial(view.warn, f"{clock(time.time_ns())[11:]} {text}"))

    def _show(self, show: Callable[[], object]) -> None:
        """What can't be written, to a full disk for one, does not end the watch; a reader who left does."""
        try:
            show()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._unwritten = error.strerror or str(error)

    def _agent(self, state: Path | None) -> Agent:
        program = kernel_program_of(self._request.policies, with_library=self._request.with_library)
        with said_meanwhile("loading the sensor's programs into the kernel ..."):
            return started(program, state=state)

    def _state(self) -> Path | None:
        """The state's folder, for this process alone; the demo keeps nothing. Watching goes on where it can't be used."""
        if self._request.demo:
            return None
        try:
            self._owned = own_folder(self._request.state)
        except FolderInUseError as error:
            raise CommandError(f"{error}; --state names another folder", USAGE) from None
        except OSError as error:
            print(f"watchkeeper: nothing can be kept in {self._request.state}: {error.strerror}", file=sys.stderr)
        return self._request.state

    def _metrics(self, agent: Agent, outbox: Outbox) -> MetricsServer | None:
        if self._request.metrics is None:
            return None
        from watchkeeper_sensor.metrics import MetricsServer

        try:
            return MetricsServer(agent, outbox.deliveries, self._request.metrics)
        except (OSError, ValueError) as error:
            agent.close()
            raise CommandError(f"--metrics: {error}", USAGE) from None

    def _webhook(self) -> Webhook | None:
        if self._request.notify is None:
            return None
        from watchkeeper_cli.notifying import Webhook

        return Webhook.from_environment(self._request.notify)

    def _demo(self, agent: Agent) -> Demo | None:
        if not self._request.demo:
            return None
        from watchkeeper_cli.demo import Demo

        return Demo(agent)

    def _ask_to_reload(self, _signal: int, _frame: FrameType | None) -> None:
        self._is_to_reload = True

    def _reload(self, agent: Agent, view: View) -> None:
        """Take up the policies as they are now; where they are wrong, those of before stay in force."""
        self._is_to_reload = False
        try:
            agent.reload(kernel_program_of(self._request.policies, with_library=self._request.with_library))
        except CommandError as error:
            self._say([*error.lines, f"the policies of before stay in force: {error}"], view)
        except (BpfError, BpfUnavailableError) as error:
            self._say([f"the policies of before stay in force: the kernel does not take the new ones: {error}"], view)
        else:
            self._say([f"policies read again: {len(agent.program.rules)} rules over {len(agent.health.kinds)} kinds"], view)

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        self._is_over = True
