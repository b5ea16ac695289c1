"""What leaves a node, as bytes: detections, matches for rules that span nodes, and intervals in which nobody saw everything.

A payload begins with the version of its form; one of another version is not guessed at.
"""

from __future__ import annotations

from typing import Any

import msgspec

from watchkeeper_detection.detection import Detection
from watchkeeper_detection.match import Match

WIRE_VERSION = 1
_PREFIX = bytes([WIRE_VERSION])
_encode = msgspec.msgpack.Encoder().encode
_detection = msgspec.msgpack.Decoder(Detection).decode
_match = msgspec.msgpack.Decoder(Match).decode


class WireError(ValueError):
    """Bytes of another version, or damaged."""


class Blind(msgspec.Struct, frozen=True, kw_only=True):
    """An interval in which something was not seen or not kept: no detection in it does not mean that nothing happened.

    cause    as `sensor.cause` has it: `ring_full`, `killed`, `stopped`, `frozen`, `spool_full`, `disk` …
    since    nanoseconds since the epoch, as `until`
    records  kind of event → records that were not told
    entries  `detection`, `match`, `loss` → what was found and could not be kept for the receiver
    """

    cause: str
    since: int
    until: int
    records: dict[str, int] = {}
    entries: dict[str, int] = {}


_blind = msgspec.msgpack.Decoder(Blind).decode


def encode(sent: Detection | Match | Blind) -> bytes:
    r"""Bytes that were no UTF-8 on the host are written as `\xff`: what an attacker names must not stop the rest."""
    try:
        return _PREFIX + _encode(sent)
    except UnicodeEncodeError:
        return _PREFIX + _encode(msgspec.convert(_encodable(msgspec.to_builtins(sent)), type(sent)))


def decode_detection(payload: bytes) -> Detection:
    """Raises WireError."""
    return _decoded(payload, _detection)  # type: ignore[no-any-return]


def decode_match(payload: bytes) -> Match:
    """Raises WireError."""
    return _decoded(payload, _match)  # type: ignore[no-any-return]


def decode_blind(payload: bytes) -> Blind:
    """Raises WireError."""
    return _decoded(payload, _blind)  # type: ignore[no-any-return]


def _decoded(payload: bytes, decode: Any) -> Any:
    if payload[:1] != _PREFIX:
        raise WireError(f"version {payload[0] if payload else 'none'}; this is version {WIRE_VERSION}")
    try:
        return decode(memoryview(payload)[1:])
    except (msgspec.DecodeError, UnicodeDecodeError) as damage:
        raise WireError(str(damage)) from None


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list | tuple):
        return [_encodable(one) for one in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(one) for key, one in value.items()}
    return value


def encodable(text: str) -> str:
    """The text with bytes that were no UTF-8, and lone surrogates, written as escapes."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
