import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper_detection.cel.patterns import required_text

QUIET = re2.Options()
QUIET.log_errors = False


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("[?&]dryRun=All(&|$)", "dryRun=All"),
        ("^AKIA[0-9A-Z]{16}$", "AKIA"),
        ("abc?d", "ab"),
        ("ab{2}c", "a"),
        ("one|other", ""),
        ("(a(b))c", ""),
        ("(?i)abc", ""),
        (r"\Aabc", ""),
    ],
)
def test_a_required_text_is_what_stands_outside_classes_groups_and_repetition(pattern, text):
    assert required_text(pattern) == text


@given(st.text("ab()[]|*+?{}^$.1,-", min_size=1, max_size=8), st.text("ab1,-{}]|", max_size=6))
def test_what_a_pattern_matches_holds_its_required_text(pattern, text):
    try:
        matches = re2.compile(pattern, QUIET).search(text)
    except re2.error:
        return
    assert not matches or required_text(pattern) in text
