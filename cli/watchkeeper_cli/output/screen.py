"""`watchkeeper up` on a terminal: detections scroll by, the sensor's status stays below them, a few keys."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from watchkeeper_cli.output.condition import Observer
from watchkeeper_cli.output.detection_lines import full_lines, more_lines
from watchkeeper_cli.output.folding import Folding, Telling
from watchkeeper_cli.output.looks import BLIND, BOLD, DIM, SEVERITIES
from watchkeeper_cli.output.opening import opening
from watchkeeper_cli.output.status import Watch, status_lines
from watchkeeper_cli.output.text import clock, number, plural, shown

if TYPE_CHECKING:
    from types import FrameType

    from watchkeeper_cli.output.folding import Repeats
    from watchkeeper_cli.output.looks import Look
    from watchkeeper_cli.output.terminal import Terminal
    from watchkeeper_detection.detection import Act, Detection
    from watchkeeper_sensor.agent import Agent

HELD = 1000  # detections that a paused screen keeps; older ones are in the history
ROWS_OF_A_TEXT = 3  # a longer one is cut, unless details are asked for
ESCAPE = "\x1b"
HELP = (
    "q ends watching, as Ctrl-C does.  p holds the screen; the sensor goes on, and what it found comes when you press p again.",
    "d switches between whole texts with all ancestors, and short ones.  b lists what the sensor can't see on this host.  Enter leaves a mark.",
    "Repeats of a detection are counted, not shown again; each one is in the history: watchkeeper detections, watchkeeper detections show ID.",
    "Scroll back, search and copy as your terminal does.",
)


class ScreenView:
    """Takes detections and keys; draws when it is told that time passes."""

    def __init__(self, agent: Agent, terminal: Terminal, look: Look) -> None:
        self._agent = agent
        self._terminal = terminal
        self._look = look
        self._observer = Observer(agent)
        self._folding = Folding()
        self._held: deque[Detection] | None = None
        self._held_back = 0  # of a paused screen that kept as many as it can
        self._dropped = 0
        self._details = False
        self._act: Act | None = None  # shown last
        self._warned: set[str] = set()
        self._size = (0, 0)
        self._is_stale = True
        self._to_stop = self._to_go_on = False
        self._handlers: list[tuple[int, object]] = []
        self.is_over = False

    def __enter__(self) -> Self:
        for signal_number, handler in ((signal.SIGTSTP, self._ask_to_stop), (signal.SIGCONT, self._ask_to_go_on)):
            self._handlers.append((signal_number, signal.signal(signal_number, handler)))
        self._terminal.enter()
        self._terminal.print([shown(line) for line in opening(self._agent)])
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        if self._held is not None:
            self._go_on()
        for repeats in self._folding.rest():
            self._print_repeats(repeats)
        self._terminal.leave()
        self._terminal.print([shown(self._observer.line())])
        self._terminal.close()
        for signal_number, handler in self._handlers:
            signal.signal(signal_number, handler)  # type: ignore[arg-type]

    def add(self, detection: Detection) -> None:
        if self._held is None:
            self._show(detection)
            return
        self._held_back += len(self._held) == HELD
        self._held.append(detection)
        self._is_stale = True

    def warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._print([self._look.paint(f"watchkeeper: {shown(text)}", BOLD)])

    def tick(self) -> None:
        if self._to_stop:
            self._stop()
        if self._to_go_on or self._terminal.is_ours != self._terminal.is_in_foreground():
            self._take_over()
        for key in self._terminal.keys().partition(ESCAPE)[0]:  # arrows and the like send more than one letter, for the terminal's own use
            self._press(key)
        self.is_over = self.is_over or self._terminal.is_gone
        if self._held is None:
            for repeats in self._folding.due(time.monotonic()):
                self._print_repeats(repeats)
        if news := self._observer.news():
            self._print([self._look.paint(f"{clock(time.time_ns())} {shown(news)}", BLIND)])
        if self._observer.sample() or self._is_stale or self._terminal.size() != self._size:
            self._draw()
        self._terminal.flush()

    def _show(self, detection: Detection) -> None:
        telling = self._folding.take(detection, time.monotonic())
        if telling is Telling.FULL:
            width, with_act = self._width(), detection.act is None or detection.act != self._act
            lines = full_lines(detection, self._look, width=width, indented=True, with_act=with_act)
            self._act = detection.act
            self._print([*lines, *more_lines(detection, self._look, columns=self._size[0])])
        elif telling is Telling.LINE:
            severity = self._look.paint(detection.severity, SEVERITIES[detection.severity])
            self._print([f"{clock(detection.observed_at)} {severity} also: {shown(detection.message, self._width())}"])

    def _print_repeats(self, repeats: Repeats) -> None:
        latest = repeats.latest
        severity = self._look.paint(latest.severity, SEVERITIES[latest.severity])
        words = f"{self._look.times}{number(repeats.count)} more: {shown(latest.title)}, the last one: {shown(latest.message, self._width())}"
        self._print([f"{clock(latest.observed_at)} {severity} {words}"])

    def _print(self, lines: list[str]) -> None:
        if not self._terminal.print(lines):
            self._dropped += 1

    def _width(self) -> int:
        """Letters of the longest text."""
        return 4000 if self._details else max(40, (self._size[0] - 6) * ROWS_OF_A_TEXT)

    def _draw(self) -> None:
        self._is_stale = False
        self._size = self._terminal.size()
        self._terminal.pin(status_lines(self._watch(), self._observer.condition(), self._look, *self._size))

    def _watch(self) -> Watch:
        rules, node = self._agent.program.rules, self._agent.around.node
        repeats = self._folding.latest()
        return Watch(
            host=_ascii(node.name),  # type: ignore[attr-defined]
            kernel=_ascii(node.kernel),  # type: ignore[attr-defined]
            policies=len({rule.policy for rule in rules}),
            rules=len(rules),
            kinds=len(self._agent.health.kinds),
            waiting=None if self._held is None else len(self._held) + self._held_back,
            repeats="" if repeats is None else f"{self._look.times}{number(repeats.count)} {repeats.latest.policy}/{repeats.latest.rule}",
            dropped=self._dropped,
            has_keys=self._terminal.has_keys,
        )

    def _press(self, key: str) -> None:
        if key in "qQ\x04":
            self.is_over = True
        elif key in "pP ":
            self._hold() if self._held is None else self._go_on()
        elif key in "dD":
            self._details = not self._details
            self._print([self._look.paint(f"{'whole' if self._details else 'short'} texts from here on", DIM)])
        elif key in "bB":
            self._print([self._look.paint(shown(line), BLIND) for line in blind_lines(self._agent)])
        elif key in "\r\n":
            self._print([self._look.paint(f"{self._look.rule * 4} {clock(time.time_ns())} {self._look.rule * 20}", DIM)])
        elif key in "hH?":
            self._print([self._look.paint(line, DIM) for line in HELP])
        self._is_stale = True

    def _hold(self) -> None:
        self._held = deque(maxlen=HELD)
        self._held_back = 0

    def _go_on(self) -> None:
        held, self._held = self._held or (), None
        if self._held_back:
            self._print([f"{plural(self._held_back, 'detection')} of the pause not shown here: watchkeeper detections shows them"])
        for detection in held:
            self._show(detection)

    def _ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._to_stop = True

    def _ask_to_go_on(self, _signal: int, _frame: FrameType | None) -> None:
        self._to_go_on = True

    def _stop(self) -> None:
        """Ctrl-Z: stop as any command does, the terminal as it was."""
        self._to_stop = False
        self._terminal.leave()
        self._terminal.print([self._look.paint("stopped: nothing is judged until it goes on (fg)", BLIND)])
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)

    def _take_over(self) -> None:
        """After a stop, or a change between foreground and background: the terminal is ours again, or no more."""
        self._to_go_on = False
        self._terminal.leave()
        self._terminal.enter()
        self._is_stale = True


def _ascii(text: str) -> str:
    """Safe, and each letter one column wide."""
    return shown(text, 64).encode("ascii", "backslashreplace").decode()


def blind_lines(agent: Agent) -> list[str]:
    """What the sensor can't see on this host, a sentence each."""
    spots = [f"BLIND: {', '.join(spot.kinds)}: {spot.reason}" for spot in agent.health.blind_spots]
    unnamed = agent.around.containers.unnamed
    if unnamed:
        spots.append(f"BLIND: {plural(unnamed, 'container')} without name or image: no runtime's file describes them")
    spots += [f"BLIND: {plural(count, 'record')} of {kind} lost" for kind, count in agent.health.lost.most_common()]
    return spots or ["nothing that we know of; watchkeeper doctor tries every hook, docs/sensor.md lists what no sensor of this kind sees"]
