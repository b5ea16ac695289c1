"""The collector as a receiver of what was found: portions of entries, each known by the spool's id and its number, so that twice is once."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection import node_wire
from watchkeeper_detection.node_wire import DELIVERY_BYTES, DELIVERY_ENTRIES, Taken
from watchkeeper_detection.wire import Blind, encode
from watchkeeper_sensor.cluster.channel import REFUSED_CREDENTIALS, ChannelError
from watchkeeper_sensor.spool.delivery import NotTakenError
from watchkeeper_sensor.spool.losses import loss_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from watchkeeper_sensor.cluster.channel import Channel
    from watchkeeper_sensor.cluster.credentials import Credentials
    from watchkeeper_sensor.spool.segments import Entry

ID = "id"
ENVELOPE_BYTES = 256  # of a delivery, entries apart
ENTRY_BYTES = 64
PASSING = frozenset({408, 425, 429})
TELLS_SECONDS = 30.0


def spool_id(folder: Path, boot_id: str) -> str:
    """Id of the spool in this folder: random, made with it, and another one after each start of the host.

    After a power cut numbers of entries that were sent and not synced are given again: under the old id they would be taken for known.
    """
    path = folder / ID
    try:
        if (folder / "state").exists() and (words := path.read_text(encoding="ascii").split())[1:] == [boot_id]:
            return words[0]
        made = secrets.token_hex(16)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(f"{made} {boot_id}")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, UnicodeDecodeError):
        return secrets.token_hex(16)  # what is sent twice then, the detections' own ids tell
    return made


class Collector:
    """A receiver (spool/delivery.py)."""

    name = "collector"
    kinds = frozenset({"detection", "match", "loss"})

    def __init__(self, channel: Channel, credentials: Credentials, spool: str) -> None:
        self.discarded = 0  # entries that the collector found not to be this node's business
        self._channel, self._credentials, self._spool = channel, credentials, spool
        self._alone = False  # something in the last portion was refused: which entry, single ones will tell
        self._from_memory: tuple[str, list[Entry]] = ("", [])

    def take(self, entries: Sequence[Entry]) -> int:
        offered = _portion(entries[:1] if self._alone else entries[:DELIVERY_ENTRIES])
        body = msgspec.msgpack.encode(node_wire.Delivery(spool=self._spool_of(offered), entries=tuple(self._written(offered))))
        try:
            identity = self._credentials.identity()
            answer = self._channel.ask("POST", "/v1/deliveries", body, seconds=TELLS_SECONDS)
        except ChannelError as error:
            if error.is_of_credentials:
                self._credentials.refused(identity)
            raise NotTakenError(str(error)) from None
        if answer.status in REFUSED_CREDENTIALS:
            self._credentials.refused(identity)
            raise NotTakenError(f"it answers HTTP {answer.status}: it does not take our certificate", pause_seconds=answer.retry_after)
        if answer.status != 200:
            is_refusal = 400 <= answer.status < 500 and answer.status not in PASSING
            was_alone, self._alone = self._alone, self._alone or (is_refusal and len(offered) > 1)
            raise NotTakenError(
                f"it answers HTTP {answer.status}", is_refusal=is_refusal and (was_alone or len(offered) == 1), pause_seconds=answer.retry_after
            )
        return self._taken(answer.body, len(offered))

    def _taken(self, body: bytes, offered: int) -> int:
        try:
            taken = msgspec.msgpack.decode(body, type=Taken)
        except msgspec.DecodeError as error:
            raise NotTakenError(f"its answer can't be read: {error}") from None
        if not 0 < taken.count <= offered:
            raise NotTakenError(f"it took {taken.count} of {offered}")
        self.discarded += taken.discarded
        self._alone = False
        return taken.count

    def _spool_of(self, offered: Sequence[Entry]) -> str:
        """Entries that never were in the spool have no numbers: each portion of them is a spool of its own, the same one when it is offered again."""
        if offered[0].number:
            return self._spool
        if self._from_memory[1] != list(offered):
            self._from_memory = (secrets.token_hex(16), list(offered))
        return self._from_memory[0]

    @staticmethod
    def _written(offered: Sequence[Entry]) -> list[node_wire.Entry]:
        return [node_wire.Entry(entry.kind, entry.number or place, _payload(entry)) for place, entry in enumerate(offered, 1)]  # type: ignore[arg-type]

    def close(self) -> None:
        self._channel.close()


def _portion(entries: Sequence[Entry]) -> Sequence[Entry]:
    """As many as one delivery may hold, one at least."""
    room = DELIVERY_BYTES - ENVELOPE_BYTES
    for place, entry in enumerate(entries):
        room -= len(entry.payload) + ENTRY_BYTES
        if room < 0:
            return entries[: max(place, 1)]
    return entries


def _payload(entry: Entry) -> bytes:
    """What the spool itself states is told like every other loss."""
    loss = loss_of(entry.payload) if entry.kind == "loss" else None
    return entry.payload if loss is None else encode(Blind(cause=loss.cause, since=loss.since, until=loss.until, entries=loss.counts))
