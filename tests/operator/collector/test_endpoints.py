"""Every endpoint refuses everybody but whom it is for, and whatever is too large or is nothing that it knows."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.collectors import Authorities
from tests.support.nodes import NODE, a_finding, an_entry
from tests.support.whole_collectors import collecting

from watchkeeper_detection.node_wire import Delivery
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.collector.deliveries import check
from watchkeeper_operator.collector.routes import Refused

ROUTES = {
    ("POST", "/v1/certificates"): (None, 16 * 1024),
    ("POST", "/v1/deliveries"): (Role.SENSOR, 4 * 1024 * 1024),
    ("GET", "/v1/feed"): (Role.SENSOR, 0),
    ("PUT", "/v1/state"): (Role.SENSOR, 64 * 1024),
    ("GET", "/v1/messages"): (Role.OPERATOR, 0),
    ("POST", "/v1/messages/acknowledge"): (Role.OPERATOR, 1024),
}
GUARDED = {route: role for route, (role, _) in ROUTES.items() if role}
WITH_BODY = {route: about for route, about in ROUTES.items() if about[1]}


def by_name(routes: dict) -> dict:
    return {"argvalues": list(routes.items()), "ids": [f"{method} {path}" for method, path in routes]}


def asked(folder: Path, method: str, path: str, role: Role | None, body: bytes | None = None, authorities: Authorities | None = None) -> tuple[int, bytes]:
    async def run() -> tuple[int, bytes]:
        async with collecting(folder) as whole:
            mine = authorities or whole.authorities
            return await whole.running.ask(method, path, mine.client(role, f"uid-{NODE}") if role else None, body)

    return asyncio.run(run())


@pytest.mark.parametrize(("route", "role"), **by_name(GUARDED))
def test_nobody_is_let_in_without_a_certificate(tmp_path: Path, route: tuple[str, str], role: Role) -> None:
    assert asked(tmp_path, *route, None) == (401, b"NoCertificate"), role


@pytest.mark.parametrize(("route", "role"), **by_name(GUARDED))
@pytest.mark.parametrize("held", list(Role))
def test_a_certificate_opens_the_doors_of_its_role_alone(tmp_path: Path, route: tuple[str, str], role: Role, held: Role) -> None:
    status, body = asked(tmp_path, *route, held, b"x" if route in WITH_BODY else None) if held is not role else (403, b"WrongRole")
    assert (status, body) == (403, b"WrongRole")


@pytest.mark.parametrize(("route", "about"), **by_name(ROUTES))
def test_a_body_larger_than_the_route_takes_is_refused(tmp_path: Path, route: tuple[str, str], about: tuple[Role | None, int]) -> None:
    role, limit = about
    assert asked(tmp_path, *route, role, bytes(limit + 1)) == (413, b"TooLarge")


@pytest.mark.parametrize(("route", "about"), **by_name(WITH_BODY))
@pytest.mark.parametrize("body", [b"", b"{", b"\xff" * 50, b"[" * 5000, b"\x91" * 5000, b"null", b"\xc0", b'{"through": -1}', b"{}" * 9])
def test_a_body_that_is_nothing_is_refused(tmp_path: Path, route: tuple[str, str], about: tuple[Role | None, int], body: bytes) -> None:
    if len(body) > about[1]:
        body = body[: about[1]]
    assert asked(tmp_path, *route, about[0], body) == (400, b"Malformed")


@pytest.mark.parametrize("query", ["after=x", "after=-1", "limit=1.5", "wait=%00", "after=" + "9" * 40, "after=%EF%BC%91"])
def test_a_query_that_is_no_number_is_refused(tmp_path: Path, query: str) -> None:
    assert asked(tmp_path, "GET", f"/v1/messages?{query}", Role.OPERATOR) == (400, b"Malformed")


def test_refusals_are_counted_by_reason_and_repeat_nothing_of_the_caller(tmp_path: Path) -> None:
    async def run() -> None:
        async with collecting(tmp_path) as whole:
            await whole.running.ask("GET", "/v1/<zebra>", None)
            await whole.running.ask("POST", "/v1/deliveries", whole.authorities.sensor(f"uid-{NODE}"), b"{")
            from prometheus_client import generate_latest

            text = generate_latest(whole.running.metrics.registry).decode()
            assert 'refused_total{path="other",reason="NoRoute"} 1.0' in text
            assert 'refused_total{path="/v1/deliveries",reason="Malformed"} 1.0' in text
            assert "zebra" not in text

    asyncio.run(run())


GOOD = msgspec.msgpack.encode(Delivery(spool="a1", entries=(an_entry(a_finding(), 1), an_entry(a_finding(), 2))))
_decoder = msgspec.msgpack.Decoder(Delivery)


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=8), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_damaged_delivery_is_refused_or_vetted_and_nothing_else(place: int, change: bytes, cut: bool) -> None:  # noqa: FBT001
    from tests.support.nodes import a_view, some_rules

    from watchkeeper_operator.collector.vetting import Vetting

    damaged = GOOD[:place] + change + (b"" if cut else GOOD[place + len(change) :])
    try:
        delivery = _decoder.decode(damaged)
        check(delivery)
    except (msgspec.DecodeError, UnicodeDecodeError, Refused):
        return
    for entry in delivery.entries:
        Vetting(NODE, a_view(), some_rules()).vet(entry)


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery(spool="", entries=(an_entry(a_finding()),)),
        Delivery(spool="discarded/a", entries=(an_entry(a_finding()),)),
        Delivery(spool="a" * 65, entries=(an_entry(a_finding()),)),
        Delivery(spool="a", entries=()),
        Delivery(spool="a", entries=tuple(an_entry(a_finding(), number) for number in range(501))),
        Delivery(spool="a", entries=(an_entry(a_finding(), 2), an_entry(a_finding(), 1))),
        Delivery(spool="a", entries=(an_entry(a_finding(), 2), an_entry(a_finding(), 2))),
        Delivery(spool="a", entries=(an_entry(a_finding(), -1),)),
        Delivery(spool="a", entries=(an_entry(a_finding(), 1 << 62),)),
        Delivery(spool="a", entries=(an_entry(a_finding()),), version=2),
    ],
)
def test_a_delivery_that_no_sensor_makes_is_refused(delivery: Delivery) -> None:
    with pytest.raises(Refused):
        check(delivery)
