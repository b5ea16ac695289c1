"""Detections to a webhook: JSON, signed, one by one and in order, until the receiver says that it has them.

Headers: `X-Watchkeeper-Timestamp` (seconds since the epoch) and `X-Watchkeeper-Signature: sha256=HEX`, the HMAC-SHA-256 of timestamp, a dot and the
body. A receiver compares in constant time and refuses old timestamps. One detection may come more than once: `id` tells.
"""

from __future__ import annotations

import http.client
import os
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Self

import msgspec

from watchkeeper_cli.ending import USAGE, CommandError
from watchkeeper_cli.output.json_lines import as_object
from watchkeeper_detection.logs.provider import time_text
from watchkeeper_detection.signing import signed_headers
from watchkeeper_detection.wire import WireError, decode_detection
from watchkeeper_sensor.spool.delivery import NotTakenError
from watchkeeper_sensor.spool.losses import loss_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchkeeper_sensor.spool.segments import Entry

SECRET = "WATCHKEEPER_WEBHOOK_SECRET"  # noqa: S105 (the variable's name)
TIMEOUT_SECONDS = 10
PASSING = frozenset({408, 425, 429})  # of 4xx: come again later
LONGEST_PAUSE_SECONDS = 3600.0  # that a receiver may ask for


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET without its body, and count as taken."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Webhook:
    """A receiver of detections."""

    name = "webhook"
    kinds = frozenset({"detection"})  # and what of them the spool lost, which is always told

    def __init__(self, url: str, secret: bytes) -> None:
        if not url.startswith(("https://", "http://")):
            raise CommandError("--notify takes an http or https URL", USAGE)
        self._url = url
        self._secret = secret
        self._opener = urllib.request.build_opener(_NoRedirect)

    @classmethod
    def from_environment(cls, url: str) -> Self:
        secret = os.environ.get(SECRET, "")
        if not secret:
            raise CommandError(f"--notify signs what it posts: set {SECRET} to a secret that the receiver knows", USAGE)
        return cls(url, secret.encode())

    def take(self, entries: Sequence[Entry]) -> int:
        self._post(_body(entries[0]))
        return 1

    def _post(self, body: bytes) -> None:
        try:
            with self._opener.open(self._request(body), timeout=TIMEOUT_SECONDS):
                return
        except urllib.error.HTTPError as answer:
            answer.close()
            is_refusal = answer.code < 500 and answer.code not in PASSING
            raise NotTakenError(f"it answers HTTP {answer.code}", is_refusal=is_refusal, pause_seconds=_retry_after(answer)) from None
        except urllib.error.URLError as error:
            raise NotTakenError(str(error.reason)) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise NotTakenError(str(error) or type(error).__name__) from None

    def _request(self, body: bytes) -> urllib.request.Request:
        headers = signed_headers(self._secret, body, moment=int(time.time()))
        return urllib.request.Request(self._url, body, headers)  # noqa: S310 (the scheme was checked)

    def close(self) -> None:
        self._opener.close()


def _body(entry: Entry) -> bytes:
    """What is posted for an entry: a detection, or what of them was lost on the way."""
    loss = loss_of(entry.payload) if entry.kind == "loss" else None
    if loss is not None:
        stated = {"kind": "sensor.lost", "cause": loss.cause, "lost": loss.counts, "since": time_text(loss.since), "until": time_text(loss.until)}
        return msgspec.json.encode(stated)
    try:
        return msgspec.json.encode(as_object(decode_detection(entry.payload)))
    except WireError as error:
        raise NotTakenError(f"the entry can't be read: {error}", is_refusal=True) from None


def _retry_after(answer: urllib.error.HTTPError) -> float:
    """Seconds that the receiver asks to wait; a date is not read."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_PAUSE_SECONDS) if asked.isascii() and asked.isdecimal() else 0.0
