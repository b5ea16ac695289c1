"""Nonces of canary runs: any replica that holds the key knows one of ours, and nobody else can make one.

What a rule may overlook is decided by this alone: the account, a refused request, and a nonce that is still young.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "watchkeeper-canary/"
"""What the user agent of a canary's request begins with; the nonce follows."""
VALID_SECONDS = 600
RANDOM_BYTES = 9
_TAG_BYTES = 16
_BYTES = 8 + RANDOM_BYTES + _TAG_BYTES
_TEXT = (_BYTES + 2) // 3 * 4


def key_from(secret: str) -> bytes:
    """A key for nonces alone, from a secret that all replicas hold (PEM of the sensors' authority's key)."""
    return hmac.digest(secret.encode(), b"watchkeeper canary nonces", hashlib.sha256)


def _tag(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, b"watchkeeper canary " + content, hashlib.sha256)[:_TAG_BYTES]


def nonce(key: bytes, now: int, random: bytes) -> str:
    """A nonce made at `now` (seconds since the epoch) of RANDOM_BYTES random ones."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"{len(random)} random bytes, not {RANDOM_BYTES}")
    content = now.to_bytes(8, "big") + random
    return base64.urlsafe_b64encode(content + _tag(key, content)).decode()


def is_ours(keys: Sequence[bytes], text: str, now: float) -> bool:
    """Whether one of the keys made it, at most VALID_SECONDS before `now`: the time of the request, by the API server's clock."""
    if len(text) != _TEXT or not text.isascii():
        return False
    try:
        whole = base64.b64decode(text, altchars=b"-_", validate=True)
    except ValueError:
        return False
    content, tag = whole[:-_TAG_BYTES], whole[-_TAG_BYTES:]
    made = int.from_bytes(content[:8], "big")
    return -VALID_SECONDS <= made - now <= VALID_SECONDS and any(hmac.compare_digest(tag, _tag(key, content)) for key in keys)
