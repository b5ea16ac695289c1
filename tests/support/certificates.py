"""Certificates for tests: an authority of their own, and what it issues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

VALID = timedelta(days=2)
SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Issued:
    """PEM texts of one certificate and its key."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Paths of NAME.crt and NAME.key, the latter readable by its owner alone."""
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        certificate.write_bytes(self.certificate)
        key.touch(mode=0o600)
        key.write_bytes(self.key)
        return certificate, key


def private_text(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public_text(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _alternative(host: str) -> x509.GeneralName:
    return x509.IPAddress(IPv4Address(host)) if host.replace(".", "").isdigit() else x509.DNSName(host)


class TestAuthority:
    """Issues what the API server and its callers need; two days valid."""

    __test__ = False

    def __init__(self, name: str = "tests") -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        built = (
            self._begun(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )
        self.certificate = built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    @classmethod
    def of(cls, certificate: bytes, key: bytes) -> TestAuthority:
        """One that exists already, by PEM texts."""
        made = cls()
        made.certificate = certificate
        made._name = x509.load_pem_x509_certificate(certificate).subject
        made._key = serialization.load_pem_private_key(key, None)
        return made

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(now + VALID)
        )

    def own(self) -> Issued:
        """The authority's own pair, for whoever has to sign (the controllers, for CertificateSigningRequests)."""
        return Issued(self.certificate, private_text(self._key))

    def client(self, user: str, groups: Iterable[str] = ()) -> Issued:
        """As Kubernetes reads it: the user is the common name, groups are organisations."""
        return self._issue(user, groups, ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def server(self, *hosts: str) -> Issued:
        """For names and IPv4 addresses."""
        return self._issue(hosts[0], (), ExtendedKeyUsageOID.SERVER_AUTH, hosts)

    def _issue(self, name: str, groups: Iterable[str], purpose: x509.ObjectIdentifier, hosts: Iterable[str]) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, name), *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups)]
        built = self._begun(x509.Name(subject), key).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        built = built.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if alternatives := [_alternative(host) for host in hosts]:
            built = built.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return Issued(built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), private_text(key))
