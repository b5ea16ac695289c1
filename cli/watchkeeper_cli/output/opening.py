"""What is said when watching begins: what runs, and what it can't see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_cli.output.text import plural

if TYPE_CHECKING:
    from watchkeeper_sensor.agent import Agent


def opening(agent: Agent) -> list[str]:
    """The first line, and one for each thing that this kernel does not let us see."""
    health, node = agent.health, agent.around.node
    policies = len({rule.policy for rule in agent.program.rules})
    what = f"{plural(len(agent.program.rules), 'rule')} of {plural(policies, 'policy', 'policies')} over {plural(len(health.kinds), 'kind')} of events"
    lines = [f"watching {node.name} (kernel {node.kernel}): {what}"]  # type: ignore[attr-defined]
    return lines + [f"BLIND: {', '.join(spot.kinds)}: {spot.reason} (watchkeeper doctor says more)" for spot in health.blind_spots]
