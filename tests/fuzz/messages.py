"""Any bytes as an answer of a name server: what can be read of it is told, within bounds, fit to be written."""

from __future__ import annotations

import struct

from watchkeeper_sensor.dns_message import NAME_BYTES, RECORDS, TEXT_BYTES, read_message

NAME = b"\x03www\x07example\x03com\x00"
BACK = b"\xc0\x0c"
SPELLED = 4  # letters that a byte of a name may become


def _message(*records: tuple[int, bytes], flags: int = 0x8180) -> bytes:
    body = b"".join(BACK + struct.pack(">HHIH", kind, 1, 60, len(content)) + content for kind, content in records)
    return struct.pack(">HHHHHH", 7, flags, 1, len(records), 0, 0) + NAME + struct.pack(">HH", 1, 1) + body


SEEDS = (
    _message(flags=0x0100),
    _message((1, b"\xc0\x00\x02\x01"), (28, bytes(16)), (5, b"\x03cdn" + BACK)),
    _message((16, b"\x05hello\xff" + b"x" * 255), (41, b""), flags=0x8183),
    _message(*((1, bytes(4)),) * 60),
    struct.pack(">HHHHHH", 7, 0x8180, 1, 1, 0, 0) + BACK + b"\0\1\0\1" + b"\xc0\x0e\xc0\x0c",
)


def one_input(data: bytes) -> None:
    """One input of a fuzzer; raises AssertionError when what comes out is not as promised."""
    found = read_message(data)
    assert len(found.addresses) <= RECORDS
    assert all(len(name) <= NAME_BYTES * SPELLED for name in (found.question or "", *found.aliases)), "names are bounded"
    assert sum(map(len, found.texts)) <= TEXT_BYTES * SPELLED, "texts are bounded"
    "\n".join((found.question or "", *found.aliases, *found.texts)).encode()
