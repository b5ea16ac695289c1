"""Following the collector's feed: each revision is checked apart, kept on disk, and handed to the agent's thread, which puts it in force."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from watchkeeper_detection.node_wire import FEED_WAIT_SECONDS, NodeFeed, NotInForce
from watchkeeper_detection.program import Program, decode
from watchkeeper_sensor.cluster.apart import ApartError, run_apart
from watchkeeper_sensor.cluster.channel import REFUSED_CREDENTIALS, ChannelError
from watchkeeper_sensor.cluster.checking import Checked, Given
from watchkeeper_sensor.cluster.kept_feed import keep, read_feed
from watchkeeper_sensor.cluster.limits import Limits, limited, limits_of
from watchkeeper_sensor.cluster.pauses import pause_seconds

if TYPE_CHECKING:
    from pathlib import Path

    from watchkeeper_sensor.cluster.channel import Channel
    from watchkeeper_sensor.cluster.credentials import Credentials

CHECK_SECONDS = 60.0
CHECK_MODULE = "watchkeeper_sensor.cluster.checking"
ANSWER_SECONDS = FEED_WAIT_SECONDS + 15.0
END_SECONDS = 2.0


class Told(msgspec.Struct, frozen=True):
    """What is to be put in force. `program`: None where the policies and limits are those of before, and only pods changed."""

    feed: NodeFeed
    limits: Limits = Limits()
    program: Program | None = None
    policies: int = 0
    not_in_force: tuple[NotInForce, ...] = ()


class FeedError(Exception):
    """The feed can't be put in force; what was in force stays. The reason is for people."""


def judged(feed: NodeFeed) -> Told:
    """The feed's policies, checked. Raises FeedError."""
    try:
        limits = limits_of(feed.limits)
        given = msgspec.msgpack.encode(Given(feed.policies, feed.exceptions, feed.lists))
        checked = msgspec.msgpack.decode(run_apart(CHECK_MODULE, given, seconds=CHECK_SECONDS), type=Checked)
    except (ApartError, msgspec.DecodeError) as error:
        raise FeedError(f"the policies of revision {feed.policies_revision} can't be checked: {error}") from None
    program = decode(checked.program)
    if program is None:
        raise FeedError("the checker is of another version than the sensor")
    program, out = limited(program, limits.event_kinds)
    return Told(feed, limits, program, len({(rule.namespace, rule.policy) for rule in program.rules}), (*checked.not_in_force, *out))


class Follower:
    """Asks in a thread; `take` is for the agent's."""

    def __init__(self, channel: Channel, credentials: Credentials, state: Path, last: NodeFeed | None) -> None:
        """`last`: the feed in force, from disk; the collector is asked for what differs from it."""
        self.trouble = ""
        self._channel, self._credentials, self._state = channel, credentials, state
        self._last = last
        self._told: Told | None = None
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take(self) -> Told | None:
        """What came since the last call; of several revisions the last one, with the newest program."""
        if self._told is None:
            return None
        with self._lock:
            told, self._told = self._told, None
        return told

    def look(self) -> bool:
        """Ask once, and wait for an answer; whether there was something new. Raises ChannelError, FeedError."""
        identity = self._credentials.identity()
        since = self._last.revision if self._last is not None else ""
        try:
            answer = self._channel.ask("GET", f"/v1/feed?since={quote(since, safe='')}", seconds=ANSWER_SECONDS)
        except ChannelError as error:
            if error.is_of_credentials:
                self._credentials.refused(identity)
            raise
        if answer.status in REFUSED_CREDENTIALS:
            self._credentials.refused(identity)
        if answer.status == 204:
            return False
        if answer.status != 200:
            raise ChannelError(f"the feed is not told: HTTP {answer.status}")
        try:
            feed = read_feed(answer.body)
        except ValueError as error:
            raise FeedError(f"the feed can't be read: {error}") from None
        self._put(self._judged(feed))
        return True

    def _judged(self, feed: NodeFeed) -> Told:
        last = self._last
        is_same = last is not None and last.policies_revision == feed.policies_revision and last.limits == feed.limits
        told = Told(feed) if is_same else judged(feed)
        self.trouble = keep(self._state, feed)
        self._last = feed
        return told

    def _put(self, told: Told) -> None:
        with self._lock:
            before = self._told
            if before is not None and before.program is not None and told.program is None:
                told = msgspec.structs.replace(before, feed=told.feed)
            self._told = told

    def _work(self) -> None:
        failures = 0
        while not self._ending.is_set():
            try:
                self.look()
                failures = 0
            except (ChannelError, FeedError) as error:
                failures, self.trouble = failures + 1, str(error)
                self._ending.wait(pause_seconds(failures, random.random()))  # noqa: S311 (spreads the nodes)
        self._channel.close()

    def close(self) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)
