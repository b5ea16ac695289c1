"""Last good revisions of policies, exceptions and lists: what stays in force while an object is not accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from watchkeeper_operator.policy_objects import Key, Written
from watchkeeper_operator.store.documents import delete_document, documents, put_document
from watchkeeper_operator.store.engine import reading, writing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

KIND = "last-good-policy"

_decoder = msgspec.msgpack.Decoder(Written)


def load(engine: Engine) -> dict[Key, Written]:
    """Raises StoreError. What another version kept in a shape that is not ours is left out: the next accepted revision takes its place."""
    with reading(engine) as connection:
        kept = documents(connection, KIND)
    found: dict[Key, Written] = {}
    for content in kept.values():
        try:
            written = _decoder.decode(content)
        except msgspec.DecodeError:
            continue
        found[written.key] = written
    return found


def save(engine: Engine, before: Mapping[Key, Written], now: Mapping[Key, Written], *, at: int) -> None:
    """Write what changed, in one transaction. `at`: nanoseconds since the epoch. Raises StoreError."""
    changed = [written for key, written in now.items() if key not in before or before[key].revision != written.revision]
    gone = [key for key in before if key not in now]
    if not changed and not gone:
        return
    with writing(engine) as connection:
        for written in changed:
            put_document(connection, KIND, "/".join(written.key), msgspec.msgpack.encode(written), now=at)
        for key in gone:
            delete_document(connection, KIND, "/".join(key))
