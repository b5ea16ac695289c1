"""How the agent does: what the live view, the metrics and the last line of a run tell of it."""

from __future__ import annotations

import resource
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchkeeper_sensor.kernel.programs import BlindSpot

DELAYS_KEPT = 10_000


@dataclass(slots=True)
class Health:
    """How the agent does, since it started."""

    started_at: float
    kinds: tuple[str, ...]
    blind_spots: list[BlindSpot]
    events: int = 0
    detections: Counter[str] = field(default_factory=Counter)  # severity → how many
    lost: Counter[str] = field(default_factory=Counter)  # kind → records
    delays_ms: deque[float] = field(default_factory=lambda: deque(maxlen=DELAYS_KEPT))  # from the act to its detection

    @property
    def resident_bytes(self) -> int:
        """Memory in use now."""
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (once a second)
            return int(file.read().split()[1]) * resource.getpagesize()
