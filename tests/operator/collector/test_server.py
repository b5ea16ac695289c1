"""The server's own rules, over real TLS on the loopback: roles, bodies, slow and many callers, the end of certificates."""

import asyncio
import ssl
import time
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.collectors import NAME, Authorities, a_request, serving

from watchkeeper_operator.authority import certificates
from watchkeeper_operator.authority.contexts import Identity
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.collector.connections import STRANGER_SECONDS, Bounds
from watchkeeper_operator.collector.routes import Answer, Call, Route

LIMIT = 100_000


def a_route(role: Role | None = Role.SENSOR, *, at_once: int = 16) -> Route:
    async def echo(call: Call) -> Answer:
        return Answer(b"%d of %s" % (len(await call.body()), (call.peer.name if call.peer else "nobody").encode()))

    return Route("POST", "/v1/echo", role, LIMIT, echo, at_once)


async def asked(role: Role | None, identity: Identity | None, body: bytes = b"x", authorities: Authorities | None = None) -> tuple[int, bytes]:
    async with serving([a_route(role)], authorities=authorities) as running:
        return await running.ask("POST", "/v1/echo", identity, body)


def test_the_role_that_a_route_names_is_answered() -> None:
    for role in Role:
        mine = Authorities()
        assert asyncio.run(asked(role, mine.client(role, "web"), b"abc", mine)) == (200, b"3 of web")


def test_a_caller_without_a_certificate_is_refused() -> None:
    assert asyncio.run(asked(Role.SENSOR, None)) == (401, b"NoCertificate")


@pytest.mark.parametrize("held", [Role.OPERATOR, Role.AUDIT, Role.COLLECTOR])
def test_a_certificate_of_another_role_is_refused(held: Role) -> None:
    mine = Authorities()
    assert asyncio.run(asked(Role.SENSOR, mine.client(held), authorities=mine)) == (403, b"WrongRole")


def test_a_certificate_of_another_authority_ends_the_handshake() -> None:
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        asyncio.run(asked(Role.SENSOR, Authorities().sensor()))


def test_an_expired_certificate_ends_the_handshake() -> None:
    mine = Authorities()
    old = mine.sensor(now=mine.now - timedelta(hours=2))
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        asyncio.run(asked(Role.SENSOR, old, authorities=mine))


def test_the_sensors_authority_can_make_nobody_but_sensors() -> None:
    """Whoever holds the collector's key is no operator by it, and no server."""
    mine = Authorities()
    for role in (Role.OPERATOR, Role.AUDIT):
        forged = certificates.make_client(mine.sensors, role, "x", mine.now, timedelta(minutes=5))
        whole = Identity(forged.chain + certificates.pem(mine.sensors.certificate), forged.key)
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            asyncio.run(asked(role, whole, authorities=mine))


def test_a_sensor_certificate_serves_nobody() -> None:
    class Forging(Authorities):
        def server(self) -> Identity:
            made = certificates.make_server(self.sensors, [NAME], self.now)
            return Identity(made.chain + certificates.pem(self.sensors.certificate), made.key)

    mine = Forging()
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        asyncio.run(asked(None, None, authorities=mine))


