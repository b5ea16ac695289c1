"""TLS of our own endpoints: 1.3 only, no resumed sessions, certificates on both sides."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and what is needed to use it, PEM. `chain`: the certificate, then those between it and the root."""

    chain: str
    key: str = field(repr=False)


def server_context(identity: Identity, trusted: str) -> ssl.SSLContext:
    """A client certificate is asked for and not required: routes say who needs which. `trusted`: roots, PEM. Raises ssl.SSLError."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, identity, trusted)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.num_tickets = 0  # a resumed session would keep a client certificate that has expired or is trusted no more
    return context


def client_context(identity: Identity | None, trusted: str) -> ssl.SSLContext:
    """The server's name is checked. Raises ssl.SSLError."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, identity, trusted)


def _context(side: int, identity: Identity | None, trusted: str) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=trusted)
    if identity is not None:
        _load(context, identity)
    return context


def _load(context: ssl.SSLContext, identity: Identity) -> None:
    """By way of memory: OpenSSL's Python door reads files only, and a key has no place on a disk."""
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, f"{identity.key}\n{identity.chain}".encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
