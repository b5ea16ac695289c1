"""A small collector of `node_wire`, real HTTPS on loopback: what the sensor's own half is tested against, in a thread of the test's process."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from watchkeeper_detection.node_wire import Certificate, CertificateRequest, Delivery, NodeFeed, NodeState, Taken
from watchkeeper_detection.wire import decode_blind, decode_detection, decode_match

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "a-projected-token"  # noqa: S105 (made up)
DECODERS = {"detection": decode_detection, "match": decode_match, "loss": decode_blind}


class Authority:
    """A certificate authority of the test."""

    def __init__(self, name: str = "test") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(self._key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(hours=1))
        made = made.not_valid_after(now + dt.timedelta(days=1)).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
            key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        self._certificate = made.add_extension(identifier, critical=False).add_extension(usage, critical=True).sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> str:
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, key: Any, names: dict[str, str], *, seconds: float, server: bool = False) -> str:
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, names["O"]), x509.NameAttribute(NameOID.COMMON_NAME, names["CN"])]
        now = dt.datetime.now(dt.UTC)
        made = x509.CertificateBuilder().subject_name(x509.Name(attributes)).issuer_name(self._certificate.subject).public_key(key)
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(minutes=5))
        made = made.not_valid_after(now + dt.timedelta(seconds=seconds))
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        made = made.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if server:
            addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            made = made.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return made.add_extension(authority, critical=False).sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


class CollectorServer:
    """Settable: `feed`, `token`, `lifetime` and `renew_after` of certificates, `answers` (status by path, in place of doing it). What came is in `entries`,
    `states`, `requests`.
    """

    def __init__(self, folder: Path, *, feed: NodeFeed | None = None) -> None:
        self.authority = Authority()
        self.folder = folder
        self.feed = feed or NodeFeed(revision="1", policies_revision="1")
        self.token = TOKEN
        self.lifetime, self.renew_after = 3600.0, 2400.0
        self.answers: dict[str, int] = {}
        self.takes = 500  # entries of one delivery
        self.entries: dict[tuple[str, int], Any] = {}  # (spool, position) → what it was; the first one counts
        self.repeats = 0
        self.states: list[NodeState] = []
        self.requests: list[tuple[str, str, str]] = []  # method, path, name in the client's certificate
        self.issued = 0
        self.newest = ssl.TLSVersion.TLSv1_3
        self.host, self.port = "127.0.0.1", 0
        self._server: ThreadingHTTPServer | None = None
        self.connections: set[Any] = set()
        self.ca = folder / "ca.crt"
        self.ca.write_text(self.authority.pem)
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN)
        self._write_own_certificate()

    def _write_own_certificate(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        certificate = self.authority.issue(key.public_key(), {"O": "test", "CN": "collector"}, seconds=86_400, server=True)
        (self.folder / "server.pem").write_text(certificate + text)

    def replace_authority(self) -> None:
        """A new authority, which the bundle names from now on; certificates of the old one are refused after the next `start`."""
        self.authority = Authority("another")
        self.ca.write_text(self.authority.pem)
        self._write_own_certificate()

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    @property
    def found(self) -> list[Any]:
        return list(self.entries.values())

    def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = self.newest
        context.load_cert_chain(self.folder / "server.pem")
        context.load_verify_locations(cadata=self.authority.pem)
        context.verify_mode = ssl.CERT_OPTIONAL
        handler = type("Handler", (_Handler,), {"collector": self})
        self._server = _Server((self.host, self.port), handler)
        self.port = self._server.server_address[1]
        self._server.tls = context  # type: ignore[attr-defined]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.cut()

    def cut(self) -> None:
        """Close all connections."""
        for one in list(self.connections):
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def waited(self, holds: Any, seconds: float = 20.0) -> Any:
        """What `holds()` gives when it is true; fails when it isn't in time."""
        end = time.monotonic() + seconds
        while not (found := holds()):
            assert time.monotonic() < end, f"waited {seconds} s; asked: {self.requests[-10:]}"
            time.sleep(0.01)
        return found

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: Any) -> None:
        """Connections that tests cut end so."""

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            wrapped = self.tls.wrap_socket(request, server_side=True)  # type: ignore[attr-defined]
        except OSError:
            return
        connections = self.RequestHandlerClass.collector.connections  # type: ignore[attr-defined]
        connections.add(wrapped)
        try:
            super().finish_request(wrapped, client_address)
        finally:
            connections.discard(wrapped)
            wrapped.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    collector: CollectorServer
    timeout = 60

    def do_GET(self) -> None:
        self._do("GET")

    def do_POST(self) -> None:
        self._do("POST")

    def do_PUT(self) -> None:
        self._do("PUT")

    def _do(self, method: str) -> None:
        its, parts = self.collector, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = _name_in(self.connection.getpeercert())
        its.requests.append((method, self.path, name))
        if parts.path in its.answers:
            self._answer(its.answers[parts.path])
        elif (method, parts.path) == ("POST", "/v1/certificates"):
            self._trade(msgspec.msgpack.decode(body, type=CertificateRequest))
        elif not name:
            self._answer(401)
        elif (method, parts.path) == ("POST", "/v1/deliveries"):
            self._deliver(msgspec.msgpack.decode(body, type=Delivery))
        elif (method, parts.path) == ("GET", "/v1/feed"):
            self._feed(parse_qs(parts.query).get("since", [""])[0])
        elif (method, parts.path) == ("PUT", "/v1/state"):
            its.states.append(msgspec.json.decode(body, type=NodeState))
            self._answer(204)
        else:
            self._answer(404)

    def _trade(self, asked: CertificateRequest) -> None:
        its = self.collector
        if asked.token != its.token:
            self._answer(401)
            return
        request = x509.load_pem_x509_csr(asked.request.encode())
        assert request.is_signature_valid
        its.issued += 1
        names = {"O": "watchkeeper:sensors", "CN": f"node-{its.issued}"}
        certificate = its.authority.issue(request.public_key(), names, seconds=its.lifetime)
        self._answer(200, msgspec.msgpack.encode(Certificate(certificate=certificate, renew_after=its.renew_after)))

    def _deliver(self, delivery: Delivery) -> None:
        its = self.collector
        taken = delivery.entries[: its.takes]
        for entry in taken:
            key = (delivery.spool, entry.position)
            its.repeats += key in its.entries
            its.entries.setdefault(key, DECODERS[entry.kind](entry.payload))
        self._answer(200, msgspec.msgpack.encode(Taken(count=len(taken))))

    def _feed(self, since: str) -> None:
        end = time.monotonic() + 25.0
        while self.collector.feed.revision == since and time.monotonic() < end and "/v1/feed" not in self.collector.answers:
            time.sleep(0.01)
        if self.collector.feed.revision == since:
            self._answer(204)
        else:
            self._answer(200, msgspec.json.encode(self.collector.feed))

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: tests read `requests`."""


def _name_in(certificate: Any) -> str:
    parts = [pair for name in (certificate or {}).get("subject", ()) for pair in name]
    return dict(parts).get("commonName", "")
