"""What was told, kept in the store: after a restart only differences are told, and only new rules are asked about what was there before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import delete

from watchkeeper_operator.rbac.shapes import Account, Binding, Other, Role
from watchkeeper_operator.store.documents import claim, delete_document, documents
from watchkeeper_operator.store.engine import reading, writing
from watchkeeper_operator.store.tables import DocumentRow
from watchkeeper_operator.store.upsert import put_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from watchkeeper_operator.rbac.shapes import Key, Watched

FORMAT = "rbac-1"  # another number when shapes change: what is there is then told anew as present
ASKED = "asked"
SHAPES: dict[str, type[Watched]] = {"Role": Role, "ClusterRole": Role, "RoleBinding": Binding, "ClusterRoleBinding": Binding, "ServiceAccount": Account}


class Asked(msgspec.Struct):
    """What was asked already: kinds of objects that were listed, rules that judged what was present. alive_at: nanoseconds since the epoch."""

    kinds: set[str] = msgspec.field(default_factory=set)
    rules: set[str] = msgspec.field(default_factory=set)
    alive_at: int = 0


class Memory:
    """In the store of the operator. All calls block; raises StoreError, FencedError where a later leader writes."""

    def __init__(self, engine: Engine, epoch: int) -> None:
        self._engine = engine
        self._epoch = epoch

    def load(self) -> tuple[dict[Key, Watched], Asked]:
        with reading(self._engine) as connection:
            found = documents(connection, FORMAT)
        asked = msgspec.msgpack.decode(found.pop(ASKED), type=Asked) if ASKED in found else Asked()
        return {(key := key_of(name)): msgspec.msgpack.decode(content, type=SHAPES.get(key[0], Other)) for name, content in found.items()}, asked

    def save(self, changed: Mapping[Key, Watched | None], asked: Asked, now: int) -> None:
        """`now`: nanoseconds since the epoch."""
        kept = {name_of(key): msgspec.msgpack.encode(one) for key, one in changed.items() if one is not None}
        kept[ASKED] = msgspec.msgpack.encode(asked)
        with writing(self._engine) as connection:
            claim(connection, self._epoch)
            put_rows(connection, DocumentRow, [{"kind": FORMAT, "name": name, "changed_at": now, "content": content} for name, content in kept.items()])
            for key, one in changed.items():
                if one is None:
                    delete_document(connection, FORMAT, name_of(key))
            connection.execute(delete(DocumentRow).where(DocumentRow.kind.like("rbac-%"), DocumentRow.kind != FORMAT))


def name_of(key: Key) -> str:
    return "/".join(key)


def key_of(name: str) -> Key:
    """Names of roles may hold what they like but a slash."""
    kind, namespace, rest = name.split("/", 2)
    return kind, namespace, rest
