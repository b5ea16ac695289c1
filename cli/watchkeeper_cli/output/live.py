"""Detections of a host as they come: plain lines, or JSON, and a line of health."""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING, Protocol, Self

from watchkeeper_cli.output.text import clock, number, plural, shown
from watchkeeper_cli.output.writers import writer_for

if TYPE_CHECKING:
    from watchkeeper_detection.detection import Act, Detection
    from watchkeeper_sensor.agent import Agent

HEALTH_SECONDS = 60.0
COLOURS = {"P1": "1;37;41", "P2": "1;31", "P3": "33", "P4": "2"}
ANCESTORS_SHOWN = 5


class View(Protocol):
    """Takes what is to be shown while the run lasts."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def add(self, detection: Detection) -> None: ...

    def warn(self, text: str) -> None: ...

    def tick(self) -> None: ...


def view_for(output: str, agent: Agent, *, is_demo: bool) -> View:
    return JsonView(agent) if output == "json" else LineView(agent, is_demo=is_demo)


class _Health:
    """The line that says how the sensor does."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._events = 0
        self._at = time.monotonic()

    def line(self) -> str:
        health = self._agent.health
        now = time.monotonic()
        rate = (health.events - self._events) / max(now - self._at, 0.001)
        self._events, self._at = health.events, now
        lost = sum(health.lost.values())
        detections = ", ".join(f"{count} {severity}" for severity, count in sorted(health.detections.items())) or "no detections"
        delay = f", act to detection {statistics.median(health.delays_ms):.0f} ms" if health.delays_ms else ""
        blind = (
            f"; BLIND: {number(lost)} records lost ({', '.join(f'{kind} {count}' for kind, count in health.lost.most_common(3))})" if lost else "; none lost"
        )
        return f"{number(health.events)} events, {rate:.0f}/s; {detections}{delay}; {health.resident_bytes / 2**20:.0f} MiB{blind}"


def opening(agent: Agent) -> list[str]:
    """What runs, and what it can't see."""
    health = agent.health
    kernel = agent.around.node.kernel  # type: ignore[attr-defined]
    rules = len(agent.program.rules)
    lines = [f"watching {agent.around.node.name} (kernel {kernel}): {plural(rules, 'rule')} over {plural(len(health.kinds), 'kind')} of events"]  # type: ignore[attr-defined]
    lines += [f"blind: {', '.join(spot.kinds)}: {spot.reason}" for spot in health.blind_spots]
    return lines


class LineView:
    """Lines for people; colours on a terminal."""

    def __init__(self, agent: Agent, *, is_demo: bool) -> None:
        self._agent = agent
        self._is_demo = is_demo
        self._is_terminal = sys.stdout.isatty()
        self._health = _Health(agent)
        self._said_at = time.monotonic()
        self._warned: set[str] = set()

    def __enter__(self) -> Self:
        for line in opening(self._agent):
            print(shown(line))
        if not self._is_demo:
            print("Ctrl-C ends it. What matters follows.")
        sys.stdout.flush()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_demo:
            print(self._health.line())

    def add(self, detection: Detection) -> None:
        severity = detection.severity
        mark = f"\x1b[{COLOURS[severity]}m{severity}\x1b[0m" if self._is_terminal else severity
        attack = " ".join(one for one in detection.attack if one.startswith("T"))
        print(f"{clock(detection.observed_at)} {mark} {shown(detection.title)}  [{detection.policy}/{detection.rule}{' ' + attack if attack else ''}]")
        print(f"    {shown(detection.message)}")
        if detection.act is not None:
            for line in act_lines(detection.act):
                print(f"    {shown(line)}")
        if todo := what_to_do(detection.runbook):
            print(f"    → {shown(todo)}")
        sys.stdout.flush()

    def warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            print(f"watchkeeper: {shown(text)}", file=sys.stderr)

    def tick(self) -> None:
        if not self._is_demo and time.monotonic() - self._said_at >= HEALTH_SECONDS:
            self._said_at = time.monotonic()
            print(f"{clock(time.time_ns())} -- {self._health.line()}")
            sys.stdout.flush()


class JsonView:
    """One detection a line on standard output; everything else on standard error."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._writer = writer_for("json")
        self._health = _Health(agent)
        self._warned: set[str] = set()

    def __enter__(self) -> Self:
        for line in opening(self._agent):
            print(shown(line), file=sys.stderr)
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.finish()
        print(self._health.line(), file=sys.stderr)

    def add(self, detection: Detection) -> None:
        self._writer.add(detection)

    def warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            print(f"watchkeeper: {shown(text)}", file=sys.stderr)

    def tick(self) -> None:
        self._writer.flush()


def act_lines(act: Act) -> list[str]:
    """The process tree, ancestors first, and the container."""
    ancestors = [one or "?" for one in act.ancestors[:ANCESTORS_SHOWN]]
    more = "… > " if len(act.ancestors) > ANCESTORS_SHOWN else ""
    tree = more + " > ".join([*reversed(ancestors), f"{act.process or '?'}[{act.process_id}]"])
    lines = [f"{tree}  as {act.user or '?'}"]
    if act.command_line and act.command_line != act.process:
        lines.append(f"$ {act.command_line}")
    if act.container_id:
        where = act.container or act.container_id[:12]
        lines.append(f"container {where}{f' ({act.image})' if act.image else ''}{f' of pod {act.pod}' if act.pod else ''}")
    return lines


def what_to_do(runbook: str) -> str:
    """The runbook's first thing to check, on one line."""
    _, found, rest = runbook.partition("What to check:")
    text = rest.partition("How to tune:")[0] if found else runbook
    return " ".join(text.split())
