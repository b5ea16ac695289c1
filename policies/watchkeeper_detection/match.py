"""Match: one event satisfied a rule that keeps state (threshold, sequence step, first-seen, suppress).

A match holds only the scalars that keys, later steps and the message need, never an event or a buffer, so that it can
wait in a window, be spilled to disk, or travel from a node to the operator.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.cel.values import Duration, Timestamp
from watchkeeper_detection.detection import Place

if TYPE_CHECKING:
    from collections.abc import Iterable

Scalar = str | int | float | bool | None
ABOUT = {"actor.id": "about.actor", "identity.id": "about.identity", "target.id": "about.target", "origin.ip": "about.origin"}
"""Fields that every match and detection names → where an event keeps them together."""
SCALAR_TEXT = 1024  # characters of one kept value
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


class Match(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One satisfied unit of a stateful rule.

    rule        `Rule.state_key`
    step        number of the sequence's step, 0 elsewhere
    about       actor, identity, target, origin: what a detection names
    keys        values of `by` (threshold, step) or `per` (first-seen); None where absent
    value       value of `distinct`, or values of `of`
    suppress    values of `suppress.by`
    words       values that the message shows, in its order (all but sequences)
    kept        path → value, what later steps, guards and the message read (sequences)
    unresolved  late fields that were not known in time
    """

    rule: str
    step: int
    observed_at: int
    event_id: str
    provider_id: str
    source: str
    kind: str
    place: Place
    about: tuple[Scalar, ...]
    keys: tuple[Scalar, ...]
    value: tuple[Scalar, ...] = ()
    suppress: tuple[Scalar, ...] = ()
    words: tuple[Scalar, ...] = ()
    kept: dict[str, Scalar] = {}
    unresolved: tuple[str, ...] = ()

    def order(self) -> tuple[int, int, str, str]:
        """Event time first; at the same instant earlier steps come first, then the provider's own id, so that the way
        in which files are cut or shuffled changes nothing.
        """
        return (self.observed_at, self.step, self.provider_id, self.event_id)


def scalars(values: Iterable[object]) -> tuple[Scalar, ...]:
    """`scalar` of each; nearly all are short plain texts or absent."""
    return tuple([value if value is None or (value.__class__ is str and len(value) <= SCALAR_TEXT and value.isascii()) else scalar(value) for value in values])


def scalar(value: object) -> Scalar:
    """`value` as a scalar that a key or message may keep: different values stay different. None for absent and failed.

    What it gives can always be encoded: records may hold lone surrogates and integers of any length.
    """
    if isinstance(value, str):
        return text_of(value)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value) if INT64_MIN <= value <= INT64_MAX else text_of(hex(value))
    if isinstance(value, Timestamp | Duration | bytes):
        return text_of(str(value))
    if isinstance(value, list | tuple):
        words = [one for one in value if isinstance(one, str) and ", " not in one]
        if words and len(words) == len(value):
            return text_of(", ".join(words))
    if isinstance(value, list | tuple | dict | frozenset):
        return text_of(_json(value))
    return None


def _json(value: object) -> str:
    try:
        return json.dumps(value, default=str, sort_keys=True)
    except (ValueError, TypeError, RecursionError):  # an integer of thousands of digits, keys of several types, too deep
        return f"unreadable {value.__class__.__name__}"


def text_of(text: str) -> str:
    """The text, short and fit to be encoded; a long one ends in a hash of the whole."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    if len(text) <= SCALAR_TEXT:
        return text
    return f"{text[:SCALAR_TEXT]}…{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
