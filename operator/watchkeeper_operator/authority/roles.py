"""Roles: what a certificate's subject makes of who holds it. O is the role, CN the name; nothing else is read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

CLOCK_SECONDS = 300  # that another machine's clock may be behind: certificates begin so much earlier


class Role(StrEnum):
    """The organization of a certificate's subject."""

    SENSOR = "watchkeeper:sensors"  # CN: uid of the node
    OPERATOR = "watchkeeper:operators"
    AUDIT = "watchkeeper:audit"  # the API server's audit backend; CN: name of the log source
    COLLECTOR = "watchkeeper:collectors"  # a server's


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end. `expires_at`: seconds since the epoch; `fingerprint`: SHA-256 of the certificate, hex."""

    role: Role
    name: str
    expires_at: float
    fingerprint: str


def subject_of(role: Role, name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, role), x509.NameAttribute(NameOID.COMMON_NAME, name)])


def peer_of(der: bytes) -> Peer | None:
    """Whom a certificate names, whose chain and time TLS has checked; None where its subject is none of ours."""
    certificate = x509.load_der_x509_certificate(der)
    try:
        parts = [(part.oid, part.value) for part in certificate.subject]
    except ValueError:  # a subject that is no text
        return None
    match parts:
        case [(NameOID.ORGANIZATION_NAME, str(organization)), (NameOID.COMMON_NAME, str(name))] if organization in list(Role):
            expires_at = certificate.not_valid_after_utc.timestamp()
            return Peer(Role(organization), name, expires_at, certificate.fingerprint(hashes.SHA256()).hex())
        case _:
            return None
