"""Times and ids that all readers share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper_detection.logs.provider import time_ns, time_text

SECOND = 10**9
NOON = 1_773_316_800 * SECOND  # 12 March 2026, 12:00 UTC
TIMES = {
    "2026-03-12T12:00:00Z": NOON,
    "2026-03-12T12:00:00.5Z": NOON + SECOND // 2,
    "2026-03-12T12:00:00.123456Z": NOON + 123_456_000,
    "2026-03-12T12:00:00.123456789Z": NOON + 123_456_789,
    "2026-03-12T12:00:00.1234567Z": NOON + 123_456_700,
    "2026-03-12T12:00:00.123456789123Z": NOON + 123_456_789,
    "2026-03-12T14:00:00.123456789+02:00": NOON + 123_456_789,
    "2026-03-12T12:00:00": NOON,
    "2026-03-12 12:00:00": NOON,
    "1969-12-31T23:59:59Z": -SECOND,
}
NO_TIMES = ("", "soon", "2026-13-01T00:00:00Z", "1773316800", "2026-03-12T12:00:00.12345x789Z", None, "9" * 100)


@pytest.mark.parametrize("text", TIMES)
def test_times_are_read_to_the_nanosecond(text):
    assert time_ns(text) == TIMES[text]


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time_is_zero(text):
    assert time_ns(text) == 0


@given(st.integers(1, 253_402_300_799 * SECOND))
def test_times_are_written_as_they_are_read(moment):
    assert time_ns(time_text(moment)) == moment


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_zero(text):
    assert isinstance(time_ns(text), int)


def test_no_time_has_no_text():
    assert time_text(0) is None
    assert time_text(-1) is None
    assert time_text(10**30) is None
