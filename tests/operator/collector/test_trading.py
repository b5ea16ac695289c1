"""A token is worth a certificate to one live pod of our DaemonSet on its node, once an hour; to everybody else it is worth nothing."""

import asyncio
import base64
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.collectors import a_request
from tests.support.nodes import NODE, a_pod
from tests.support.whole_collectors import PODS, REVIEWS, Whole, a_review, a_sensor_pod, a_token, collecting, there_is_a_sensor

from watchkeeper_detection.node_wire import Certificate, CertificateRequest
from watchkeeper_operator.authority.certificates import key_pem
from watchkeeper_operator.authority.contexts import Identity
from watchkeeper_operator.bus.messages import Discarded
from watchkeeper_operator.collector.rates import Rates

EXTRA = "authentication.kubernetes.io/"


async def trade(whole: Whole, *, token: str | None = None, key: ec.EllipticCurvePrivateKey | None = None) -> tuple[int, bytes, Identity | None]:
    """Status, body, and the identity where one was given."""
    request, key = a_request(key)
    body = msgspec.msgpack.encode(CertificateRequest(token=token or a_token(), request=request))
    status, answer = await whole.running.ask("POST", "/v1/certificates", None, body)
    if status != 200:
        return status, answer, None
    return status, answer, Identity(msgspec.msgpack.decode(answer, type=Certificate).certificate, key_pem(key))


def tell(folder: Path, story: object) -> object:
    async def run() -> object:
        async with collecting(folder, only_issued=True) as whole:
            there_is_a_sensor(whole.api)
            return await story(whole)

    return asyncio.run(run())


async def shows(whole: Whole, identity: Identity) -> tuple[int, bytes]:
    """What a sensor's endpoint says to a certificate: 400 is about the empty body, so it was let in."""
    return await whole.running.ask("PUT", "/v1/state", identity, b"")


