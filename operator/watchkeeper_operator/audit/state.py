"""What a receiver of audit events says of them, for the leader: on the bus under the topic `log-state`."""

from __future__ import annotations

import msgspec

STATE_VERSION = 1
ARRIVALS = 1024  # of one report at most


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """A canary's request as the log has it: which run, what was asked, the level it was logged at, how late it came."""

    nonce: str
    verb: str
    uri: str
    level: str
    delay_seconds: float


class LogState(msgspec.Struct, frozen=True, kw_only=True):
    """One receiver's view of one log source. Counts are since the receiver's start; times are nanoseconds since the epoch, 0: never.

    source         name of the LogSource: of the client certificate, or of the file
    replica        who received; counts of one replica only grow until it starts anew
    events         requests judged; `per_second` over the last five minutes
    lag_median_ms, lag_p99_ms   from the logging of a batch's oldest event to its judging, over the last five minutes
    last_event_at  when the newest event was logged
    truncated      events without their body
    rejected       records that could not be read
    arrivals       the latest canaries
    """

    source: str
    replica: str
    started_at: int
    reported_at: int
    events: int = 0
    per_second: float = 0.0
    lag_median_ms: int = 0
    lag_p99_ms: int = 0
    last_event_at: int = 0
    truncated: int = 0
    rejected: int = 0
    arrivals: tuple[Arrival, ...] = ()
    version: int = STATE_VERSION


_decode = msgspec.msgpack.Decoder(LogState).decode


def encode_state(state: LogState) -> bytes:
    return msgspec.msgpack.encode(state)


def decode_state(payload: bytes) -> LogState | None:
    """None for bytes of another version, or damaged ones: a state is soon followed by the next."""
    try:
        state = _decode(payload)
    except msgspec.DecodeError:
        return None
    return state if state.version == STATE_VERSION else None
