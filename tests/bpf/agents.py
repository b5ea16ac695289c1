"""An agent in the process of the test, with policies of the test."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.bpf.patience import SLOWER
from tests.support.events import a_policy, a_program

from watchkeeper_sensor.agent import Agent

if TYPE_CHECKING:
    from pathlib import Path

    from watchkeeper_detection.detection import Detection

PATIENCE_SECONDS = 10.0 * SLOWER


def a_rule(name: str, when: str, *, on: str = "process.exec", more: str = "") -> str:
    return f'- name: {name}\n  "on": [{on}]\n  when: |-\n    {when}\n  severity: P2\n{more}'


class Judging:
    """An agent with policies of the test; `found` waits for detections of a rule."""

    def __init__(self, bpf_object: Path, rules: tuple[str, ...], **settings: Any) -> None:
        self.agent = Agent(bpf_object, a_program(*(a_policy(rule, name=f"policy-{number}") for number, rule in enumerate(rules))), **settings)
        self.is_closed = False
        self.seen: list[Detection] = []
        self.at: dict[str, float] = {}  # detection → when it came

    def round(self) -> None:
        for event in self.agent.events(0.05):
            self.take(self.agent.judge(event))
        self.take(self.agent.advance())

    def take(self, detections: list[Detection]) -> None:
        for detection in detections:
            self.at.setdefault(detection.id, time.monotonic())
            self.seen.append(detection)

    def found(self, rule: str, *, count: int = 1, patience: float = PATIENCE_SECONDS) -> list[Detection]:
        end = time.monotonic() + patience
        while True:
            found = [detection for detection in self.seen if detection.rule == rule]
            if len(found) >= count:
                return found
            assert time.monotonic() < end, f"{len(found)} of {count} {rule}; seen: {[detection.rule for detection in self.seen]}"
            self.round()

    def close(self) -> None:
        """May be called again."""
        if not self.is_closed:
            self.is_closed = True
            self.agent.close()
