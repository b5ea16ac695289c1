"""Which certificates sensors hold: one for each pod, and the one before it until the new one was used. Every other one is refused, whoever signed it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text, delete, insert, or_, select, text, update

from watchkeeper_operator.bus.tables import CREATE_LOCK
from watchkeeper_operator.store.engine import reading, writing

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_metadata = MetaData()
_issued = Table(
    "sensor_certificates",
    _metadata,
    Column("pod_uid", Text, primary_key=True),
    Column("node_uid", Text, nullable=False),
    Column("latest", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("authority", Text, nullable=False),
    Column("restarts", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("renew_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("sensor_certificates_latest", "latest"),
    Index("sensor_certificates_previous", "previous"),
)


@dataclass(frozen=True, slots=True)
class Issued:
    """The latest certificate of a pod. Digests are hex; times are seconds since the epoch.

    key        of the public key, `authority` of the certificate that signed
    restarts   of the pod's containers when it was issued
    used       whether anybody has shown it yet
    """

    pod_uid: str
    node_uid: str
    latest: str
    key: str
    authority: str
    restarts: int
    renew_at: int
    expires_at: int
    previous: str = ""
    used: bool = False


Standing = Literal["new", "renewal", "repeat", "restart", "unused", "reissue", "early"]


def standing(before: Issued | None, *, key: str, authority: str, restarts: int, now: float) -> Standing:
    """Why somebody who holds a pod's token asks for a certificate. `early` is nothing that a sensor does: two hold the token."""
    if before is None:
        return "new"
    if before.renew_at <= now:
        return "renewal"
    if before.key == key:
        return "repeat"
    if before.authority != authority:
        return "reissue"
    if before.restarts != restarts:
        return "restart"  # the key was in the memory of the container that ended
    return "early" if before.used else "unused"  # an answer that never arrived


class IssuedCertificates:
    """Calls block; in asyncio they belong into a thread. All raise StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self) -> None:
        with writing(self._engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CREATE_LOCK})
            _metadata.create_all(connection)

    def of_pod(self, pod_uid: str, now: float) -> Issued | None:
        """The one that has not expired."""
        with reading(self._engine) as connection:
            found = _of_pod(connection, pod_uid)
        return found if found is not None and found.expires_at > now else None

    def note(self, issued: Issued, *, now: float, replacing: str) -> bool:
        """Remember a certificate before it is handed out. False: another replica has noted one meanwhile; nothing was noted. `replacing`: digest of the one before."""
        with writing(self._engine) as connection:
            connection.execute(delete(_issued).where(_issued.c.expires_at <= int(now)))
            row = _row(issued)
            if not replacing:
                if _of_pod(connection, issued.pod_uid) is not None:
                    return False
                connection.execute(insert(_issued).values(**row))
                return True
            changed = connection.execute(update(_issued).where(_issued.c.pod_uid == issued.pod_uid, _issued.c.latest == replacing).values(**row))
            return changed.rowcount == 1

    def show(self, fingerprint: str) -> bool:
        """Whether a certificate that is shown is in force; the one before it ends when a new one is shown."""
        with reading(self._engine) as connection:
            found = connection.execute(select(_issued.c.latest, _issued.c.used).where(or_(_issued.c.latest == fingerprint, _issued.c.previous == fingerprint)))
            row = found.first()
        if row is None:
            return False
        if row.latest == fingerprint and not row.used:
            with writing(self._engine) as connection:
                connection.execute(update(_issued).where(_issued.c.latest == fingerprint).values(used=1, previous=""))
        return True


def _of_pod(connection: Connection, pod_uid: str) -> Issued | None:
    row = connection.execute(select(_issued).where(_issued.c.pod_uid == pod_uid)).mappings().first()
    return None if row is None else Issued(**{**row, "used": bool(row["used"])})


def _row(issued: Issued) -> dict[str, str | int]:
    return asdict(issued) | {"used": int(issued.used)}
