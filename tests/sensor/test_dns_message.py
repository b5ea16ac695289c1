"""Messages of name servers, honest and hostile."""

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper_sensor.dns_message import NAME_BYTES, TEXT_BYTES, read_message

A, CNAME, TXT, AAAA, OPT = 1, 5, 16, 28, 41
ANSWER, CUT = 0x8180, 0x0200


def name(text):
    return b"".join(bytes([len(label)]) + label for label in text.encode().split(b".") if label) + b"\0"


def header(flags=0x0100, questions=1, answers=0, authorities=0, additional=0):
    return struct.pack(">HHHHHH", 7, flags, questions, answers, authorities, additional)


def question(text, kind=A):
    return name(text) + struct.pack(">HH", kind, 1)


def record(owner, kind, content, time_to_live=60):
    return owner + struct.pack(">HHIH", kind, 1, time_to_live, len(content)) + content


BACK = b"\xc0\x0c"  # the name at offset 12: the question's


def test_a_question_tells_name_and_type_in_lower_case():
    found = read_message(header() + question("Www.Example.COM", AAAA))
    assert (found.question, found.type, found.code, found.is_response, found.complete) == ("www.example.com", "AAAA", None, False, True)
    assert (found.addresses, found.time_to_live) == ([], None)


def test_an_answer_tells_addresses_aliases_texts_and_the_smallest_time_to_live():
    message = (
        header(ANSWER, answers=5)
        + question("a.example.com")
        + record(BACK, CNAME, name("b.example.net"), 300)
        + record(name("b.example.net"), A, bytes([192, 0, 2, 1]), 20)
        + record(name("b.example.net"), AAAA, bytes.fromhex("20010db8000000000000000000000001"), 40)
        + record(name("b.example.net"), AAAA, bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 9]), 40)
        + record(name("b.example.net"), TXT, b"\x03one\x04 two")
    )
    found = read_message(message)
    assert (found.question, found.code, found.complete) == ("a.example.com", "NOERROR", True)
    assert found.aliases == ["b.example.net"]
    assert found.addresses == ["192.0.2.1", "2001:db8::1", "192.0.2.9"]
    assert found.texts == ["one two"]
    assert found.time_to_live == 20


def test_records_of_other_sections_are_no_answers():
    message = header(ANSWER, authorities=1, additional=1) + question("x.org") + record(BACK, A, bytes(4)) + record(BACK, A, bytes(4))
    found = read_message(message)
    assert (found.addresses, found.time_to_live, found.complete) == ([], None, True)


@pytest.mark.parametrize(
    ("flags", "extended", "code"),
    [(ANSWER | 3, None, "NXDOMAIN"), (ANSWER | 5, None, "REFUSED"), (ANSWER, 1, "BADVERS"), (ANSWER | 7, 1, "BADCOOKIE"), (ANSWER | 15, None, "RCODE15")],
)
def test_a_response_code_is_told_by_name(flags, extended, code):
    additional = record(b"\0", OPT, b"", extended << 24) if extended else b""
    assert read_message(header(flags, additional=1 if extended else 0) + question("x.org") + additional).code == code


def test_a_message_that_the_server_cut_says_so():
    assert read_message(header(ANSWER | CUT) + question("x.org")).cut is True


def test_an_unknown_type_is_told_by_its_number():
    assert read_message(header() + question("x.org", 65280)).type == "TYPE65280"


def test_the_root_and_names_that_are_no_text_are_spelled_as_in_zone_files():
    assert read_message(header() + question("")).question == "."
    odd = b"\x05a.b\x1b\xff\x03c\\d\x00" + struct.pack(">HH", A, 1)
    assert read_message(header() + odd).question == r"a\.b\027\255.c\\d"


HOSTILE = {
    "nothing": b"",
    "half a header": header()[:7],
    "a name that points at itself": header() + b"\xc0\x0c" + bytes(4),
    "two names that point at each other": header() + b"\xc0\x0e\xc0\x0c" + bytes(4),
    "a name that points forwards": header() + b"\xc0\x20" + bytes(64),
    "a name that points past the end": header() + b"\xff\xff" + bytes(4),
    "a label of a reserved form": header() + b"\x80abc" + bytes(8),
    "a label longer than the message": header() + b"\x3fabc",
    "a name longer than names can be": header() + (b"\x3f" + b"a" * 63) * 5 + b"\0" + bytes(4),
    "records that are not there": header(ANSWER, answers=65535) + question("x.org"),
    "a record longer than the message": header(ANSWER, answers=1) + question("x.org") + BACK + struct.pack(">HHIH", A, 1, 1, 9) + bytes(4),
    "an alias that points outside": header(ANSWER, answers=1) + question("x.org") + record(BACK, CNAME, b"\xc0\xff"),
}


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_message_that_makes_no_sense_is_incomplete(message):
    assert read_message(message).complete is False


def test_what_stood_before_the_cut_is_kept():
    message = header(ANSWER, answers=2) + question("x.org") + record(BACK, A, bytes([192, 0, 2, 1])) + record(BACK, A, bytes([192, 0, 2, 2]))
    found = read_message(message[:-3])
    assert (found.question, found.addresses, found.complete) == ("x.org", ["192.0.2.1"], False)


def test_addresses_of_a_wrong_length_and_texts_that_lie_about_theirs_do_no_harm():
    message = header(ANSWER, answers=3) + question("x.org") + record(BACK, A, b"\1") + record(BACK, AAAA, bytes(4)) + record(BACK, TXT, b"\xffshort")
    found = read_message(message)
    assert (found.addresses, found.texts, found.complete) == ([], ["short"], True)


def test_a_chain_of_pointers_takes_no_time():
    chain = b"".join(struct.pack(">H", 0xC000 | at) for at in range(12, 12 + 2 * 4000, 2))
    message = header(ANSWER, questions=0, answers=4096) + b"\0\0" + chain
    began = time.perf_counter()
    read_message(message * 3)
    assert time.perf_counter() - began < 0.5


@given(st.binary(max_size=1100))
def test_any_bytes_are_read_within_bounds(message):
    found = read_message(message)
    assert found.question is None or len(found.question) <= 4 * NAME_BYTES
    assert sum(map(len, found.texts)) <= TEXT_BYTES + 65535
    assert all("\n" not in one and "\x1b" not in one for one in [found.question or "", *found.aliases])


@given(st.binary(max_size=300), st.integers(0, 0xFFFF), st.integers(0, 3), st.integers(0, 400))
def test_any_bytes_behind_a_plausible_header_are_read_within_bounds(tail, flags, questions, answers):
    found = read_message(header(flags, questions, answers) + tail)
    assert len(found.addresses) + len(found.aliases) + len(found.texts) <= 256
    assert found.is_response is bool(flags & 0x8000)


label = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20)


@given(st.lists(label, min_size=1, max_size=8).map(".".join), st.lists(st.ip_addresses(v=4), max_size=20))
def test_what_was_written_is_what_is_read(asked, addresses):
    message = header(ANSWER, answers=len(addresses)) + question(asked) + b"".join(record(BACK, A, one.packed) for one in addresses)
    found = read_message(message)
    assert (found.question, found.addresses, found.complete) == (asked, [str(one) for one in addresses], True)
