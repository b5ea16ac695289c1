"""Reads DNS messages that whoever sent them may have made up: bounded, and never past the end.

What can be read is kept; `complete` says whether all of it could. Source: RFC 1035 (format), 6891 (extended response codes), 3596 (AAAA).
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field

NAME_BYTES = 255  # of a name as it travels; longer ones are no names
POINTERS = 64  # of compression in one name
RECORDS = 256  # of an answer that are read
TEXT_BYTES = 4096  # of all TXT records of a message

_TYPE_WORDS = """
    1 A 2 NS 5 CNAME 6 SOA 10 NULL 11 WKS 12 PTR 13 HINFO 15 MX 16 TXT 17 RP 18 AFSDB 25 KEY 28 AAAA 29 LOC 33 SRV 35 NAPTR 37 CERT 39 DNAME 41 OPT
    43 DS 44 SSHFP 46 RRSIG 47 NSEC 48 DNSKEY 50 NSEC3 52 TLSA 64 SVCB 65 HTTPS 99 SPF 249 TKEY 250 TSIG 251 IXFR 252 AXFR 255 ANY 256 URI 257 CAA
    """.split()  # noqa: SIM905 (a table is read at a glance)
TYPES = dict(zip(map(int, _TYPE_WORDS[::2]), _TYPE_WORDS[1::2], strict=True))
"""Source: IANA, DNS parameters. Others are told as `TYPE` and the number (RFC 3597)."""
CODES = (
    *("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI"),
    *("RCODE12", "RCODE13", "RCODE14", "RCODE15", "BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE"),
)
A, CNAME, TXT, AAAA, OPT = 1, 5, 16, 28, 41
RESPONSE, CUT = 0x8000, 0x0200

_header = struct.Struct(">HHHHHH")
_question = struct.Struct(">HH")
_record = struct.Struct(">HHIH")


class _UnreadableError(Exception):
    """The message ends, or makes no sense, here."""


@dataclass(slots=True)
class DnsMessage:
    """What a message says. `code` is None in a question; `time_to_live` in seconds, the smallest of the answer's records."""

    question: str | None = None
    type: str | None = None
    code: str | None = None
    addresses: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    time_to_live: int | None = None
    is_response: bool = False
    cut: bool = False  # by the server: the TC bit
    complete: bool = False


def read_message(message: bytes) -> DnsMessage:
    """Read as much as there is; takes any bytes."""
    found = DnsMessage()
    try:
        _read(message, found)
        found.complete = True
    except _UnreadableError:
        pass
    return found


def _read(message: bytes, found: DnsMessage) -> None:
    if len(message) < _header.size:
        raise _UnreadableError
    _, flags, questions, answers, authorities, additional = _header.unpack_from(message)
    found.is_response = bool(flags & RESPONSE)
    found.cut = bool(flags & CUT)
    code = flags & 15
    if found.is_response:
        found.code = CODES[code]
    at = _header.size
    for number in range(min(questions, RECORDS)):
        name, at = _name(message, at)
        kind, _ = _unpack(_question, message, at)
        at += _question.size
        if number == 0:
            found.question, found.type = name, TYPES.get(kind, f"TYPE{kind}")
    total = answers + authorities + additional
    for number in range(min(total, RECORDS)):
        at = _take_record(message, at, found, code, is_answer=number < answers)
    if total > RECORDS or questions > RECORDS:
        raise _UnreadableError


def _take_record(message: bytes, at: int, found: DnsMessage, code: int, *, is_answer: bool) -> int:
    """Take up one resource record; returns where the next one begins."""
    _, at = _name(message, at)
    kind, _, time_to_live, length = _unpack(_record, message, at)
    at += _record.size
    end = at + length
    if end > len(message):
        raise _UnreadableError
    if kind == OPT:
        if found.is_response:
            whole = (time_to_live >> 24) << 4 | code
            found.code = CODES[whole] if whole < len(CODES) else f"RCODE{whole}"
        return end
    if not is_answer:
        return end
    time_to_live = 0 if time_to_live >> 31 else time_to_live  # RFC 2181 §8
    found.time_to_live = time_to_live if found.time_to_live is None else min(found.time_to_live, time_to_live)
    if kind == A and length == 4:
        found.addresses.append(str(ipaddress.IPv4Address(message[at:end])))
    elif kind == AAAA and length == 16:
        whole6 = ipaddress.IPv6Address(message[at:end])
        found.addresses.append(str(whole6.ipv4_mapped or whole6))
    elif kind == CNAME:
        found.aliases.append(_name(message, at)[0])
    elif kind == TXT and sum(map(len, found.texts)) < TEXT_BYTES:
        found.texts.append(_text(message[at:end]))
    return end


def _unpack(form: struct.Struct, message: bytes, at: int) -> tuple[int, ...]:
    if at + form.size > len(message):
        raise _UnreadableError
    return form.unpack_from(message, at)


def _name(message: bytes, at: int) -> tuple[str, int]:
    """The name at a place, lower case, without the final dot, and where it ends there. `.` is the root."""
    labels: list[str] = []
    end, size, pointers = 0, 0, 0
    while True:
        if at >= len(message):
            raise _UnreadableError
        length = message[at]
        if length & 0xC0 == 0xC0:
            if at + 1 >= len(message):
                raise _UnreadableError
            pointers += 1
            end = end or at + 2
            target = (length & 0x3F) << 8 | message[at + 1]
            if pointers > POINTERS or target >= at:  # backwards alone, so that it ends
                raise _UnreadableError
            at = target
            continue
        if length & 0xC0:
            raise _UnreadableError
        at += 1
        if not length:
            return ".".join(labels) or ".", end or at
        size += length + 1
        if at + length > len(message) or size > NAME_BYTES:
            raise _UnreadableError
        labels.append(_label(message[at : at + length]))
        at += length


def _label(label: bytes) -> str:
    """As zone files spell it (RFC 4343): what is no plain character as a backslash and three digits."""
    text = label.lower()
    if text.isalnum() or text.replace(b"-", b"").replace(b"_", b"").isalnum():
        return text.decode("ascii")
    return "".join(("\\" if byte in b'.\\"' else "") + chr(byte) if 0x21 <= byte <= 0x7E else f"\\{byte:03}" for byte in text)


def _text(content: bytes) -> str:
    r"""The strings of a TXT record, joined; bytes that are no UTF-8 become \xNN."""
    parts: list[bytes] = []
    at = 0
    while at < len(content):
        parts.append(content[at + 1 : at + 1 + content[at]])
        at += 1 + content[at]
    return b"".join(parts).decode("utf-8", "backslashreplace")
