"""Where detections of this host go besides the terminal: the history and, when asked for, a webhook, each through a spool of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from watchkeeper_cli.ending import USAGE, CommandError
from watchkeeper_cli.output.text import plural
from watchkeeper_detection.wire import Blind, WireError, decode_blind, decode_detection, encode
from watchkeeper_operator.store.detections import DamagedError, DetectionStore, StoreError, move_aside
from watchkeeper_sensor.spool import Spool
from watchkeeper_sensor.spool.delivery import Delivery, NotTakenError, SpoolInUseError
from watchkeeper_sensor.spool.losses import loss_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from watchkeeper_cli.notifying import Webhook
    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.match import Match
    from watchkeeper_sensor.spool.segments import Entry

HISTORY = "detections.db"
SPOOLS = "spool"
TRIM_SECONDS = 60.0


class History:
    """The store as a receiver; opened by the thread that uses it, and opened again after every fault."""

    name = "history"
    kinds = frozenset({"detection", "loss"})

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store: DetectionStore | None = None
        self._trimmed_at = time.monotonic()
        self.moved: list[str] = []  # what became of damaged files, for people

    def take(self, entries: Sequence[Entry]) -> int:
        detections, blind, readable = [], [], 0
        for entry in entries:
            try:
                if entry.kind == "detection":
                    detections.append(decode_detection(entry.payload))
                elif entry.kind == "loss":
                    blind.append(blind_of(entry))
            except WireError as error:
                if not readable:
                    raise NotTakenError(f"the entry can't be read: {error}", is_refusal=True) from None
                break
            readable += 1
        try:
            self._add(detections, blind)
        except StoreError as error:
            self.close()
            self._set_aside(error)
            raise NotTakenError(str(error)) from None
        return readable

    def _add(self, detections: list[Detection], blind: list[Blind]) -> None:
        if self._store is None:
            self._store = DetectionStore(self._path)
        self._store.add(detections, blind)
        if time.monotonic() - self._trimmed_at > TRIM_SECONDS:
            self._trimmed_at = time.monotonic()
            self._store.trim()

    def _set_aside(self, error: StoreError) -> None:
        """A damaged history gives way to a new one; what was in it can still be looked at."""
        if not isinstance(error, DamagedError):
            return
        try:
            aside = move_aside(self._path, int(time.time()))
        except StoreError as failure:
            raise NotTakenError(f"{error}; {failure}") from None
        self.moved.append(f"the history was damaged ({error}): it is kept as {aside}, and a new one begins")

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def blind_of(entry: Entry) -> Blind:
    """The interval that an entry of kind `loss` states: the spool's own, or one of the sensor. Raises WireError."""
    loss = loss_of(entry.payload)
    if loss is not None:
        return Blind(cause=loss.cause, since=loss.since, until=loss.until, entries=loss.counts)
    return decode_blind(entry.payload)


class Outbox:
    """Takes detections and blind intervals for all receivers. Raises CommandError when another process has the folder."""

    def __init__(self, state: Path | None, webhook: Webhook | None, severity: str) -> None:
        """`state`: None keeps nothing on disk; `severity`: the least that the webhook gets."""
        self._severity = severity
        self._history = History(state / HISTORY) if state is not None else None
        self._news: list[str] = []
        try:
            self.deliveries = [Delivery(state / SPOOLS / "history", self._history)] if state is not None and self._history is not None else []
            self._webhook = Delivery(state / SPOOLS / "webhook" if state is not None else None, webhook) if webhook is not None else None
        except SpoolInUseError as error:
            raise CommandError(str(error), USAGE) from None
        if self._webhook is not None:
            self.deliveries.insert(0, self._webhook)  # the first to get what is found: whoever is to be woken
        elif state is not None:
            self._say_what_waits(state / SPOOLS / "webhook")

    def _say_what_waits(self, folder: Path) -> None:
        if not folder.exists():
            return
        try:
            with Spool(folder) as spool:
                count = len(spool)
        except (OSError, SpoolInUseError) as error:
            self._news.append(f"what waits for a webhook can't be counted: {error}")
            return
        if count:
            self._news.append(f"{plural(count, 'detection')} of an earlier run wait for a webhook: --notify posts them")

    def start(self) -> None:
        for one in self.deliveries:
            one.start()

    def keep(self, detections: Sequence[Detection], blind: Iterable[Blind], matches: Sequence[Match] = ()) -> None:
        """Returns when each is on the disk, or at least on its way; never waits for a receiver. No thread runs before all spools have all of them."""
        payloads = [encode(one) for one in detections]
        intervals = [encode(one) for one in blind]
        for one in self.deliveries:
            wanted = payloads
            if one is self._webhook:
                wanted = [payload for payload, detection in zip(payloads, detections, strict=True) if detection.severity <= self._severity]
            if wanted:
                one.keep("detection", wanted, wakes=False)
            if intervals:
                one.keep("loss", intervals, wakes=False)
            if matches and "match" in one.receiver.kinds:
                one.keep("match", map(encode, matches), wakes=False)
        for one in self.deliveries:
            one.wake()

    def tick(self) -> list[str]:
        """What is to be said."""
        for one in self.deliveries:
            one.tick()
            self._news += one.news()
        if self._history is not None and self._history.moved:
            self._news.append(self._history.moved.pop(0))
        said, self._news = self._news, []
        return said

    def troubles(self) -> list[str]:
        """What is wrong now."""
        return [text for one in self.deliveries for text in one.troubles()]

    def close(self) -> list[str]:
        """Deliver what can be delivered at once; what is to be said about the rest."""
        for one in self.deliveries:
            one.close()
            self._news += one.news()
        return self.tick()
