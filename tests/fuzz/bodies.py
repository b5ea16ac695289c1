"""Any bytes as a body for the collector: refused, vetted or discarded, never an exception. The first byte chooses the endpoint."""

from __future__ import annotations

import msgspec
from tests.support.collectors import a_request
from tests.support.nodes import NODE, a_finding, a_node_match, a_view, an_entry, some_rules
from tests.support.whole_collectors import a_token

from watchkeeper_detection import wire
from watchkeeper_detection.node_wire import CertificateRequest, Delivery, Entry, NodeState
from watchkeeper_operator.authority.certificates import AuthorityError, requested_key
from watchkeeper_operator.bus.messages import Acknowledgement
from watchkeeper_operator.collector.deliveries import check, sorted_out
from watchkeeper_operator.collector.routes import Refused
from watchkeeper_operator.collector.tokens import claimed_pod
from watchkeeper_operator.collector.vetting import Vetting

VETTING = Vetting(NODE, a_view(), some_rules())
_delivery, _request = msgspec.msgpack.Decoder(Delivery), msgspec.msgpack.Decoder(CertificateRequest)
_state, _acknowledgement = msgspec.json.Decoder(NodeState), msgspec.json.Decoder(Acknowledgement)
MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what `Call.decoded` makes a refusal of


def _deliveries(body: bytes) -> None:
    delivery = _delivery.decode(body)
    check(delivery)
    VETTING.pods_of(delivery.entries)
    vetted = [VETTING.vet(entry) for entry in delivery.entries]
    arrivals, discarded = sorted_out("uid", NODE, delivery, vetted)
    reports = sum(one.topic == "discarded" for one in arrivals)
    assert len(arrivals) - reports + discarded == len(delivery.entries), "an entry is kept or reported"


def _entry(body: bytes) -> None:
    for kind in ("detection", "match", "loss"):
        VETTING.vet(Entry(kind, 1, body))


def _trade(body: bytes) -> None:
    asked = _request.decode(body)
    claimed_pod(asked.token, 0.0)
    requested_key(asked.request)


def _csr(body: bytes) -> None:
    requested_key(body.decode("latin-1"))


def _token(body: bytes) -> None:
    claimed_pod(body.decode("latin-1"), 0.0)


def _state_or_acknowledgement(body: bytes) -> None:
    for decoder in (_state, _acknowledgement):
        try:
            decoder.decode(body)
        except MALFORMED:
            continue


TARGETS = (_deliveries, _entry, _trade, _csr, _token, _state_or_acknowledgement)
_REQUEST = a_request()[0]
_FINDINGS = (a_finding(), a_finding(pod=None), a_finding(pod="bank/till-0"), a_node_match(), wire.Blind(cause="x", since=1, until=2))
SEEDS = (
    b"\x00" + msgspec.msgpack.encode(Delivery(spool="a1", entries=tuple(an_entry(one, number) for number, one in enumerate(_FINDINGS)))),
    *(b"\x01" + wire.encode(one) for one in _FINDINGS),
    b"\x02" + msgspec.msgpack.encode(CertificateRequest(token=a_token(), request=_REQUEST)),
    b"\x03" + _REQUEST.encode(),
    b"\x04" + a_token().encode(),
    b"\x05" + msgspec.json.encode(NodeState(sensor_version="1", kernel="6.1", started_at=1, lost={"x": 1}, blind=("y",))),
    b'\x05{"through": 5}',
)


def one_input(data: bytes) -> None:
    """One input of a fuzzer; raises what no endpoint makes a refusal of."""
    target = TARGETS[data[0] % len(TARGETS)] if data else _token
    try:
        target(data[1:])
    except (Refused, AuthorityError, *MALFORMED):
        return
