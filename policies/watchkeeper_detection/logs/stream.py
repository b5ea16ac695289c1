"""One stream's bytes → its events, in constant memory."""

from __future__ import annotations

import codecs
from itertools import chain
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.logs.provider import Provider, Reads, RecordPlace, RecordRejected
from watchkeeper_detection.logs.providers import PROVIDERS
from watchkeeper_detection.logs.record_reader import RecordReader
from watchkeeper_detection.logs.splitter import Splitter

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from watchkeeper_detection.event import Event

PARQUET = b"PAR1"
PARQUET_BYTES = 1 << 30  # a Parquet file is read as a whole: its index stands at its end
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what Windows writes; offsets are then those of the text as UTF-8


def provider_named(source: str) -> Provider:
    """The provider that a user means by `source`; raises ValueError."""
    for provider in PROVIDERS:
        if source == provider.source or source in provider.aliases:
            return provider
    raise ValueError(f"no log type is called {source!r}; there are {', '.join(provider.source for provider in PROVIDERS)}")


class StreamReader:
    """Reader of one stream: `feed` it chunks of bytes of any size, then `close` it; both must be iterated to their end.

    stream  name of the file or object, as events give it
    source  log type, where the user said so: records that nobody recognises are tried as that. Raises ValueError
    reads   what the rules read; None: everything
    number  of the first line, and `offset` of the first byte, where the stream is read from its middle
    """

    def __init__(self, stream: str, *, source: str | None, reads: Reads, number: int = 1, offset: int = 0) -> None:
        self._stream = stream = stream.encode("utf-8", "replace").decode()  # a file name may be no text at all
        self._reads = reads
        self._splitter = Splitter(number=number - 1, offset=offset)
        self._records = RecordReader(stream, provider_named(source) if source is not None else None, reads, self._expect)
        self._head: bytes | None = b""
        self._parquet: list[bytes] | None = None
        self._parquet_bytes = 0
        self._transcoder: codecs.IncrementalDecoder | None = None

    def feed(self, chunk: bytes) -> Iterator[Event]:
        return chain.from_iterable(self._batches(chunk, final=False))

    def close(self) -> Iterator[Event]:
        """What was still waiting: the last line need not end in a newline."""
        return chain.from_iterable(self._batches(b"", final=True))

    def _expect(self, decoder: msgspec.json.Decoder[list[Any]]) -> None:
        self._splitter.decoder = decoder

    def _batches(self, chunk: bytes, *, final: bool) -> Iterator[list[Event]]:
        if self._head is not None:
            self._head += chunk
            if len(self._head) < len(PARQUET) and not final:
                return
            chunk = self._begin(self._head)
        if self._parquet is not None:
            yield from self._parquet_batches(self._parquet, chunk, final=final)
            return
        if self._transcoder is not None:
            chunk = self._transcoder.decode(chunk, final).encode("utf-8", "replace")
        events = self._records.events
        for split in self._splitter.feed(chunk):
            yield events(split)
        for split in self._splitter.close() if final else ():
            yield events(split)

    def _begin(self, head: bytes) -> bytes:
        self._head = None
        if head.startswith(PARQUET):
            self._parquet = []
        elif head.startswith(UTF_16):
            self._transcoder = codecs.getincrementaldecoder("utf-16")("replace")
        return head

    def _parquet_batches(self, parts: list[bytes], chunk: bytes, *, final: bool) -> Iterator[list[Event]]:
        self._parquet_bytes += len(chunk)
        if self._parquet_bytes <= PARQUET_BYTES:
            parts.append(chunk)
        else:
            parts.clear()
        if not final:
            return
        place = RecordPlace(self._stream, 1, 0)
        if not parts:
            yield [self._records.rejected(place, f"a Parquet file of more than {PARQUET_BYTES} bytes", PARQUET)]
            return
        read = next(provider.parquet for provider in PROVIDERS if provider.parquet is not None)
        try:
            for event in read(b"".join(parts), self._stream, self._reads):
                yield [event]
        except RecordRejected as fault:
            yield [self._records.rejected(place, fault.reason, PARQUET)]
