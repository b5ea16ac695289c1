"""What processes ask name servers, and the answers."""

from __future__ import annotations

import socket
from typing import Any

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.decoding.parts import connection_part
from watchkeeper_sensor.dns_message import read_message
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import Layout

DNS = Layout("dns_record", ("record", records.RECORD), ("ends", records.ENDPOINTS), "cookie Q, length I, message text")

_Dns: Any = record_type("dns")


def _dns(event: Any) -> Any:
    record = event.record
    made = DNS.read(record)
    at, length = made.message & 0xFFFF, made.message >> 16
    message = read_message(record[at : at + length])
    ends = connection_part(records.ENDPOINTS.pick(made, "ends"))
    answers = message.is_response
    return _Dns(
        question=message.question,
        type=message.type,
        transport="tcp" if made.ends_protocol == socket.IPPROTO_TCP else "udp",
        server_ip=ends.remote_ip,
        server_port=ends.remote_port,
        response_code=message.code,
        addresses=message.addresses if answers else None,
        aliases=message.aliases if answers else None,
        texts=message.texts if answers else None,
        time_to_live=message.time_to_live,
        question_length=len(message.question) if message.question is not None else None,
        truncated=message.cut or length < made.length or not message.complete,
    )


def _connection(event: Any) -> Any:
    made = DNS.read(event.record)
    its = connection_part(records.ENDPOINTS.pick(made, "ends"))
    its.direction = "outbound"
    its.cookie = made.cookie or None
    return its


LAYOUTS = (DNS,)

PROGRAMS = (
    BpfProgram("dns_egress", "cgroup", ("dns.question", "dns.answer")),
    BpfProgram("dns_ingress", "cgroup", ("dns.answer",), needs=("dns_egress",)),
)

EVENTS = (
    kind("dns.question", {"dns": _dns, "connection": _connection}),
    kind("dns.answer", {"dns": _dns, "connection": _connection}),
)
