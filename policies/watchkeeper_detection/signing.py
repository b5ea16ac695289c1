"""How what is posted to a webhook is signed, wherever it is posted from.

`X-Watchkeeper-Signature: sha256=HEX` is the HMAC-SHA-256 of the timestamp, a dot and the body. A receiver compares in constant time and refuses old timestamps.
"""

from __future__ import annotations

import hashlib
import hmac


def signed_headers(secret: bytes, body: bytes, *, moment: int) -> dict[str, str]:
    """Headers of a JSON body posted at `moment`, seconds since the epoch."""
    timestamp = str(moment)
    signature = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Watchkeeper-Timestamp": timestamp, "X-Watchkeeper-Signature": f"sha256={signature}"}
