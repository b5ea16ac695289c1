"""Who the sensor is to the collector: its projected token, traded for a certificate of an hour at most, and again before that ends."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.node_wire import Certificate, CertificateRequest
from watchkeeper_sensor.cluster.apart import ApartError, run_apart
from watchkeeper_sensor.cluster.channel import Channel, ChannelError, Identity
from watchkeeper_sensor.cluster.key_request import KeyAndRequest
from watchkeeper_sensor.cluster.pauses import pause_seconds, renewal_seconds

if TYPE_CHECKING:
    from watchkeeper_sensor.cluster.settings import Settings

TOKEN_BYTES = 64 << 10
KEY_SECONDS = 30.0
END_SECONDS = 2.0  # that the thread gets to end; it is a daemon
SOON_SECONDS = 60.0  # a certificate refused within this time of its trade: the next trade waits longer
REQUEST_MODULE = "watchkeeper_sensor.cluster.key_request"


class Credentials:
    """Trades when there is no certificate, its time comes, or the collector refused it. `identity` is for all threads; `work` is one of its own."""

    def __init__(self, settings: Settings) -> None:
        self.trouble = ""  # why there is no new certificate; empty while all is well
        self._settings = settings
        self._channel = Channel(settings.collector, settings.ca, lambda: None)
        self._identity: Identity | None = None
        self._own: KeyAndRequest | None = None
        self._number = 0
        self._wanted = threading.Event()
        self._there = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="credentials", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def identity(self) -> Identity:
        """The certificate in force. Raises ChannelError where there is none yet."""
        found = self._identity
        if found is None:
            raise ChannelError(f"there is no certificate yet{f': {self.trouble}' if self.trouble else ''}")
        return found

    def wait(self, seconds: float) -> bool:
        """Whether there is a certificate, after so long at most."""
        return self._there.wait(seconds)

    def refused(self, identity: Identity) -> None:
        """The collector did not take this one: get another, unless that has happened already."""
        if self._identity is identity:
            self._wanted.set()

    def trade(self) -> float:
        """Seconds until it has to be renewed, from now. Raises ChannelError, ApartError, OSError for a token that can't be read.

        The key is the one of before until the time of renewal has come: who asks again for it is the one who has it, and no second holder of the token.
        """
        with self._settings.token.open("rb") as file:
            token = file.read(TOKEN_BYTES).decode("ascii", "replace").strip()
        own = self._own
        if own is None:
            own = self._own = msgspec.msgpack.decode(run_apart(REQUEST_MODULE, b"", seconds=KEY_SECONDS), type=KeyAndRequest)
        body = msgspec.msgpack.encode(CertificateRequest(token=token, request=own.request))
        try:
            answer = self._channel.ask("POST", "/v1/certificates", body)
        finally:
            self._channel.close()
        if answer.status != 200:
            raise ChannelError(f"the token was not traded: HTTP {answer.status}", pause_seconds=answer.retry_after)
        try:
            given = msgspec.msgpack.decode(answer.body, type=Certificate)
        except msgspec.DecodeError as error:
            raise ChannelError(f"the collector's certificate can't be read: {error}") from None
        self._number += 1
        self._identity = Identity(given.certificate, own.key, self._number)
        self._there.set()
        return given.renew_after

    def _work(self) -> None:
        failures, asked = 0, 0.0
        while not self._ending.is_set():
            try:
                renew_after = self.trade()
            except ChannelError as error:
                failures, self.trouble, asked = failures + 1, str(error), error.pause_seconds
            except ApartError as error:
                failures, self.trouble = failures + 1, str(error)
            except OSError as error:
                failures, self.trouble = failures + 1, f"the token can't be read: {error.strerror}"
            else:
                self.trouble, asked = "", 0.0
                failures = failures + 1 if self._is_refused_soon(renew_after) else 0
            if failures:
                self._ending.wait(pause_seconds(failures, random.random(), asked=asked))  # noqa: S311 (spreads the nodes)

    def _is_refused_soon(self, renew_after: float) -> bool:
        """Wait until the certificate is to be renewed; whether the collector refused it hardly made, so that trading again at once would flood it."""
        traded_at = time.monotonic()
        self._wanted.clear()
        if self._wanted.wait(renewal_seconds(renew_after, random.random())):  # noqa: S311
            return time.monotonic() - traded_at < SOON_SECONDS
        self._own = None  # its time is over
        return False

    def close(self) -> None:
        self._ending.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)
