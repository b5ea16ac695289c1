"""The audit endpoint: what is found is on disk before it answers; size and trouble never cost an event."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from tests.support.audit import a_batch, an_administrator_binding, an_audit_event
from tests.support.collectors import serving

from watchkeeper_cli.policy_set import library_program
from watchkeeper_detection import wire
from watchkeeper_detection.program import Program
from watchkeeper_operator.audit import nonces
from watchkeeper_operator.audit.configuring import PATH
from watchkeeper_operator.audit.state import decode_state
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.bus.taking import Bounds
from watchkeeper_operator.collector.audit_endpoint import AuditEndpoint
from watchkeeper_operator.collector.audit_judging import AuditJudge
from watchkeeper_operator.collector.audit_receiving import AuditReceiver
from watchkeeper_operator.collector.audit_reporting import report_once
from watchkeeper_operator.collector.audit_states import AuditStates
from watchkeeper_operator.collector.canary_nonces import CanaryNonces
from watchkeeper_operator.store.engine import open_engine

MEBIBYTE = 1 << 20


class Running:
    """An endpoint with a real queue behind it."""

    def __init__(self, collector, queue, engine, states):
        self.collector, self.queue, self.engine, self.states = collector, queue, engine, states

    async def post(self, body: bytes, role: Role = Role.AUDIT) -> int:
        status, _ = await self.collector.ask("POST", PATH, self.collector.authorities.client(role, "control-plane"), body)
        return status

    async def messages(self):
        return await self.queue.fetch(0, 100_000, 1 << 30)

    async def rules(self):
        found = [wire.decode_detection(one.payload) for one in await self.messages() if one.topic == "detection"]
        return sorted(f"{one.policy}/{one.rule}" for one in found)


@asynccontextmanager
async def running(folder, bounds: Bounds | None = None):
    engine = open_engine(f"sqlite:///{folder}/queue.db")
    queue = Queue(engine, bounds or Bounds())
    await queue.open()
    states = AuditStates("collector-0", CollectorRegistry(), time.time_ns)
    judge = AuditJudge(library_program(), keys=tuple, clock=time.time_ns)
    async with AuditReceiver.open(judge, queue, states) as receiver, serving([AuditEndpoint(receiver).route]) as collector:
        yield Running(collector, queue, engine, states)
    await queue.close()


def run(folder, act, **options):
    async def whole():
        async with running(folder, **options) as endpoint:
            return await act(endpoint)

    return asyncio.run(whole())


def test_what_is_found_is_stored_when_the_answer_comes(tmp_path):
    async def act(endpoint):
        assert await endpoint.post(a_batch(an_administrator_binding())) == 204
        return await endpoint.rules(), {one.source for one in await endpoint.messages()}

    rules, sources = run(tmp_path, act)
    assert "k8s-cluster-admin-binding/granted" in rules
    assert sources == {"audit/control-plane"}


def test_a_batch_that_comes_again_is_stored_once(tmp_path):
    async def act(endpoint):
        counts = []
        for _ in range(3):
            await endpoint.post(a_batch(an_administrator_binding(), an_audit_event(2)))
            counts.append(len(await endpoint.messages()))
        return counts

    first, *others = run(tmp_path, act)
    assert first > 0
    assert others == [first, first]


def test_a_batch_larger_than_the_webhooks_bound_is_taken_whole(tmp_path):
    large = an_audit_event(1, requestObject={"kind": "ConfigMap", "data": {"a": "x" * MEBIBYTE}})
    body = a_batch(*([large] * 24), an_administrator_binding(2))
    assert len(body) > 24 * MEBIBYTE

    async def act(endpoint):
        return await endpoint.post(body), await endpoint.rules()

    status, rules = run(tmp_path, act)
    assert status == 204
    assert "k8s-cluster-admin-binding/granted" in rules


@pytest.mark.parametrize("role", [Role.SENSOR, Role.OPERATOR, Role.COLLECTOR])
def test_other_certificates_are_refused_however_large_the_body(tmp_path, role):
    async def act(endpoint):
        return await endpoint.post(b"x" * MEBIBYTE, role), await endpoint.messages()

    assert run(tmp_path, act) == (403, [])


def test_a_store_that_can_not_be_written_to_is_answered_so_that_the_batch_comes_again(tmp_path):
    body = a_batch(an_administrator_binding())

    async def act(endpoint):
        with endpoint.engine.begin() as connection:
            connection.execute(text("ALTER TABLE queue_messages RENAME TO elsewhere"))
        refused = await endpoint.post(body)
        with endpoint.engine.begin() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO queue_messages"))
        return refused, await endpoint.post(body), await endpoint.rules()

    refused, taken, rules = run(tmp_path, act)
    assert (refused, taken) == (503, 204)
    assert "k8s-cluster-admin-binding/granted" in rules


def test_a_full_queue_does_not_stop_the_api_server_and_states_what_was_lost(tmp_path):
    async def act(endpoint):
        statuses = {await endpoint.post(a_batch(*(an_administrator_binding(number) for number in range(start, start + 50)))) for start in range(0, 500, 50)}
        await asyncio.sleep(1.5)  # losses are stated once a second
        return statuses, await endpoint.messages()

    statuses, messages = run(tmp_path, act, bounds=Bounds(bytes=200_000, entries=1000))
    assert statuses == {204}
    lost = [wire.decode_blind(one.payload) for one in messages if one.topic == "loss"]
    assert sum(blind.entries.get("detection", 0) for blind in lost) > 0
    assert {blind.cause for blind in lost} == {"queue_full"}


def test_truncated_events_are_a_loss_with_the_time_in_which_nothing_was_seen(tmp_path):
    async def act(endpoint):
        await endpoint.post(a_batch(an_audit_event(1), an_audit_event(2, annotations={"audit.k8s.io/truncated": "true"})))
        return [wire.decode_blind(one.payload) for one in await endpoint.messages() if one.topic == "loss"], endpoint.states.report()

    (blind,), (state,) = run(tmp_path, act)
    assert (blind.cause, blind.records, blind.until > blind.since) == ("audit_truncated", {"audit.request": 1}, True)
    assert (state.source, state.events, state.truncated, state.rejected) == ("control-plane", 2, 1, 0)


def test_a_body_that_is_no_batch_is_a_detection_and_not_sent_again(tmp_path):
    async def act(endpoint):
        return await endpoint.post(b'{"kind":"EventList","items":[{"verb":'), endpoint.states.report()[0].rejected, await endpoint.messages()

    status, rejected, messages = run(tmp_path, act)
    assert (status, rejected) == (204, 1)
    assert [wire.decode_detection(one.payload).kind for one in messages if one.topic == "detection"] == ["log.rejected"]


def test_batches_of_several_api_servers_are_judged_side_by_side(tmp_path):
    async def act(endpoint):
        bodies = [a_batch(*(an_administrator_binding(server * 100 + number) for number in range(20))) for server in range(12)]
        statuses = await asyncio.gather(*(endpoint.post(body) for body in bodies))
        return set(statuses), (await endpoint.rules()).count("k8s-cluster-admin-binding/granted")

    assert run(tmp_path, act) == ({204}, 240)


def test_a_report_says_how_late_events_come(tmp_path):
    logged = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 90)) + ".000000Z"

    async def act(endpoint):
        await endpoint.post(json.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [an_audit_event(1, stageTimestamp=logged)]}).encode())
        (state,) = endpoint.states.report()
        return state

    state = run(tmp_path, act)
    assert 89_000 < state.lag_median_ms == state.lag_p99_ms < 100_000
    assert state.per_second > 0


def test_a_batch_that_comes_before_the_policies_waits_for_them(tmp_path):
    """What was judged by no rule would count as clean."""

    async def act():
        queue = Queue(open_engine(f"sqlite:///{tmp_path}/queue.db"))
        await queue.open()
        states = AuditStates("collector-0", CollectorRegistry(), time.time_ns)
        judge = AuditJudge(Program(), keys=tuple, clock=time.time_ns)
        async with AuditReceiver.open(judge, queue, states) as receiver, serving([AuditEndpoint(receiver).route]) as collector:
            endpoint = Running(collector, queue, None, states)
            posted = asyncio.create_task(endpoint.post(a_batch(an_administrator_binding())))
            await asyncio.sleep(0.5)
            early = posted.done()
            await receiver.use(library_program())
            status, rules = await posted, await endpoint.rules()
        await queue.close()
        return early, status, rules

    early, status, rules = asyncio.run(act())
    assert (early, status) == (False, 204)
    assert "k8s-cluster-admin-binding/granted" in rules


# canaries' nonces


def test_a_nonce_is_given_to_the_operator_alone_and_known_by_every_replica_of_the_key():
    key = nonces.key_from("a key in PEM")
    route = CanaryNonces(lambda: (key, b"old"), clock=lambda: 1000.5, random=bytes).route

    async def act():
        async with serving([route]) as collector:
            return [await collector.ask("POST", route.path, collector.authorities.client(role)) for role in (Role.OPERATOR, Role.SENSOR, Role.AUDIT)]

    (status, answer), *others = asyncio.run(act())
    assert others == [(403, b"WrongRole")] * 2
    assert status == 200
    made = json.loads(answer)["nonce"]
    assert nonces.is_ours((b"other", key), made, 1010)
    assert not nonces.is_ours((b"old",), made, 1010)
    assert not nonces.is_ours((key,), made, 1000 + nonces.VALID_SECONDS + 1)


# reports


def test_the_latest_report_of_a_source_and_receiver_replaces_the_one_before(tmp_path):
    async def act(endpoint):
        for number in (1, 2):
            await endpoint.post(a_batch(an_audit_event(number)))
            await report_once(endpoint.states, endpoint.queue)
        return [(one.source, decode_state(one.payload).events) for one in await endpoint.messages() if one.topic == "log-state"]

    assert run(tmp_path, act) == [("audit/control-plane/collector-0", 2)]
