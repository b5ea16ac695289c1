"""Logs as lines of JSON on stderr: bounded, without secrets, nothing unescaped."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from watchkeeper_detection.redact import redact

MESSAGE_CHARACTERS = 4096
TRACE_CHARACTERS = 8192


class JsonLines(logging.Formatter):
    """One object a line. Every text passes the redactor: errors of clients quote headers and URLs."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()[:MESSAGE_CHARACTERS]),
        }
        if record.exc_info:
            line["trace"] = redact(self.formatException(record.exc_info)[-TRACE_CHARACTERS:])
        return msgspec.json.encode(line).decode()


def log_as_json(level: str, stream: TextIO = sys.stderr) -> None:
    """For the whole process, libraries included."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("kopf", "aiohttp.access", "kubernetes"):  # each event and request, with bodies at the lowest level
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # warns that signals are not its own
