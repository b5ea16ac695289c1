"""Builders of a collector's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.wire import Blind, encode
from watchkeeper_operator.bus.messages import Message

if TYPE_CHECKING:
    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.match import Match

TOPICS = {"Detection": "detection", "Match": "match", "Blind": "loss"}


def a_message(number: int, said: Detection | Match | Blind, *, source: str = "node/a", received_at: int | None = None) -> Message:
    """The message of this number that says so, a second after it happened."""
    at = said.until if isinstance(said, Blind) else said.observed_at
    return Message(number, TOPICS[type(said).__name__], source, at + 1_000_000_000 if received_at is None else received_at, encode(said))
