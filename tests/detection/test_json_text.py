"""JSON as logs hold it."""

import math

import pytest

from watchkeeper_detection.json_text import NotJson, decode_field, decode_json

TAKEN = {b'{"a": "\\ud800"}': {"a": "\ud800"}, b"[1e999]": [math.inf], b'{"a": 1, "a": 2}': {"a": 2}, b"[" + b"9" * 5000 + b"]": [math.inf], b" 7 ": 7}
REFUSED = {
    b"": "not JSON",
    b"{": "not JSON",
    b"{} {}": "not JSON: Extra data",
    b"NaN": "not JSON: NaN",
    b'"\xff"': "not UTF-8 at its byte 1",
    b'"\x01"': "not JSON",
    b"[" * 100_000: "nested too deeply",
    b"\xef\xbb\xbf{}": "not JSON",
}


@pytest.mark.parametrize("data", TAKEN)
def test_what_json_allows_is_taken(data):
    assert decode_json(data) == TAKEN[data]


@pytest.mark.parametrize("data", REFUSED, ids=lambda data: repr(data[:10]))
def test_what_is_no_json_is_refused_with_a_reason(data):
    with pytest.raises(NotJson, match=REFUSED[data]):
        decode_json(data)


def test_a_field_passed_over_unread_is_read_as_far_as_it_can_be():
    assert decode_field(b'{"a": "\xff", "b": 1e999}') == {"a": "\ufffd", "b": math.inf}
    assert decode_field(b"[" * 100_000) is None
