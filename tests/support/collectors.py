"""A collector's server on the loopback with a certificate authority of its own, and callers of every role."""

from __future__ import annotations

import asyncio
import io
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from watchkeeper_operator.authority import certificates
from watchkeeper_operator.authority.contexts import Identity, client_context, server_context
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.collector.connections import Bounds, Server
from watchkeeper_operator.collector.listener import Listener, listening
from watchkeeper_operator.collector.metrics import Metrics
from watchkeeper_operator.collector.server import Dispatch

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from watchkeeper_operator.collector.routes import Route

NAME = "collector.test"


def a_request(key: ec.EllipticCurvePrivateKey | None = None) -> tuple[str, ec.EllipticCurvePrivateKey]:
    """A certificate request and its key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode(), key


@dataclass
class Authorities:
    """A root, the sensors' authority below it, and identities of all roles."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def root(self) -> certificates.Signer:
        return certificates.make_root(self.now)

    @cached_property
    def sensors(self) -> certificates.Signer:
        return certificates.make_sensors_authority(self.root, self.now)

    @property
    def bundle(self) -> str:
        return certificates.pem(self.root.certificate)

    def sensor(self, node_uid: str = "node-1", now: datetime | None = None) -> Identity:
        request, key = a_request()
        return Identity(certificates.sign_sensor(self.sensors, request, node_uid, now or self.now), certificates.key_pem(key))

    def client(self, role: Role, name: str = "one", life: timedelta = timedelta(hours=1)) -> Identity:
        return self.sensor(name) if role is Role.SENSOR else certificates.make_client(self.root, role, name, self.now, life)

    def server(self) -> Identity:
        return certificates.make_server(self.root, [NAME], self.now)


@dataclass
class Running:
    """A server and how to reach it."""

    port: int
    authorities: Authorities
    server: Server
    metrics: Metrics
    listener: Listener

    def tls(self, identity: Identity | None) -> ssl.SSLContext:
        return client_context(identity, self.authorities.bundle)

    @asynccontextmanager
    async def session(self, identity: Identity | None) -> AsyncIterator[aiohttp.ClientSession]:
        """Requests by paths; the server's certificate is checked."""
        connector = aiohttp.TCPConnector(ssl=self.tls(identity))
        async with aiohttp.ClientSession(f"https://127.0.0.1:{self.port}", connector=connector) as session:
            yield session

    async def ask(self, method: str, path: str, identity: Identity | None, body: bytes | None = None, **options: object) -> tuple[int, bytes]:
        async with (
            self.session(identity) as session,
            session.request(method, path, data=None if body is None else io.BytesIO(body), server_hostname=NAME, **options) as answer,
        ):
            return answer.status, await answer.read()

    async def raw(self, identity: Identity | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare TLS connection, to speak to it byte by byte."""
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls(identity), server_hostname=NAME)


@asynccontextmanager
async def serving(
    routes: Sequence[Route],
    *,
    authorities: Authorities | None = None,
    metrics: Metrics | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
    clock: Callable[[], float] = time.time,
    in_force: Callable[[str], Awaitable[bool]] | None = None,
) -> AsyncIterator[Running]:
    """These routes behind the collector's own server, until left."""
    authorities, metrics = authorities or Authorities(), metrics or Metrics()
    server = Server(Dispatch(routes, metrics, clock, in_force=in_force).handle, bounds, clock)
    listener = Listener(server, server_context(authorities.server(), authorities.bundle))
    with listening("127.0.0.1", 0) as sock:
        task = asyncio.create_task(listener.run(sock))
        try:
            yield Running(sock.getsockname()[1], authorities, server, metrics, listener)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await server.shutdown(0.1)
