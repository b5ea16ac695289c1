"""Audit events that are delivered are judged as any others, once each, whatever their sender makes of them."""

from __future__ import annotations

from datetime import datetime

import pytest
from tests.support.audit import a_batch, an_administrator_binding, an_audit_event

from watchkeeper_cli.policy_set import library_program
from watchkeeper_operator.audit.nonces import PREFIX, RANDOM_BYTES, nonce
from watchkeeper_operator.collector.audit_judging import CANARY_USER, AuditJudge, Judged

KEY = b"k" * 32
NOON = datetime.fromisoformat("2026-03-12T02:46:01Z").timestamp()


@pytest.fixture(scope="module")
def judge():
    return AuditJudge(library_program(), keys=lambda: (KEY,), clock=lambda: int((NOON + 2) * 1e9))


def judged(judge: AuditJudge, *bodies: bytes, chunk: int = 1 << 20) -> list[Judged]:
    found = []
    for body in bodies:
        reader = judge.body("control-plane")
        found += [reader.feed(body[start : start + chunk]) for start in range(0, len(body), chunk)]
        found.append(reader.close())
    return found


def detections(judge, *bodies, **options):
    return [one for part in judged(judge, *bodies, **options) for one in part.detections]


def rules(found):
    return {f"{one.policy}/{one.rule}" for one in found}


def ids(found):
    return {one.id for one in found}


BINDING = "k8s-cluster-admin-binding/created"


def test_a_binding_of_cluster_admin_is_a_detection(judge):
    assert any(name.startswith("k8s-cluster-admin-binding/") for name in rules(detections(judge, a_batch(an_administrator_binding()))))


@pytest.mark.parametrize("chunk", [1, 100, 4096])
def test_a_batch_is_judged_alike_however_it_is_cut(judge, chunk):
    body = a_batch(an_audit_event(1), an_administrator_binding(2), an_audit_event(3))
    assert ids(detections(judge, body, chunk=chunk)) == ids(detections(judge, body))


def test_a_batch_that_comes_twice_gives_the_same_detections(judge):
    body = a_batch(an_administrator_binding())
    assert ids(detections(judge, body)) == ids(detections(judge, body)) != set()


def test_the_same_request_is_the_same_wherever_it_stands_in_a_batch(judge):
    assert ids(detections(judge, a_batch(an_administrator_binding()))) == ids(detections(judge, a_batch(an_audit_event(9), an_administrator_binding())))


def test_an_audit_id_that_was_used_before_hides_no_request(judge):
    first = an_audit_event(1, auditID="chosen-by-the-client")
    second = an_administrator_binding(2, auditID="chosen-by-the-client")
    third = an_administrator_binding(3, auditID="chosen-by-the-client")
    assert len(ids(detections(judge, a_batch(first), a_batch(second), a_batch(third)))) == 2 * len(ids(detections(judge, a_batch(second))))


def test_a_session_is_judged_at_its_start_and_not_again_at_its_end(judge):
    session = an_audit_event(
        5,
        verb="get",
        requestURI="/api/v1/namespaces/shop/pods/web/exec?command=nsenter&command=-t&command=1&stdout=true",
        objectRef={"resource": "pods", "namespace": "shop", "name": "web", "subresource": "exec", "apiVersion": "v1"},
        stage="ResponseStarted",
        responseStatus={"metadata": {}, "code": 101},
    )
    begun = detections(judge, a_batch(session))
    assert "k8s-exec-break-out-tool/enters-the-node" in rules(begun)
    assert detections(judge, a_batch(session | {"stage": "ResponseComplete", "stageTimestamp": "2026-03-12T02:56:00.000000Z"})) == []


def test_stages_that_two_replicas_received_give_one_detection():
    def of_a_replica(stage):
        alone = AuditJudge(library_program(), keys=tuple, clock=lambda: 0)
        return ids(detections(alone, a_batch(an_administrator_binding(stage=stage))))

    assert of_a_replica("ResponseStarted") == of_a_replica("ResponseComplete") != set()


def test_a_truncated_event_is_counted_and_its_time_told(judge):
    (part, _) = judged(judge, a_batch(an_audit_event(1), an_audit_event(2, annotations={"audit.k8s.io/truncated": "true"})))
    assert (part.events, part.truncated, part.oldest < part.newest) == (2, 1, True)


def test_a_record_that_is_no_audit_event_is_counted_and_the_others_are_judged(judge):
    body = a_batch(an_audit_event(1), {"neither": "nor"}, an_administrator_binding(2))
    parts = judged(judge, body)
    assert sum(part.rejected for part in parts) == 1
    assert sum(part.events for part in parts) == 2
    assert any(name.startswith("k8s-cluster-admin-binding/") for part in parts for name in rules(part.detections))


def test_a_value_that_a_rule_has_learned_is_told_once_and_only_when_it_was_stored():
    judge = AuditJudge(library_program(), keys=tuple, clock=lambda: 0)
    learning = {rule.state_key for rule in library_program().rules if rule.first_seen}

    def told(number):
        body = judge.body("control-plane")
        parts = [body.feed(a_batch(an_administrator_binding(number))), body.close()]
        return body, [match for part in parts for match in part.matches if match.rule in learning]

    _, first = told(1)
    unstored, again = told(2)
    assert len(first) == len(again) > 0
    judge.remember(unstored.fresh)
    _, after = told(3)
    assert after == []


# canaries


def a_canary(number: int = 1, *, made: str | None = None, **parts):
    agent = PREFIX + (made or nonce(KEY, int(NOON), bytes(RANDOM_BYTES)))
    return (
        an_audit_event(
            number,
            user={"username": CANARY_USER, "groups": ["system:serviceaccounts"]},
            userAgent=agent,
            verb="list",
            requestURI="/api/v1/secrets",
            objectRef={"resource": "secrets", "apiVersion": "v1"},
            responseStatus={"metadata": {}, "status": "Failure", "code": 403},
        )
        | parts
    )


def outcome(judge, event):
    parts = judged(judge, a_batch(event))
    return sum(len(part.arrivals) for part in parts), sum(part.found for part in parts) > 0


def test_a_canary_is_an_arrival_with_its_true_level_and_delay_and_nothing_else(judge):
    (part, _) = judged(judge, a_batch(a_canary(level="Metadata")))
    (arrival,) = part.arrivals
    assert (arrival.verb, arrival.uri, arrival.level, round(arrival.delay_seconds)) == ("list", "/api/v1/secrets", "Metadata", 2)
    assert part.found == 0


@pytest.mark.parametrize(
    "parts",
    {
        "another account with the nonce": {"user": {"username": "system:serviceaccount:shop:web"}},
        "a nonce that nobody made": {"userAgent": PREFIX + "A" * 44},
        "no nonce": {"userAgent": "kubectl/v1.37.2"},
        "a request that was served": {"responseStatus": {"metadata": {}, "code": 200}},
        "a nonce of yesterday": {"userAgent": PREFIX + nonce(KEY, int(NOON) - 86_400, bytes(RANDOM_BYTES))},
        "a nonce of another key": {"userAgent": PREFIX + nonce(b"x" * 32, int(NOON), bytes(RANDOM_BYTES))},
    }.items(),
    ids=lambda case: case[0],
)
def test_rules_overlook_nothing_but_a_refused_request_of_that_account_with_a_young_nonce(parts, judge):
    assert outcome(judge, a_canary(**parts[1])) == (0, True)
