"""How this node does, for its NodeSensor object: told to the collector when it changes, and once a minute."""

from __future__ import annotations

import os
import random
import threading
import time
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.node_wire import NodeState, NotInForce
from watchkeeper_sensor.cluster.channel import REFUSED_CREDENTIALS, ChannelError
from watchkeeper_sensor.cluster.pauses import pause_seconds
from watchkeeper_sensor.lookout import own_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_sensor.agent import Agent
    from watchkeeper_sensor.cluster.channel import Channel
    from watchkeeper_sensor.cluster.credentials import Credentials
    from watchkeeper_sensor.spool.delivery import Delivery

TOLD_SECONDS = 60.0
LEAST_SECONDS = 1.0  # between two tellings
MOST_REASONS = 100
MOST_HELD = 1000
REASON_CHARACTERS = 300
END_SECONDS = 2.0


def state_of(agent: Agent, delivery: Delivery, *, revision: str, policies: int, not_in_force: tuple[NotInForce, ...], troubles: Iterable[str]) -> NodeState:
    """The agent's thread alone may ask it."""
    refused = tuple(NotInForce(policy=name, reason=_cut(f"does not kill: {reason}")) for name, reason in agent.enforcement.refused.items())
    spots = agent.kernel.blind_spots
    blind = [f"{spot.program}: {spot.reason}" for spot in spots] + [*troubles, *delivery.troubles()]
    if agent.keeping_failed:
        blind.append(agent.keeping_failed)
    return NodeState(
        sensor_version=own_version() or "",
        kernel=os.uname().release,
        started_at=int(agent.health.started_at * 1e9),
        policies_revision=revision,
        policies=policies,
        rules=len(agent.program.rules),
        not_in_force=(*not_in_force, *refused)[:MOST_REASONS],
        hooks=agent.kernel.attached,
        missing_hooks=tuple(dict.fromkeys(spot.program for spot in spots))[:MOST_REASONS],
        blind=tuple(dict.fromkeys(map(_cut, blind)))[:MOST_REASONS],
        lost=dict(agent.health.lost),
        delivered=delivery.delivered,
        waiting=delivery.waiting,
        memory_bytes=agent.health.resident_bytes,
        held_back=dict(islice(agent.held_back.items(), MOST_HELD)),
    )


def _cut(text: str) -> str:
    return text if len(text) <= REASON_CHARACTERS else f"{text[:REASON_CHARACTERS]}…"


def is_changed(before: NodeState | None, now: NodeState) -> bool:
    """Whether it is worth telling at once: counts that always move are told with the minute, but that something is lost, or waits, is news."""
    return before is None or _news(before) != _news(now)


def _news(state: NodeState) -> NodeState:
    lost, held = dict.fromkeys(state.lost, 0), dict.fromkeys(state.held_back, 0)
    return msgspec.structs.replace(state, lost=lost, held_back=held, delivered=0, waiting=min(state.waiting, 1), memory_bytes=0)


class Reporter:
    """Tells in a thread; `tell` is the agent's."""

    def __init__(self, channel: Channel, credentials: Credentials) -> None:
        self.trouble = ""
        self._channel, self._credentials = channel, credentials
        self._state: NodeState | None = None
        self._told: NodeState | None = None
        self._wake, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="state", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def tell(self, state: NodeState) -> None:
        self._state = state
        if is_changed(self._told, state):
            self._wake.set()

    def send(self) -> None:
        """Raises ChannelError."""
        state = self._state
        if state is None:
            return
        identity = self._credentials.identity()
        try:
            answer = self._channel.ask("PUT", "/v1/state", msgspec.json.encode(state), kind="application/json")
        except ChannelError as error:
            if error.is_of_credentials:
                self._credentials.refused(identity)
            raise
        if answer.status in REFUSED_CREDENTIALS:
            self._credentials.refused(identity)
        if answer.status not in (200, 204):
            raise ChannelError(f"the state is not taken: HTTP {answer.status}")
        self._told = state

    def _work(self) -> None:
        failures = 0
        while not self._ending.is_set():
            self._wake.clear()
            try:
                self.send()
                failures, self.trouble = 0, ""
            except ChannelError as error:
                failures, self.trouble = failures + 1, str(error)
                self._ending.wait(pause_seconds(failures, random.random()))  # noqa: S311 (spreads the nodes)
                continue
            sent_at = time.monotonic()
            self._wake.wait(TOLD_SECONDS)
            self._ending.wait(max(0.0, LEAST_SECONDS - (time.monotonic() - sent_at)))
        self._channel.close()

    def close(self) -> None:
        self._ending.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)
