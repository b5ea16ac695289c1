"""What a collector has to know of the time before it started: rules that were in force, and where pods ran. On disk, in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from watchkeeper_operator.collector.cluster_view import Runs
from watchkeeper_operator.collector.rules_known import Known
from watchkeeper_operator.store.documents import document, put_document
from watchkeeper_operator.store.engine import reading, writing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine

T = TypeVar("T")

KIND = "collector"
RULES, PODS = "rules", "pods"


def load_rules(engine: Engine) -> list[Known]:
    """Raises StoreError. What another version wrote is nothing: nodes' findings by older rules are then discarded and reported."""
    return _load(engine, RULES, list[Known])


def load_pods(engine: Engine) -> list[Runs]:
    """Raises StoreError."""
    return _load(engine, PODS, list[Runs])


def save_rules(engine: Engine, rules: Iterable[Known], *, now: int) -> None:
    """Raises StoreError."""
    _save(engine, RULES, list(rules), now)


def save_pods(engine: Engine, pods: Iterable[Runs], *, now: int) -> None:
    """Raises StoreError."""
    _save(engine, PODS, list(pods), now)


def _load(engine: Engine, name: str, shape: type[list[T]]) -> list[T]:
    with reading(engine) as connection:
        content = document(connection, KIND, name)
    if content is None:
        return []
    try:
        return msgspec.msgpack.decode(content, type=shape)
    except msgspec.DecodeError:
        return []


def _save(engine: Engine, name: str, content: object, now: int) -> None:
    with writing(engine) as connection:
        put_document(connection, KIND, name, msgspec.msgpack.encode(content), now=now)
