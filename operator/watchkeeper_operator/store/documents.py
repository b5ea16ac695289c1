"""Small contents by kind and name, and who may write: the leader of the latest epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy import delete, select, update

from watchkeeper_operator.store.engine import StoreError
from watchkeeper_operator.store.tables import DocumentRow, LeaderRow
from watchkeeper_operator.store.upsert import put_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult

DOCUMENT_BYTES = 16 * 1024 * 1024


class FencedError(StoreError):
    """Another leader has written since: this one has to stop."""


def claim(connection: Connection, epoch: int) -> None:
    """Say for this transaction that the leader of `epoch` writes; no older one can any more. Raises FencedError."""
    statement = update(LeaderRow).where(LeaderRow.id == 1, LeaderRow.epoch <= epoch).values(epoch=epoch)
    if cast("CursorResult[None]", connection.execute(statement)).rowcount != 1:
        raise FencedError(f"a later leader than that of epoch {epoch} writes to the store")


def put_document(connection: Connection, kind: str, name: str, content: bytes, *, now: int) -> None:
    """Keep a content, in the place of an older one of that name. Raises StoreError when it is longer than DOCUMENT_BYTES."""
    if len(content) > DOCUMENT_BYTES:
        raise StoreError(f"{kind} {name} has {len(content)} bytes; {DOCUMENT_BYTES} are kept at most")
    put_rows(connection, DocumentRow, [{"kind": kind, "name": name, "changed_at": now, "content": content}])


def document(connection: Connection, kind: str, name: str) -> bytes | None:
    return connection.execute(select(DocumentRow.content).where(DocumentRow.kind == kind, DocumentRow.name == name)).scalar_one_or_none()


def documents(connection: Connection, kind: str) -> dict[str, bytes]:
    """Name → content of all of a kind."""
    rows = connection.execute(select(DocumentRow.name, DocumentRow.content).where(DocumentRow.kind == kind).order_by(DocumentRow.name))
    return dict(rows.all())


def delete_document(connection: Connection, kind: str, name: str) -> None:
    connection.execute(delete(DocumentRow).where(DocumentRow.kind == kind, DocumentRow.name == name))
