"""`watchkeeper up --demo`: acts of our own, and whether each was seen."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchkeeper_cli.demo_acts import ACTS
from watchkeeper_cli.output.text import shown

if TYPE_CHECKING:
    from watchkeeper_detection.detection import Detection
    from watchkeeper_sensor.agent import Agent

PATIENCE_SECONDS = 10.0  # for all acts together
AFTER_SECONDS = 2.0  # for what comes after the last act


@dataclass(slots=True)
class Seen:
    """One act."""

    name: str
    detection: Detection | None = None
    delay_ms: float = 0.0


class Demo:
    """Starts the acts and takes the detections that they raise."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._acts: dict[int, Seen] = {}  # by process id
        self._started_at = 0.0
        self._done_at: float | None = None
        self._output = b""
        self._early: list[tuple[float, Detection]] = []

    def start(self) -> None:
        self._started_at = time.monotonic()
        self._process = subprocess.Popen([sys.executable, "-m", "watchkeeper_cli.demo_acts"], stdout=subprocess.PIPE)
        assert self._process.stdout is not None  # noqa: S101 (it was asked for)
        self._pipe = self._process.stdout.fileno()
        os.set_blocking(self._pipe, False)

    def take(self, detection: Detection) -> None:
        self._early.append(((time.time_ns() - detection.observed_at) / 1e6, detection))
        self._join()

    def _join(self) -> None:
        """Give detections to their acts; what comes before its act's line waits for it."""
        for line in self._lines():
            if line == "done":
                self._done_at = time.monotonic()
            else:
                process, _, name = line.partition(" ")
                self._acts[int(process)] = Seen(name)
        waiting = []
        for delay, detection in self._early:
            seen = self._acts.get(detection.act.process_id or 0) if detection.act else None
            if seen is None:
                waiting.append((delay, detection))
            elif seen.detection is None or detection.severity < seen.detection.severity:
                seen.detection, seen.delay_ms = detection, delay
        self._early = waiting[-100:]

    def _lines(self) -> list[str]:
        try:
            self._output += os.read(self._pipe, 65536)
        except BlockingIOError:
            return []
        *lines, self._output = self._output.split(b"\n")
        return [line.decode() for line in lines]

    @property
    def is_over(self) -> bool:
        self._join()
        now = time.monotonic()
        if self._done_at is not None and (self.all_seen or now - self._done_at > AFTER_SECONDS):
            return True
        return now - self._started_at > PATIENCE_SECONDS

    @property
    def all_seen(self) -> bool:
        return len(self._acts) == len(ACTS) and all(seen.detection for seen in self._acts.values())

    def report(self) -> None:
        self._process.wait()
        print()
        for seen in self._acts.values():
            if seen.detection:
                detection = seen.detection
                print(f"seen in {seen.delay_ms:5.1f} ms  {seen.name}: {detection.severity} {shown(detection.title)} [{detection.policy}/{detection.rule}]")
            else:
                print(f"MISSED           {seen.name}")
        unseen = len(ACTS) - sum(seen.detection is not None for seen in self._acts.values())
        print(f"\n{len(ACTS) - unseen} of {len(ACTS)} acts were seen" + ("" if not unseen else "; watchkeeper doctor says what this kernel can't show"))
