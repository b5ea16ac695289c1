import pytest

from watchkeeper_cli.output.text import clock, plural, shown


@pytest.mark.parametrize(
    ("untrusted", "safe"),
    {
        "colours and cursor movements are escaped": ("\x1b[31mred\x1b[2J", "\\x1b[31mred\\x1b[2J"),
        "a line stays a line": ("first\nsecond\r\tend", "first\\nsecond\\r\\tend"),
        "text can't be reordered": ("user\u202egpj.exe", "user\\u202egpj.exe"),
        "invisible letters show": ("ad\u200bmin", "ad\\u200bmin"),
        "8-bit control characters are control characters": ("\x9b31m", "\\x9b31m"),
        "half of a surrogate pair can be printed": ("\ud800", "\\ud800"),
        "tag characters beyond the first plane show": ("\U000e0041", "\\U000e0041"),
        "fillers and joiners that show as nothing are told": ("ro\u3164ot\u2800\ufe0f", "ro\\u3164ot\\u2800\\ufe0f"),
        "a tower of marks covers no other line": ("a" + "\u0301" * 5, "a\u0301\u0301\u0301\\u0301\\u0301"),
        "letters of all scripts stay": ("Zoë 東京 №5", "Zoë 東京 №5"),
    }.values(),
)
def test_untrusted_text_is_shown_on_one_line_as_it_is(untrusted, safe):
    assert shown(untrusted) == safe


def test_long_text_is_cut():
    assert len(shown("x" * 10_000, 50)) == 50


def test_clock_is_utc_to_the_second():
    assert clock(1_773_282_600_123_456_789) == "2026-03-12 02:30:00"
    assert clock(0) == "no time"


def test_counts_are_read_as_words():
    assert [plural(1, "event"), plural(12_345, "event"), plural(0, "match", "matches")] == ["1 event", "12,345 events", "0 matches"]
