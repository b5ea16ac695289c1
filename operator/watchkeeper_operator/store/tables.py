"""Tables of the operator's store, as its code names them; `schema.py` makes them. Times are nanoseconds since the epoch; contents are MessagePack."""

from __future__ import annotations

from sqlalchemy import BigInteger, LargeBinary, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Table(DeclarativeBase):
    """Mapped for its types alone: statements are written over its columns, no sessions are kept."""

    type_annotation_map = {int: BigInteger, str: Text, bytes: LargeBinary}  # noqa: RUF012 (what SQLAlchemy reads)


class LeaderRow(Table):
    """One row: the epoch of the latest leader that wrote."""

    __tablename__ = "leader"
    id: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int]


class DocumentRow(Table):
    """Small contents by kind and name: last good policies, settings."""

    __tablename__ = "documents"
    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    changed_at: Mapped[int]
    content: Mapped[bytes]


class DetectionRow(Table):
    """`scope`: namespace of the policy; `incident`: what it belongs to, empty where it is context only."""

    __tablename__ = "detections"
    id: Mapped[str] = mapped_column(primary_key=True)
    observed_at: Mapped[int]
    stored_at: Mapped[int]
    scope: Mapped[str]
    policy: Mapped[str]
    severity: Mapped[str]
    incident: Mapped[str]
    content: Mapped[bytes]


class ContextKeyRow(Table):
    """What a detection that makes no incident by itself shares with those that do."""

    __tablename__ = "context_keys"
    key: Mapped[str] = mapped_column(primary_key=True)
    observed_at: Mapped[int] = mapped_column(primary_key=True)
    detection: Mapped[str] = mapped_column(primary_key=True)


class IncidentRow(Table):
    """An incident; `merged_into`: id of the one that took it in, or empty.

    severity     as its object shows it: the gravest detection's, or one step more
    opened_by    `namespace/policy/rule` of the detection that opened it
    changed_at   of the content; `written_at`: the `changed_at` that its object shows, 0 where there is none yet
    closed_at    0 while it is open
    archived_at  0 while it is to be an object of the cluster
    """

    __tablename__ = "incidents"
    id: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str]
    severity: Mapped[str]
    opened_by: Mapped[str]
    opened_at: Mapped[int]
    first_seen: Mapped[int]
    last_seen: Mapped[int]
    changed_at: Mapped[int]
    written_at: Mapped[int]
    closed_at: Mapped[int]
    archived_at: Mapped[int]
    merged_into: Mapped[str]
    disposition: Mapped[str]
    owner: Mapped[str]
    content: Mapped[bytes]


class IncidentKeyRow(Table):
    """When an incident's detections had a key: what joins others to it."""

    __tablename__ = "incident_keys"
    key: Mapped[str] = mapped_column(primary_key=True)
    incident: Mapped[str] = mapped_column(primary_key=True)
    first: Mapped[int]
    last: Mapped[int]


class MomentRow(Table):
    """t0…t8 of an incident; each is set once."""

    __tablename__ = "moments"
    incident: Mapped[str] = mapped_column(primary_key=True)
    moment: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[int]


class DispositionRow(Table):
    """What people said of an incident, in order."""

    __tablename__ = "dispositions"
    incident: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[int] = mapped_column(primary_key=True)
    disposition: Mapped[str]
    owner: Mapped[str]


class BlindRow(Table):
    """An interval in which somebody did not see everything."""

    __tablename__ = "blind"
    id: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str]
    since: Mapped[int]
    until: Mapped[int]
    content: Mapped[bytes]


class DroppedRow(Table):
    """How much of what was dropped for lack of room, since when and until when."""

    __tablename__ = "dropped"
    what: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    since: Mapped[int]
    until: Mapped[int]


class PositionRow(Table):
    """Up to which message a queue was taken in."""

    __tablename__ = "positions"
    queue: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    moved_at: Mapped[int]


class SnapshotRow(Table):
    """State of an engine; what it took since is in the journal."""

    __tablename__ = "snapshots"
    engine: Mapped[str] = mapped_column(primary_key=True)
    taken_at: Mapped[int]
    content: Mapped[bytes]


class JournalRow(Table):
    """What an engine took since its snapshot, in order."""

    __tablename__ = "journal"
    engine: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes]


class NoticeRow(Table):
    """What a receiver is to be told. `state`: waiting or dead; what was taken is deleted."""

    __tablename__ = "notices"
    receiver: Mapped[str] = mapped_column(primary_key=True)
    incident: Mapped[str] = mapped_column(primary_key=True)
    occasion: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    made_at: Mapped[int]
    due_at: Mapped[int]
    attempts: Mapped[int]
    reason: Mapped[str]
    body: Mapped[bytes]
