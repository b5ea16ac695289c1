"""What is said when watching begins: what runs, and what it can't see."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from watchkeeper_cli.output.looks import look_of
from watchkeeper_cli.output.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_sensor.agent import Agent


@contextmanager
def said_meanwhile(text: str) -> Iterator[None]:
    """Stands on the terminal while something takes its time, and is gone afterwards. Nothing where standard error is no terminal."""
    is_shown = look_of(sys.stderr).moves
    if is_shown:
        print(text, end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def opening(agent: Agent) -> list[str]:
    """The first line, and one for each thing that this kernel does not let us see."""
    health, node = agent.health, agent.around.node
    policies = len({rule.policy for rule in agent.program.rules})
    what = f"{plural(len(agent.program.rules), 'rule')} of {plural(policies, 'policy', 'policies')} over {plural(len(health.kinds), 'kind')} of events"
    lines = [f"watching {node.name} (kernel {node.kernel}): {what}"]  # type: ignore[attr-defined]
    return lines + [f"BLIND: {', '.join(spot.kinds)}: {spot.reason} (watchkeeper doctor says more)" for spot in health.blind_spots]