@pytest.mark.parametrize("who", ["stranger", "operator"])
def test_who_may_not_ask_is_refused_before_a_byte_of_the_body(who: str) -> None:
    async def run() -> None:
        async with serving([a_route()]) as running:
            identity = running.authorities.client(Role.OPERATOR) if who == "operator" else None
            reader, writer = await running.raw(identity)
            writer.write(b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n")
            head = await asyncio.wait_for(reader.readline(), 2)
            assert head.split()[1] == (b"403" if who == "operator" else b"401")
            await asyncio.wait_for(reader.read(), 5)  # and the connection ends
            writer.close()

    asyncio.run(run())


def test_a_body_is_invited_only_from_who_may_send_it() -> None:
    async def run(identity: Identity | None, mine: Authorities) -> bytes:
        async with serving([a_route()], authorities=mine) as running:
            reader, writer = await running.raw(identity)
            writer.write(b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            first = await asyncio.wait_for(reader.readline(), 2)
            if b"100" in first:
                writer.write(b"abc")
                first += await asyncio.wait_for(reader.readuntil(b"3 of node-1"), 2)
            writer.close()
            return first

    mine = Authorities()
    told = asyncio.run(run(mine.sensor(), mine))
    assert told.startswith(b"HTTP/1.1 100")
    assert b" 200 " in told
    assert b"401" in asyncio.run(run(None, mine))


def test_a_body_that_says_it_is_too_large_is_refused_unread() -> None:
    mine = Authorities()
    assert asyncio.run(asked(Role.SENSOR, mine.sensor(), bytes(LIMIT + 1), mine)) == (413, b"TooLarge")
    assert asyncio.run(asked(Role.SENSOR, mine.sensor(), bytes(LIMIT), mine)) == (200, b"100000 of node-1")


def test_a_body_that_turns_out_too_large_is_refused() -> None:
    async def run() -> None:
        async with serving([a_route()]) as running:
            reader, writer = await running.raw(running.authorities.sensor())
            writer.write(b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(3):
                writer.write(b"c350\r\n" + bytes(50_000) + b"\r\n")
                await writer.drain()
            assert b" 413 " in await asyncio.wait_for(reader.readline(), 2)
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 no http\r\n\r\n",
        b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % number for number in range(200)) + b"\r\n",
        b"GET / HTTP/1.1\r\nx: \x1b[31mred\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_writes_nothing_to_the_log(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with serving([a_route()]) as running:
            reader, writer = await running.raw(None)
            writer.write(sent)
            told = await asyncio.wait_for(reader.read(), 5)
            assert told.split()[1] in (b"400", b"404", b"401")
            assert b"red" not in told
            writer.close()

    with caplog.at_level("INFO"):
        asyncio.run(run())
    assert caplog.records == []


def test_a_mistake_of_ours_is_logged_and_tells_the_caller_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: Call) -> Answer:
        raise KeyError("inner words")

    async def run() -> None:
        async with serving([Route("POST", "/v1/echo", Role.SENSOR, LIMIT, fail)]) as running:
            assert await running.ask("POST", "/v1/echo", running.authorities.sensor(), b"x") == (500, b"Failed")
            assert running.server.refused == {"failed": 1}

    asyncio.run(run())
    assert [one.getMessage() for one in caplog.records] == ["a request could not be answered"]


def test_a_body_that_comes_by_drops_is_given_up() -> None:
    async def take(call: Call) -> Answer:
        return Answer(await call.body())

    async def run() -> None:
        async with serving([Route("POST", "/v1/echo", Role.SENSOR, LIMIT, take, body_seconds=0.3)]) as running:
            reader, writer = await running.raw(running.authorities.sensor())
            writer.write(b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            answer = asyncio.create_task(reader.readline())
            for _ in range(50):
                if answer.done():
                    break
                writer.write(b"x")
                await asyncio.sleep(0.05)
            assert b" 408 " in await answer
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [("GET", "/v1/echo", {}, 405), ("POST", "/v1/none", {}, 404), ("POST", "/", {}, 404), ("POST", "/v1/echo", {"Content-Encoding": "gzip"}, 415)],
)
def test_what_no_route_takes_is_refused(method: str, path: str, headers: dict[str, str], status: int) -> None:
    async def run() -> int:
        async with serving([a_route()]) as running:
            return (await running.ask(method, path, running.authorities.sensor(), b"x", headers=headers))[0]

    assert asyncio.run(run()) == status


def test_nothing_below_tls_13_is_spoken() -> None:
    async def run() -> None:
        async with serving([a_route()]) as running:
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.maximum_version = ssl.TLSVersion.TLSv1_2
            old.load_verify_locations(cadata=running.authorities.bundle)
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                await asyncio.open_connection("127.0.0.1", running.port, ssl=old, server_hostname=NAME)

    asyncio.run(run())


def test_a_connection_ends_with_its_certificate() -> None:
    times = [time.time()]

    async def run() -> None:
        async with serving([a_route()], clock=lambda: times[0]) as running, running.session(running.authorities.sensor()) as session:
            async with session.post("/v1/echo", data=b"x", server_hostname=NAME) as answer:
                assert answer.status == 200
            running.server.sweep()
            assert len(running.server.alive) == 1
            times[0] += 3300
            running.server.sweep()
            assert running.server.alive == []
            assert running.server.refused == {"expired": 1}

    asyncio.run(run())


def test_an_expired_certificate_is_refused_also_before_the_sweep() -> None:
    times = [time.time()]

    async def run() -> None:
        async with serving([a_route()], clock=lambda: times[0]) as running, running.session(running.authorities.sensor()) as session:
            times[0] += 3300
            async with session.post("/v1/echo", data=b"x", server_hostname=NAME) as answer:
                assert (answer.status, await answer.text()) == (401, "Expired")

    asyncio.run(run())


def test_strangers_who_stay_are_shown_out() -> None:
    times = [time.time()]

    async def run() -> None:
        async with serving([a_route()], clock=lambda: times[0]) as running:
            reader, writer = await running.raw(None)
            writer.write(b"POST /v1/echo HTTP/1.1\r\nHost: x")
            while not running.server.alive:  # noqa: ASYNC110 (the server's end of the handshake is no event here)
                await asyncio.sleep(0.01)
            times[0] += STRANGER_SECONDS
            running.server.sweep()
            with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(1), 2)
            writer.close()

    asyncio.run(run())


