"""Where detections go while the run lasts: one writer per `--output`."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchkeeper_detection.detection import Detection

SARIF_RESULTS = 25_000  # what code hosts take of one run


class Writer(Protocol):
    """Takes detections one by one; `flush` shows what can be shown while the run lasts, `finish` prints what had to wait."""

    def add(self, detection: Detection) -> None: ...

    def flush(self) -> None: ...

    def finish(self) -> None: ...


class LineWriter:
    """A JSON object per detection, as it comes. On a terminal everything but ASCII is escaped: a name may hold more than letters."""

    def __init__(self, as_object: Callable[[Detection], Any]) -> None:
        self._as_object = as_object
        self._encoder = msgspec.json.Encoder()
        self._ascii = sys.stdout.isatty()

    def add(self, detection: Detection) -> None:
        row = self._as_object(detection)
        sys.stdout.buffer.write(self._encoded(row) + b"\n")

    def _encoded(self, row: Any) -> bytes:
        if not self._ascii:
            try:
                return self._encoder.encode(row)
            except UnicodeEncodeError:  # half of a surrogate pair, as some log had it
                pass
        return json.dumps(msgspec.to_builtins(row), separators=(",", ":")).encode()

    def flush(self) -> None:
        sys.stdout.buffer.flush()

    def finish(self) -> None:
        self.flush()


class DocumentWriter:
    """All detections in one JSON document, at the end."""

    def __init__(self, as_document: Callable[[list[Detection]], Any], most: int = SARIF_RESULTS) -> None:
        self._as_document = as_document
        self._most = most
        self._detections: list[Detection] = []
        self._left_out = 0

    def add(self, detection: Detection) -> None:
        if len(self._detections) < self._most:
            self._detections.append(detection)
        else:
            self._left_out += 1

    def flush(self) -> None:
        """Nothing: the document is written at once."""

    def finish(self) -> None:
        print(json.dumps(msgspec.to_builtins(self._as_document(self._detections)), indent=1))
        if self._left_out:
            print(f"watchkeeper: {self._left_out} detections left out of the document, which holds {self._most}", file=sys.stderr)


@cache
def product_version() -> str:
    from importlib.metadata import version  # 30 ms that only some outputs need

    return version("watchkeeper")


def writer_for(output: str) -> Writer:
    if output == "json":
        from watchkeeper_cli.output.json_lines import as_object

        return LineWriter(as_object)
    if output == "ocsf":
        from watchkeeper_detection.ocsf import detection_finding

        return LineWriter(lambda detection: detection_finding(detection, product_version()))
    if output == "sarif":
        from watchkeeper_detection.sarif import sarif_log

        return DocumentWriter(lambda detections: sarif_log(detections, product_version()))
    from watchkeeper_cli.output.table import Table

    return Table()
