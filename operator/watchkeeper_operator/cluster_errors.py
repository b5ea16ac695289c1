"""What an answer of the API server means to callers. Failures are mapped here alone; what is quoted of a body is short and escaped."""

from __future__ import annotations

import msgspec

QUOTED = 400  # characters of an answer that an error repeats: bodies may hold what was refused
NOT_TYPED = "failed to create typed patch object"  # of an applied object with an unknown field: the API server says 500
RETRY_SECONDS = 1.0  # where the API server does not say


class ClusterError(Exception):
    """The API server did not do what was asked; the text is for people and holds no credentials."""


class NotFound(ClusterError):  # noqa: N818 (the word of the API)
    """No such object, or the kind is not served."""


class Conflict(ClusterError):  # noqa: N818 (the word of the API)
    """The object is there already, or is no longer as the caller read it."""


class Forbidden(ClusterError):  # noqa: N818 (the word of the API)
    """RBAC or an admission policy refuses it, or the API server does not know us."""


class Unauthenticated(Forbidden):
    """The API server does not know us."""


class Gone(ClusterError):  # noqa: N818 (the word of the API)
    """The resourceVersion or the page is too old: list anew."""


class Invalid(ClusterError):  # noqa: N818 (the word of the API)
    """The object is refused for what it says."""


class Malformed(ClusterError):  # noqa: N818 (as the others)
    """An answer that is not of the shape that the caller gave."""


class Unavailable(ClusterError):  # noqa: N818 (the word of the API)
    """Not now; again after `delay` seconds. `heard`: the API server or its host answered, though with a refusal."""

    def __init__(self, message: str, *, delay: float = RETRY_SECONDS, heard: bool = True) -> None:
        super().__init__(message)
        self.delay = delay
        self.heard = heard


class Status(msgspec.Struct, frozen=True):
    """A `Status` object: how the API server says that something failed."""

    code: int = 0
    reason: str = ""
    message: str = ""


def error_of(what: str, code: int, body: bytes, retry_after: str = "") -> ClusterError:
    """The error of an HTTP answer. `what`: verb and path that were asked."""
    try:
        status = msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError):  # not from an API server: a proxy's page, or cut off
        status = Status(code, "", body[:QUOTED].decode("ascii", "replace"))
    said = f"{what}: {code} {quoted(status.message or status.reason)}"
    match code:
        case 404:
            return NotFound(said)
        case 409:
            return Conflict(said)
        case 401:
            return Unauthenticated(said)
        case 403:
            return Forbidden(said)
        case 410:
            return Gone(said)
        case 400 | 405 | 413 | 415 | 422:
            return Invalid(said)
        case 500 if status.message.startswith(NOT_TYPED):
            return Invalid(said)
        case _:
            return Unavailable(said, delay=float(retry_after) if retry_after.isdecimal() else RETRY_SECONDS)


def quoted(text: str) -> str:
    """Text of a stranger, fit for one line of a log."""
    line = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text[:QUOTED])
    return line + "…" if len(text) > QUOTED else line