def test_strangers_of_one_address_leave_room_for_sensors() -> None:
    async def run() -> None:
        async with serving([a_route()], bounds=Bounds(whole=8, strangers=3, address=2)) as running:
            held = [await running.raw(None) for _ in range(5)]
            while sum(running.server.refused.values()) < 3:  # noqa: ASYNC110 (what is counted is no event)
                await asyncio.sleep(0.01)
            assert len(running.server.alive) == 2
            assert (await running.ask("POST", "/v1/echo", running.authorities.sensor(), b"x"))[0] == 200
            for _, writer in held:
                writer.close()

    asyncio.run(run())


def test_one_name_has_a_bounded_number_of_connections() -> None:
    async def run() -> None:
        async with serving([a_route()], bounds=Bounds(name=2)) as running:
            mine = running.authorities.sensor()
            held = [await running.raw(mine) for _ in range(4)]
            while running.server.refused["name"] < 2:  # noqa: ASYNC110 (what is counted is no event)
                await asyncio.sleep(0.01)
            assert (await running.ask("POST", "/v1/echo", running.authorities.sensor("node-2"), b"x"))[0] == 200
            for _, writer in held:
                writer.close()

    asyncio.run(run())


def test_bodies_in_work_are_bounded_and_more_are_told_to_come_again() -> None:
    began, go = [], asyncio.Event()

    async def hold(_: Call) -> Answer:
        began.append(1)
        await go.wait()
        return Answer()

    async def run() -> None:
        async with serving([Route("POST", "/v1/hold", Role.SENSOR, LIMIT, hold, at_once=1)]) as running:
            mine = running.authorities.sensor()
            first, second = (asyncio.create_task(running.ask("POST", "/v1/hold", mine)) for _ in range(2))
            while running.metrics.refused.labels(path="/v1/hold", reason="Busy")._value.get() == 0:
                status, body = await running.ask("POST", "/v1/hold", mine) if began else (0, b"")
                assert status in (0, 503), body
                await asyncio.sleep(0.01)
            assert len(began) == 1
            go.set()
            assert {(await first)[0], (await second)[0]} == {204}

    asyncio.run(run())


def test_a_listener_takes_a_new_certificate_without_a_pause() -> None:
    async def run() -> None:
        from watchkeeper_operator.authority.contexts import server_context

        async with serving([a_route()]) as running:
            old, new = running.authorities, Authorities(datetime.now(UTC))
            both = old.bundle + new.bundle
            running.listener.context = server_context(new.server(), both)
            assert (await running.ask("POST", "/v1/echo", old.sensor(), b"x"))[0] == 200, "an old client"  # pragma: no branch

    with pytest.raises(aiohttp.ClientConnectorCertificateError):  # trusts the old root alone, and nothing vouches for the new one
        asyncio.run(run())


def test_a_request_needs_a_key_of_a_known_kind_that_signed_it() -> None:
    request, _ = a_request()
    assert isinstance(certificates.requested_key(request), ec.EllipticCurvePublicKey)
    damaged = request.replace(request.splitlines()[2][:8], "AAAAAAAA")
    for bad in ("", "x", damaged, "é"):
        with pytest.raises(certificates.AuthorityError):
            certificates.requested_key(bad)
