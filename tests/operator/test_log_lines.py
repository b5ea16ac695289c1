"""Lines of the log: JSON, bounded, without secrets."""

from __future__ import annotations

import io
import json
import logging

import pytest

from watchkeeper_operator.log_lines import JsonLines, log_as_json

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQifQ.c2lnbmF0dXJl"  # noqa: S105 (made up)


def line_of(message, *words, exc_info=None):
    return json.loads(JsonLines().format(logging.LogRecord("part", logging.WARNING, __file__, 1, message, words, exc_info)))


@pytest.mark.parametrize("text", [f"Authorization: Bearer {TOKEN}", f"got {TOKEN}", "https://user:hunter2@host/path", "password=hunter2"])
def test_secrets_are_left_out(text):
    shown = json.dumps(line_of("answer: %s", text))
    assert TOKEN not in shown
    assert "hunter2" not in shown


def test_secrets_of_a_traceback_are_left_out_too():
    error = ValueError(f"Bearer {TOKEN}")
    shown = line_of("failed", exc_info=(ValueError, error, None))
    assert "ValueError" in shown["trace"]
    assert TOKEN not in shown["trace"]


def test_a_hostile_name_stays_on_its_line_and_short():
    text = JsonLines().format(logging.LogRecord("part", logging.INFO, __file__, 1, "%s", ("a\n{}\x1b[31m" + "x" * 100_000,), None))
    assert "\n" not in text
    assert "\x1b" not in text
    assert len(text) < 10_000


def test_libraries_log_the_same_way():
    before = logging.root.handlers[:], logging.root.level
    stream = io.StringIO()
    try:
        log_as_json("info", stream)
        logging.getLogger("some.library").warning("said %d", 1)
    finally:
        logging.root.handlers[:], level = before
        logging.root.setLevel(level)
    written = json.loads(stream.getvalue())
    assert (written["logger"], written["level"], written["message"]) == ("some.library", "warning", "said 1")