def test_a_live_pod_gets_a_certificate_of_its_node_for_less_than_an_hour(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        status, answer, identity = await trade(whole)
        assert status == 200
        given = msgspec.msgpack.decode(answer, type=Certificate)
        leaf = x509.load_pem_x509_certificates(given.certificate.encode())[0]
        assert leaf.subject.rfc4514_string() == f"CN=uid-{NODE},O=watchkeeper:sensors"
        life = (leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds()
        assert life <= 3600
        assert 1800 < given.renew_after < life
        assert identity is not None
        assert await shows(whole, identity) == (400, b"Malformed")

    tell(tmp_path, story)


CLAIMS = {
    "no token": "x",
    "three parts of nothing": "a.b.c",
    "another audience": a_token(aud=["https://kubernetes.default.svc"]),
    "another account": a_token(sub="system:serviceaccount:shop:web"),
    "expired": a_token(exp=1),
    "bound to no pod": a_token(**{"kubernetes.io": {"namespace": "watchkeeper-system"}}),
    "far too long": a_token(padding="x" * 8192),
    "claims that are a list": ".".join(["e30", base64.urlsafe_b64encode(b"[[[[]]]]").decode(), "x"]),
}


@pytest.mark.parametrize("token", CLAIMS.values(), ids=CLAIMS)
def test_what_is_no_token_of_a_sensor_costs_no_question_to_the_api_server(tmp_path: Path, token: str) -> None:
    async def story(whole: Whole) -> None:
        status, _, _ = await trade(whole, token=token)
        assert status == 403
        assert whole.api.asked == []

    tell(tmp_path, story)


REVIEWED = {
    "not authenticated": (a_review(authenticated=False), b"NotAuthenticated"),
    "authenticated for another audience": (a_review(audiences=["other"]), b"NotAuthenticated"),
    "authenticated for no audience": (a_review(audiences=[]), b"NotAuthenticated"),
    "another account": (a_review(user={"username": "system:serviceaccount:shop:web"}), b"NotASensorsToken"),
    **{f"without {name}": (a_review(extra={EXTRA + name: None}), b"NotBound") for name in ("pod-name", "pod-uid", "node-name", "node-uid")},
    "an empty extra": (a_review(extra={EXTRA + "pod-uid": []}), b"NotBound"),
    "no status": ({}, b"NotAuthenticated"),
}


@pytest.mark.parametrize(("review", "reason"), REVIEWED.values(), ids=REVIEWED)
def test_what_the_api_server_does_not_vouch_for_is_refused(tmp_path: Path, review: dict, reason: bytes) -> None:
    async def story(whole: Whole) -> None:
        whole.api.posted[REVIEWS] = review
        assert (await trade(whole))[:2] == (403, reason)

    tell(tmp_path, story)


PODS_NOW = {
    "gone": (None, b"NoSuchPod"),
    "another of the same name": (a_sensor_pod(metadata={"uid": "uid-sensor-2"}), b"NoSuchPod"),
    "being deleted": (a_sensor_pod(metadata={"deletionTimestamp": "2026-03-12T00:00:00Z"}), b"NoSuchPod"),
    "failed": (a_sensor_pod(status={"phase": "Failed"}), b"NoSuchPod"),
    "on another node": (a_sensor_pod(spec={"nodeName": "node-b"}), b"AnotherNode"),
    "of nobody": (a_sensor_pod(metadata={"ownerReferences": []}), b"NotOurs"),
    "of a ReplicaSet": (
        a_sensor_pod(metadata={"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "y", "controller": True}]}),
        b"NotOurs",
    ),
    "of a DaemonSet that has gone": (
        a_sensor_pod(metadata={"ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "x", "uid": "y", "controller": True}]}),
        b"NoSuchPod",
    ),
    "of a DaemonSet that was made anew": (
        a_sensor_pod(
            metadata={"ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "watchkeeper-sensor", "uid": "old", "controller": True}]}
        ),
        b"NotOurs",
    ),
}


@pytest.mark.parametrize(("pod", "reason"), PODS_NOW.values(), ids=PODS_NOW)
def test_a_token_of_a_pod_that_is_not_our_live_one_there_is_refused(tmp_path: Path, pod: dict | None, reason: bytes) -> None:
    async def story(whole: Whole) -> None:
        whole.api.objects[f"{PODS}/sensor-1"] = pod
        if pod is None:
            del whole.api.objects[f"{PODS}/sensor-1"]
        assert (await trade(whole))[:2] == (403, reason)

    tell(tmp_path, story)


def test_a_node_that_was_made_anew_is_another_one(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        whole.api.objects[f"/api/v1/nodes/{NODE}"] = {"metadata": {"name": NODE, "uid": "new"}}
        assert (await trade(whole))[:2] == (403, b"AnotherNode")

    tell(tmp_path, story)


def test_an_api_server_that_can_not_answer_is_no_refusal(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        whole.api.status = 500
        assert (await trade(whole))[:2] == (503, b"ApiServerUnavailable")

    tell(tmp_path, story)


def test_a_second_certificate_of_a_pod_is_refused_and_reported(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        _, _, identity = await trade(whole)
        await shows(whole, identity)
        assert (await trade(whole))[:2] == (409, b"SecondCertificate")
        (message,) = await whole.messages()
        told = msgspec.msgpack.decode(message.payload, type=Discarded)
        assert (message.topic, message.source) == ("discarded", f"node/uid-{NODE}")
        assert (told.reason, told.node_name, told.pod, told.address) == ("SecondCertificate", NODE, "sensor-1", "127.0.0.1")
        assert (await shows(whole, identity))[0] == 400, "the first one stays"

    tell(tmp_path, story)


def test_asking_again_with_the_same_key_is_no_second_holder(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        _, _, first = await trade(whole, key=key)
        await shows(whole, first)
        status, _, second = await trade(whole, key=key)
        assert status == 200
        assert (await shows(whole, second))[0] == 400
        assert await whole.messages() == []

    tell(tmp_path, story)


def test_an_answer_that_never_arrived_may_be_asked_for_again_and_the_lost_one_is_worth_nothing(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        _, _, lost = await trade(whole)
        _, _, second = await trade(whole)
        assert (await shows(whole, second))[0] == 400
        assert await shows(whole, lost) == (401, b"Superseded")

    tell(tmp_path, story)


def test_a_container_that_was_started_anew_has_another_key(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        _, _, first = await trade(whole)
        await shows(whole, first)
        whole.api.objects[f"{PODS}/sensor-1"] = a_sensor_pod(restarts=1)
        status, _, second = await trade(whole)
        assert status == 200
        assert (await shows(whole, first))[0] == 400, "until the new one is shown"
        assert (await shows(whole, second))[0] == 400
        assert await shows(whole, first) == (401, b"Superseded")
        assert await whole.messages() == []

    tell(tmp_path, story)


def test_a_renewal_in_time_is_given(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        _, answer, first = await trade(whole)
        await shows(whole, first)
        whole.times[0] += msgspec.msgpack.decode(answer, type=Certificate).renew_after + 1
        assert (await trade(whole))[0] == 200
        assert await whole.messages() == []

    tell(tmp_path, story)


def test_a_certificate_that_we_never_gave_is_worth_nothing_whoever_signed_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with collecting(tmp_path, only_issued=True) as whole:
            forged = whole.authorities.sensor(f"uid-{NODE}")
            assert await shows(whole, forged) == (401, b"Superseded")

    asyncio.run(run())


def test_strangers_who_invent_pods_leave_room_for_those_that_there_are() -> None:
    times = [0.0]
    rates = Rates(lambda: times[0])
    assert sum(rates.take(f"invented-{number}", is_known=False) for number in range(1000)) == 20
    assert all(rates.take(f"pod-{number}", is_known=True) for number in range(200))
    assert not rates.take("pod-201", is_known=True)
    times[0] += 10
    assert all(rates.take(f"pod-{number}", is_known=True) for number in range(200, 400))


def test_one_pod_is_bounded_by_itself() -> None:
    times = [0.0]
    rates = Rates(lambda: times[0])
    assert sum(rates.take("pod-1", is_known=True) for _ in range(50)) == 5
    assert rates.take("pod-2", is_known=True)
    times[0] += 10
    assert [rates.take("pod-1", is_known=True) for _ in range(2)] == [True, False]


def test_a_token_that_is_tried_again_and_again_does_not_become_questions_to_the_api_server(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        whole.api.posted[REVIEWS] = a_review(authenticated=False)
        whole.view.put_pod(a_pod("sensor-1", "watchkeeper-system", uid="uid-sensor-1"))
        statuses = [(await trade(whole))[0] for _ in range(12)]
        assert statuses[:5] == [403] * 5
        assert statuses[-1] == 429
        assert len(whole.api.asked) <= 6

    tell(tmp_path, story)


@pytest.mark.parametrize("request_text", ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "\x00é"])
def test_what_is_no_request_is_refused_before_the_token_is_looked_at(tmp_path: Path, request_text: str) -> None:
    async def story(whole: Whole) -> None:
        body = msgspec.msgpack.encode(CertificateRequest(token=a_token(), request=request_text))
        assert await whole.running.ask("POST", "/v1/certificates", None, body) == (400, b"NotARequest")
        assert whole.api.asked == []

    tell(tmp_path, story)
