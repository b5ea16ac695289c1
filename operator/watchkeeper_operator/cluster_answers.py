"""Answers of the API server, decoded: pages, lines of watches, and how much of either is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import msgspec

from watchkeeper_operator.cluster_errors import Gone, Malformed, Status, Unavailable, quoted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from watchkeeper_operator.kinds import Resource

LINE_BYTES = 16 * 1024 * 1024  # of one change; the API server's objects are smaller by far
ANSWER_BYTES = 256 * 1024 * 1024  # of one page

T = TypeVar("T")
ChangeKind = Literal["added", "modified", "deleted", "bookmark", "listed"]
_KINDS: dict[str, ChangeKind] = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted", "BOOKMARK": "bookmark"}


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One line of a watch. A bookmark has no object; `listed` is of `watches.Watch`: all that is there has been told."""

    kind: ChangeKind
    object: T | None
    resource_version: str
    uid: str = ""


class Tag(msgspec.Struct, frozen=True, rename="camel"):
    """What a watch needs of any object."""

    resource_version: str = ""
    uid: str = ""


class Tagged(msgspec.Struct, frozen=True):
    metadata: Tag = Tag()


class PageTag(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct, frozen=True):
    metadata: PageTag
    items: list[msgspec.Raw] | None = None  # null where there is none, from some API servers


class Line(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _Token(msgspec.Struct, frozen=True):
    token: str


class _Tokens(msgspec.Struct, frozen=True):
    status: _Token


TOKENS = msgspec.json.Decoder(_Tokens)
PAGES = msgspec.json.Decoder(Page)
LINES = msgspec.json.Decoder(Line)
TAGS = msgspec.json.Decoder(Tagged)
_status = msgspec.json.Decoder(Status)


def decoded(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw, resource: Resource) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"{resource.plural}: {quoted(str(error))}") from None


def changed(line: Line, decoder: msgspec.json.Decoder[T], resource: Resource) -> Change[T]:
    if line.type == "ERROR":
        status = decoded(_status, line.object, resource)
        what = f"watch of {resource.plural}: {status.code} {quoted(status.message)}"
        raise Gone(what) if status.code == 410 else Unavailable(what)
    if (kind := _KINDS.get(line.type)) is None:
        raise Malformed(f"watch of {resource.plural}: a change of type {quoted(line.type)}")
    tag = decoded(TAGS, line.object, resource).metadata
    return Change(kind, None if kind == "bookmark" else decoded(decoder, line.object, resource), tag.resource_version, tag.uid)


async def lines(content: aiohttp.StreamReader, resource: Resource) -> AsyncIterator[bytes]:
    """Whole lines; what is cut off at the end was never said."""
    waiting = bytearray()
    async for chunk in content.iter_any():
        waiting += chunk
        if b"\n" in chunk:
            *whole, rest = waiting.split(b"\n")
            waiting = rest
            for line in whole:
                yield bytes(line)
        if len(waiting) > LINE_BYTES:
            raise Malformed(f"watch of {resource.plural}: a line of more than {LINE_BYTES} bytes")


async def read_all(content: aiohttp.StreamReader, limit: int, path: str) -> bytes:
    whole = bytearray()
    async for chunk in content.iter_any():
        whole += chunk
        if len(whole) > limit:
            raise Malformed(f"{path}: an answer of more than {limit} bytes")
    return bytes(whole)
