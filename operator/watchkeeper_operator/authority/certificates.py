"""Making certificates: roots, the sensors' authority below them, servers and clients. Keys are P-256. Time is passed in.

root ── collectors' servers (names of the Service)
     ├─ operators, audit backends (clients)
     └─ sensors' authority: may name nobody but O=watchkeeper:sensors, and only as clients; its key is the collector's
          └─ sensors (clients, an hour)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from watchkeeper_operator.authority.contexts import Identity
from watchkeeper_operator.authority.roles import CLOCK_SECONDS, Role, subject_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
    from cryptography.x509.oid import ObjectIdentifier

ROOT_LIFE = timedelta(days=5 * 365)
SENSORS_LIFE = timedelta(days=90)
SERVER_LIFE = timedelta(days=30)
OPERATOR_LIFE = timedelta(days=1)
AUDIT_LIFE = timedelta(days=365)  # its file lies on control planes, where only people replace it
SENSOR_LIFE = timedelta(hours=1)
CLOCKS = timedelta(seconds=CLOCK_SECONDS)


class AuthorityError(Exception):
    """What should be a certificate or key is none, or does not belong here."""


class Signer(NamedTuple):
    """A certificate that signs others, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class _Asked:
    """A certificate to be. `depth`: authorities that may stand below it; None: it signs nothing."""

    subject: x509.Name
    key: CertificatePublicKeyTypes
    since: datetime
    until: datetime
    depth: int | None = None
    usage: ObjectIdentifier | None = None
    names: Sequence[str] = ()
    only: x509.Name | None = None


def make_root(now: datetime, life: timedelta = ROOT_LIFE) -> Signer:
    """Roots differ in name, so that one is never taken for another."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "watchkeeper"), x509.NameAttribute(NameOID.COMMON_NAME, f"root {x509.random_serial_number():040x}")]
    )
    return Signer(_signed(_Asked(name, key.public_key(), now - CLOCKS, now + life, depth=2), name, key), key)


def cross_signed(new: Signer, old: Signer, now: datetime) -> x509.Certificate:
    """The new root as the old one names it: whoever still trusts the old one alone accepts what the new one signed, until the old one ends."""
    return _below(old, _Asked(new.certificate.subject, new.key.public_key(), now - CLOCKS, new.certificate.not_valid_after_utc, depth=1))


def make_sensors_authority(root: Signer, now: datetime, life: timedelta = SENSORS_LIFE) -> Signer:
    """What the collector signs sensors' certificates with. TLS itself refuses whatever else it signs."""
    key = ec.generate_private_key(ec.SECP256R1())
    only = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, Role.SENSOR)])
    asked = _Asked(subject_of(Role.SENSOR, "authority"), key.public_key(), now - CLOCKS, now + life, depth=0, usage=ExtendedKeyUsageOID.CLIENT_AUTH, only=only)
    return Signer(_below(root, asked), key)


def make_client(signer: Signer, role: Role, name: str, now: datetime, life: timedelta) -> Identity:
    """Certificate and key of an operator or an audit backend."""
    return _made(signer, subject_of(role, name), now, life, ExtendedKeyUsageOID.CLIENT_AUTH, ())


def make_server(signer: Signer, names: Sequence[str], now: datetime, life: timedelta = SERVER_LIFE) -> Identity:
    """`names`: DNS names and addresses by which clients call it."""
    return _made(signer, subject_of(Role.COLLECTOR, "collector"), now, life, ExtendedKeyUsageOID.SERVER_AUTH, names)


def sign_sensor(authority: Signer, request: str, node_uid: str, now: datetime) -> str:
    """Chain for the key of a PKCS #10 request; nothing else of the request is used. Valid an hour, what clocks may differ included. Raises AuthorityError."""
    key = requested_key(request)
    until = min(now - CLOCKS + SENSOR_LIFE, authority.certificate.not_valid_after_utc)
    if until <= now:
        raise AuthorityError("the sensors' authority has expired")
    asked = _Asked(subject_of(Role.SENSOR, node_uid), key, now - CLOCKS, until, usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    return pem(_below(authority, asked), authority.certificate)


def requested_key(request: str) -> ec.EllipticCurvePublicKey:
    """The key that a PKCS #10 request (PEM) proves to hold. Raises AuthorityError."""
    try:
        asked = x509.load_pem_x509_csr(request.encode("ascii"))
        key = asked.public_key()
        proven = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1) and asked.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise AuthorityError("not a certificate request") from None
    if not proven or not isinstance(key, ec.EllipticCurvePublicKey):
        raise AuthorityError("not a request for a P-256 or P-384 key that signed it")
    return key


def pem(*certificates: x509.Certificate) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def read_certificates(text: str) -> list[x509.Certificate]:
    """Raises AuthorityError."""
    try:
        return x509.load_pem_x509_certificates(text.encode("ascii"))
    except ValueError:
        raise AuthorityError("not certificates in PEM") from None


def has_key_identifier(certificate: x509.Certificate) -> bool:
    """TLS checked strictly takes no authority without one."""
    return any(extension.oid == ExtensionOID.SUBJECT_KEY_IDENTIFIER for extension in certificate.extensions)


def read_signer(certificate: str, key: str) -> Signer:
    """Raises AuthorityError, which repeats nothing of the key."""
    first = read_certificates(certificate)[0]
    try:
        read = load_pem_private_key(key.encode("ascii"), password=None)
    except (ValueError, TypeError):
        raise AuthorityError("not a private key in PEM") from None
    if not isinstance(read, ec.EllipticCurvePrivateKey) or read.public_key() != first.public_key():
        raise AuthorityError("certificate and key are not of one pair")
    return Signer(first, read)


def _made(signer: Signer, subject: x509.Name, now: datetime, life: timedelta, usage: ObjectIdentifier, names: Sequence[str]) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _below(signer, _Asked(subject, key.public_key(), now - CLOCKS, now + life, usage=usage, names=names))
    return Identity(pem(certificate), key_pem(key))


def _below(signer: Signer, asked: _Asked) -> x509.Certificate:
    """Nothing outlives who signed it."""
    until = min(asked.until, signer.certificate.not_valid_after_utc)
    return _signed(replace(asked, until=until), signer.certificate.subject, signer.key)


def _signed(asked: _Asked, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    signs = asked.depth is not None
    builder = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(issuer)
        .public_key(asked.key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(asked.since)
        .not_valid_after(asked.until)
        .add_extension(x509.BasicConstraints(ca=signs, path_length=asked.depth), critical=True)
        .add_extension(_key_usage(signs=signs), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(asked.key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    if asked.usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([asked.usage]), critical=False)
    if asked.names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in asked.names]), critical=False)
    if asked.only is not None:
        builder = builder.add_extension(x509.NameConstraints([x509.DirectoryName(asked.only)], None), critical=True)
    return builder.sign(key, hashes.SHA256())


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
