"""Whether the process turns: every loop and watch says when it last did, and what is silent for too long is named.

A refusal counts as heard: a process is no healthier after a restart because the API server is away. What hangs is not.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchkeeper_operator.watches import Watch

SILENT_SECONDS = 60.0  # watches are renewed after 40 s, loops turn more often
LOOP_SECONDS = 45.0


class Health:
    """`clock`: seconds, monotonic. What is watched is a function that says when it was last alive, None while it need not be."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._alive: dict[str, tuple[Callable[[], float | None], float]] = {}
        self._ready: dict[str, Callable[[], bool]] = {}
        self._beats: dict[str, float] = {}

    def watch(self, name: str, alive_at: Callable[[], float | None], *, within: float = SILENT_SECONDS) -> None:
        self._alive[name] = (alive_at, within)

    def attend(self, name: str, watch: Watch[Any]) -> None:
        """A watch has to hear the API server."""
        self.watch(name, lambda: watch.heard_at)

    def leave(self, *names: str) -> None:
        """These are no longer watched."""
        for name in names:
            self._alive.pop(name, None)

    def require(self, name: str, ready: Callable[[], bool]) -> None:
        """What has to be so before the process is ready."""
        self._ready[name] = ready

    def beat(self, name: str) -> None:
        """A loop has turned; from now on it has to go on doing so, until `rest`."""
        self._beats[name] = self._clock()

    def rest(self, name: str) -> None:
        self._beats.pop(name, None)

    def silent(self) -> dict[str, float]:
        """Name → seconds of silence, of what has been silent for too long."""
        now = self._clock()
        ages = {name: (now - at, within) for name, (alive_at, within) in self._alive.items() if (at := alive_at()) is not None}
        ages |= {name: (now - at, LOOP_SECONDS) for name, at in self._beats.items()}
        return {name: age for name, (age, within) in ages.items() if age > within}

    def not_ready(self) -> tuple[str, ...]:
        return tuple(name for name, ready in self._ready.items() if not ready())
