"""A connection to the collector: TLS 1.3, its certificate checked against the bundle, ours shown once we have one. One thread's each."""

from __future__ import annotations

import http.client
import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchkeeper_sensor.cluster.settings import host_and_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANSWER_BYTES = 64 << 20  # of a feed; other answers are small
CONNECT_SECONDS = 10.0
LONGEST_ASKED_SECONDS = 60.0
REFUSED_CREDENTIALS = frozenset({401, 403})


class ChannelError(Exception):
    """No answer; the reason is for people. `is_of_credentials`: the collector does not take our certificate. `pause_seconds`: what it asked for."""

    def __init__(self, reason: str, *, is_of_credentials: bool = False, pause_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.is_of_credentials = is_of_credentials
        self.pause_seconds = pause_seconds


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, PEM; `number` tells one from the one before. Never shown."""

    certificate: str
    key: str
    number: int

    def __repr__(self) -> str:
        return f"Identity({self.number})"


@dataclass(frozen=True, slots=True)
class Answer:
    """`retry_after`: seconds that it asks to be left alone."""

    status: int
    body: bytes
    retry_after: float = 0.0


def context_of(ca: Path, identity: Identity | None) -> ssl.SSLContext:
    """Raises ChannelError where the bundle or the certificate can't be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(ca)
        if identity is not None:
            _show(context, identity)
    except (OSError, ssl.SSLError) as error:
        raise ChannelError(f"certificates can't be used ({ca}): {error.strerror or error}") from None
    return context


def _show(context: ssl.SSLContext, identity: Identity) -> None:
    """The library reads files only: one that has no name and is in memory."""
    number = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(number, f"{identity.certificate}\n{identity.key}".encode())
        context.load_cert_chain(f"/proc/self/fd/{number}")
    finally:
        os.close(number)


class Channel:
    """`ask` until there is an answer; opened when needed, and anew for each new certificate."""

    def __init__(self, collector: str, ca: Path, identity: Callable[[], Identity | None]) -> None:
        """`identity`: asked before each request; None shows no certificate."""
        self._host, self._port = host_and_port(collector)
        self._ca, self._identity = ca, identity
        self._connection: http.client.HTTPSConnection | None = None
        self._shown = -1  # number of the identity that the connection was opened with

    def ask(self, method: str, path: str, body: bytes | None = None, *, kind: str = "application/msgpack", seconds: float = 30.0) -> Answer:
        """Raises ChannelError. A connection that the other side had closed meanwhile is opened once more; so all requests must bear to come twice."""
        is_fresh = self._open()
        try:
            return self._answer(method, path, body, kind, seconds)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError) as error:
            self.close()
            if is_fresh:
                raise _reason(error) from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _reason(error) from None
        self._open()
        try:
            return self._answer(method, path, body, kind, seconds)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _reason(error) from None

    def _open(self) -> bool:
        """Whether it was opened now."""
        identity = self._identity()
        shown = identity.number if identity is not None else 0
        if self._connection is not None and shown == self._shown:
            return False
        self.close()
        self._connection = http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_SECONDS, context=context_of(self._ca, identity))
        self._shown = shown
        return True

    def _answer(self, method: str, path: str, body: bytes | None, kind: str, seconds: float) -> Answer:
        connection = self._connection
        if connection is None:
            raise http.client.NotConnected
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(seconds)
        try:
            connection.request(method, path, body, {"Content-Type": kind} if body is not None else {})
        except OSError as error:
            raise _alert_of(connection.sock, error) from None
        with connection.getresponse() as answer:
            content = answer.read(ANSWER_BYTES + 1)
        if len(content) > ANSWER_BYTES:
            self.close()
            raise ChannelError(f"its answer to {path} is longer than {ANSWER_BYTES >> 20} MiB")
        asked = answer.headers.get("Retry-After", "")
        if answer.status in REFUSED_CREDENTIALS:
            self.close()
        return Answer(answer.status, content, min(float(asked), LONGEST_ASKED_SECONDS) if asked.isascii() and asked.isdecimal() else 0.0)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _alert_of(sock: ssl.SSLSocket, error: OSError) -> OSError:
    """Why the other side hung up while we wrote, where it said so."""
    try:
        sock.settimeout(CONNECT_SECONDS)
        sock.recv(1)
    except ssl.SSLError as alert:
        return alert
    except OSError:
        return error
    return error


def _reason(error: Exception) -> ChannelError:
    """In TLS 1.3 the other side says only after the handshake that it does not take a certificate."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ChannelError(f"its certificate is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return ChannelError(f"TLS: {error.reason or error}", is_of_credentials="ALERT" in (error.reason or ""))
    return ChannelError(str(error) or type(error).__name__)
