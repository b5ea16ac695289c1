"""A new key, and the request for its certificate (PKCS #10). Run apart: the library takes 13 MiB, once an hour for a moment.

The key is made in memory and goes through a pipe; it is on no disk. The subject is left empty: whose certificate it is, the collector knows by the token.
"""

from __future__ import annotations

import sys

import msgspec


class KeyAndRequest(msgspec.Struct, frozen=True):
    """PEM both."""

    key: str
    request: str


def made() -> KeyAndRequest:
    from cryptography import x509  # noqa: PLC0415 (only where it is run)
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyAndRequest(text.decode(), request.public_bytes(serialization.Encoding.PEM).decode())


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.msgpack.encode(made()))
