"""Detections of a host as they come: on a terminal with the sensor's status below them, plain lines, or JSON."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol, Self

from watchkeeper_cli.output.condition import Observer
from watchkeeper_cli.output.detection_lines import full_lines
from watchkeeper_cli.output.folding import Folding, Telling
from watchkeeper_cli.output.looks import SEVERITIES, stdout_look
from watchkeeper_cli.output.opening import opening
from watchkeeper_cli.output.text import clock, number, shown
from watchkeeper_cli.output.writers import writer_for

if TYPE_CHECKING:
    from watchkeeper_cli.output.folding import Repeats
    from watchkeeper_detection.detection import Detection
    from watchkeeper_sensor.agent import Agent

CONDITION_SECONDS = 60.0
WIDTH = 2000  # letters of the longest text in plain lines


class View(Protocol):
    """Takes what is to be shown while the run lasts. `is_over`: the user wants it to end."""

    is_over: bool

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def add(self, detection: Detection) -> None: ...

    def warn(self, text: str) -> None: ...

    def tick(self) -> None: ...


def view_for(output: str, agent: Agent, *, is_demo: bool) -> View:
    if output == "json":
        return JsonView(agent)
    look = stdout_look()
    if output == "lines" or is_demo or not look.moves:
        return LineView(agent, is_demo=is_demo)
    from watchkeeper_cli.output.screen import ScreenView
    from watchkeeper_cli.output.terminal import Terminal

    return ScreenView(agent, Terminal(), look)


class LineView:
    """Lines for people and for files; colours on a terminal."""

    def __init__(self, agent: Agent, *, is_demo: bool) -> None:
        self._agent = agent
        self._is_demo = is_demo
        self._look = stdout_look()
        self._observer = Observer(agent)
        self._folding = Folding()
        self._said_at = time.monotonic()
        self._warned: set[str] = set()
        self.is_over = False

    def __enter__(self) -> Self:
        for line in opening(self._agent):
            print(shown(line))
        if not self._is_demo:
            print("Ctrl-C ends it. What matters follows.")
        sys.stdout.flush()
        return self

    def __exit__(self, *_: object) -> None:
        for repeats in self._folding.rest():
            self._print_repeats(repeats)
        if not self._is_demo:
            print(shown(self._observer.line()))
        sys.stdout.flush()

    def add(self, detection: Detection) -> None:
        telling = self._folding.take(detection, time.monotonic())
        if telling is Telling.FULL:
            print("\n".join(full_lines(detection, self._look, width=WIDTH, indented=False)))
        elif telling is Telling.LINE:
            print(f"{self._head(detection)} also: {shown(detection.message)}")
        sys.stdout.flush()

    def _print_repeats(self, repeats: Repeats) -> None:
        latest = repeats.latest
        print(f"{self._head(latest)} {self._look.times}{number(repeats.count)} more: {shown(latest.title)}, the last one: {shown(latest.message)}")

    def _head(self, detection: Detection) -> str:
        return f"{clock(detection.observed_at)} {self._look.paint(detection.severity, SEVERITIES[detection.severity])}"

    def warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            print(f"watchkeeper: {shown(text)}", file=sys.stderr)

    def tick(self) -> None:
        lines = 0
        for lines, repeats in enumerate(self._folding.due(time.monotonic()), 1):  # noqa: B007 (how many there were)
            self._print_repeats(repeats)
        if news := self._observer.news():
            print(f"{clock(time.time_ns())} -- {shown(news)}")
            lines += 1
        if not self._is_demo and time.monotonic() - self._said_at >= CONDITION_SECONDS:
            self._said_at = time.monotonic()
            print(f"{clock(time.time_ns())} -- {shown(self._observer.line())}")
            lines += 1
        if lines:
            sys.stdout.flush()


class JsonView:
    """One detection a line on standard output; everything else on standard error."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._writer = writer_for("json")
        self._observer = Observer(agent)
        self._warned: set[str] = set()
        self.is_over = False

    def __enter__(self) -> Self:
        for line in opening(self._agent):
            print(shown(line), file=sys.stderr)
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.finish()
        print(shown(self._observer.line()), file=sys.stderr)

    def add(self, detection: Detection) -> None:
        self._writer.add(detection)

    def warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            print(f"watchkeeper: {shown(text)}", file=sys.stderr)

    def tick(self) -> None:
        self._writer.flush()
        if news := self._observer.news():
            print(f"watchkeeper: {shown(news)}", file=sys.stderr)
