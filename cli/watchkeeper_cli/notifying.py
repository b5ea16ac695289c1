"""Detections to a webhook: JSON, signed, from a thread of its own, so that a slow receiver never holds up the sensor.

Headers: `X-Watchkeeper-Timestamp` (seconds since the epoch) and `X-Watchkeeper-Signature: sha256=HEX`, the HMAC-SHA-256 of timestamp, a dot and the
body. A receiver compares in constant time and refuses old timestamps.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import queue
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Self

import msgspec

from watchkeeper_cli.ending import USAGE, CommandError
from watchkeeper_cli.output.json_lines import as_object

if TYPE_CHECKING:
    from watchkeeper_detection.detection import Detection

SECRET = "WATCHKEEPER_WEBHOOK_SECRET"  # noqa: S105 (the variable's name)
WAITING = 1000  # detections; what comes while so many wait is counted and not posted
TRIES = 4
TIMEOUT_SECONDS = 10
FIRST_PAUSE_SECONDS = 1.0
CLOSING_SECONDS = 5.0


class Webhook:
    """Posts detections one by one, in order."""

    def __init__(self, url: str, secret: bytes) -> None:
        if not url.startswith(("https://", "http://")):
            raise CommandError("--notify takes an http or https URL", USAGE)
        self._url = url
        self._secret = secret
        self._waiting: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self._closing = threading.Event()
        self.dropped = 0
        self.failed = 0
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        self._thread.start()

    @classmethod
    def from_environment(cls, url: str) -> Self:
        secret = os.environ.get(SECRET, "")
        if not secret:
            raise CommandError(f"--notify signs what it posts: set {SECRET} to a secret that the receiver knows", USAGE)
        return cls(url, secret.encode())

    def post(self, detection: Detection) -> None:
        try:
            self._waiting.put_nowait(msgspec.json.encode(as_object(detection)))
        except queue.Full:
            self.dropped += 1

    def _work(self) -> None:
        while (body := self._waiting.get()) is not None:
            self._deliver(body)

    def _deliver(self, body: bytes) -> None:
        pause = FIRST_PAUSE_SECONDS
        for _ in range(TRIES):
            try:
                with urllib.request.urlopen(self._request(body), timeout=TIMEOUT_SECONDS):  # noqa: S310 (the scheme was checked)
                    return
            except (urllib.error.URLError, OSError, ValueError):
                if self._closing.wait(pause):
                    break
                pause *= 2
        self.failed += 1

    def _request(self, body: bytes) -> urllib.request.Request:
        moment = str(int(time.time()))
        signature = hmac.new(self._secret, moment.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Watchkeeper-Timestamp": moment, "X-Watchkeeper-Signature": f"sha256={signature}"}
        return urllib.request.Request(self._url, body, headers)  # noqa: S310 (the scheme was checked)

    def close(self) -> None:
        """Post what waits, for a short while; say what was not posted."""
        try:
            self._waiting.put(None, timeout=CLOSING_SECONDS)
        except queue.Full:
            self.dropped += self._waiting.qsize()
        self._thread.join(CLOSING_SECONDS)
        self._closing.set()
        if self.dropped or self.failed:
            print(f"watchkeeper: {self.dropped + self.failed} detections were not posted to the webhook", file=sys.stderr)
