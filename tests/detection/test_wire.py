"""What leaves a node comes out as it went in, and bytes of another form are refused."""

import msgspec
import pytest
from tests.support.detections import a_detection
from tests.support.matches import a_match

from watchkeeper_detection.detection import Act
from watchkeeper_detection.wire import Blind, WireError, decode_blind, decode_detection, decode_match, encode

ACT = Act(process="/bin/sh", process_id=7, ancestors=("/sbin/init",))


@pytest.mark.parametrize(
    ("sent", "decode"),
    [
        (msgspec.structs.replace(a_detection(), act=ACT), decode_detection),
        (a_match(1, step=2, path="/etc/shadow"), decode_match),
        (Blind(cause="ring_full", since=1, until=2, records={"process.exec": 3}), decode_blind),
    ],
    ids=["detection", "match", "blind"],
)
def test_what_is_sent_comes_out_as_it_went_in(sent, decode):
    assert decode(encode(sent)) == sent


@pytest.mark.parametrize(("named", "shown"), [("a\udcffb", "a\\xffb"), ("\ud800", "\\ud800"), ("é\udcfe", "é\\xfe"), ("plain", "plain")])
def test_bytes_that_are_no_text_are_escaped_and_stop_nothing(named, shown):
    act = msgspec.structs.replace(ACT, process=named, ancestors=(named, "/sbin/init"))
    found = decode_detection(encode(msgspec.structs.replace(a_detection(), message=named, act=act)))
    assert (found.message, found.act.process, found.act.ancestors) == (shown, shown, (shown, "/sbin/init"))
    assert found.places == a_detection().places


@pytest.mark.parametrize("payload", [b"", b"\x00" + encode(a_detection())[1:], encode(a_detection())[:-3], b"\x01\xc1", encode(a_match())])
def test_bytes_of_another_form_are_refused(payload):
    with pytest.raises(WireError):
        decode_detection(payload)
