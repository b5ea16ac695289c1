"""How the sensor does, in numbers: rates over the last seconds, memory, delay, and everything that it is blind to, in words."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchkeeper_cli.output.text import number, plural

if TYPE_CHECKING:
    from watchkeeper_sensor.agent import Agent

SAMPLES = 30  # a second each
SAMPLE_SECONDS = 1.0
KINDS_NAMED = 3
NEWS_SECONDS = 10.0  # between two lines that say that more was lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One look at the agent. `delay_ms`: median and 99th percentile from an act to its detection; None before the first one."""

    events: int
    events_per_second: float
    rates: tuple[float, ...]
    lost: int
    lost_per_second: float
    lost_kinds: tuple[tuple[str, int], ...]
    detections: dict[str, int]
    delay_ms: tuple[float, float] | None
    resident_mib: float
    containers: int
    unnamed: int
    blind_kinds: int
    seconds: float


class Observer:
    """Looks at the agent now and then."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._rates: deque[float] = deque(maxlen=SAMPLES)
        self._at = self._said_at = time.monotonic()
        self._events = self._lost = self._lost_said = 0
        self._lost_rate = 0.0

    def sample(self) -> bool:
        """Note the rates of the second that is over; False while it is not."""
        now = time.monotonic()
        seconds = now - self._at
        if seconds < SAMPLE_SECONDS:
            return False
        health = self._agent.health
        lost = health.lost.total()
        self._rates.append((health.events - self._events) / seconds)
        self._lost_rate = (lost - self._lost) / seconds
        self._events, self._lost, self._at = health.events, lost, now
        return True

    def condition(self) -> Condition:
        health, containers = self._agent.health, self._agent.around.containers
        delays = sorted(health.delays_ms)
        return Condition(
            events=health.events,
            events_per_second=self._rates[-1] if self._rates else 0.0,
            rates=tuple(self._rates),
            lost=health.lost.total(),
            lost_per_second=self._lost_rate,
            lost_kinds=tuple(health.lost.most_common(KINDS_NAMED)),
            detections=dict(sorted(health.detections.items())),
            delay_ms=(delays[len(delays) // 2], delays[min(len(delays) - 1, len(delays) * 99 // 100)]) if delays else None,
            resident_mib=health.resident_bytes / 2**20,
            containers=len(containers.running),
            unnamed=containers.unnamed,
            blind_kinds=len({kind for spot in health.blind_spots for kind in spot.kinds}),
            seconds=time.time() - health.started_at,
        )

    def news(self) -> str | None:
        """That more records were lost than was said before, not too often; None when there is nothing new."""
        now, lost = time.monotonic(), self._agent.health.lost.total()
        if lost == self._lost_said or (self._lost_said and now - self._said_at < NEWS_SECONDS):
            return None
        more, self._lost_said, self._said_at = lost - self._lost_said, lost, now
        kinds = ", ".join(f"{kind} {number(count)}" for kind, count in self._agent.health.lost.most_common(KINDS_NAMED))
        return f"BLIND: {plural(more, 'record')} lost; what they told was not judged (since the start: {kinds})"

    def line(self) -> str:
        """Everything on a line, for outputs without a status."""
        now = self.condition()
        rate = now.events / max(now.seconds, 0.001)
        words = [f"{number(now.events)} events, {rate:.0f}/s", detections_words(now.detections)]
        if now.delay_ms:
            words.append(f"act to detection {now.delay_ms[0]:.0f} ms (p99 {now.delay_ms[1]:.0f})")
        words += [f"{now.resident_mib:.0f} MiB", "" if now.lost else "none lost", blind_words(now)]
        return "; ".join(filter(None, words))


def detections_words(detections: dict[str, int]) -> str:
    return ", ".join(f"{number(count)} {severity}" for severity, count in detections.items()) or "no detections"


def blind_words(now: Condition) -> str:
    """What the sensor did not see since its start; empty when it saw everything that it can."""
    words = []
    if now.lost:
        kinds = ", ".join(f"{kind} {number(count)}" for kind, count in now.lost_kinds)
        words.append(f"{plural(now.lost, 'record')} lost ({kinds})")
    if now.blind_kinds:
        words.append(f"{plural(now.blind_kinds, 'kind')} of events that this kernel does not let us see")
    if now.unnamed:
        words.append(f"{plural(now.unnamed, 'container')} without name or image: no runtime's file describes {'it' if now.unnamed == 1 else 'them'}")
    return f"BLIND: {'; '.join(words)}" if words else ""
