"""What a leader that lost the Lease still writes is refused, and nobody else is; and all policies go by one command."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.admission import EPOCH, OPERATOR, install, lease, moved, stored
from tests.support.api_client import ApiClient
from tests.support.api_server import ApiServer
from tests.support.cluster_objects import a_sensor, an_action, an_incident, fenced
from tests.support.policy_objects import a_policy, an_exception, renamed

WITHIN_90_DAYS, LATER = ((datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ") for days in (1, 2))


def config_map(epoch):
    return fenced({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"of-{epoch}", "namespace": "watchkeeper-system"}}, epoch)


def a_status(policy, epoch):
    return {**policy, "status": {"observedGeneration": 1} | ({} if epoch is None else {"epoch": epoch})}


@pytest.mark.parametrize("epoch", [EPOCH - 1, EPOCH + 1, None])
def test_a_status_of_another_epoch_is_refused(guarded, epoch):
    policy = stored(guarded, a_policy(), f"fenced-{epoch}".lower())
    answer = guarded.replace(a_status(policy, epoch), subresource="status", user=OPERATOR)
    assert f"not the leader: status.epoch {-1 if epoch is None else epoch} was written and the Lease is at {EPOCH}" in answer.message
    assert guarded.replace(a_status(policy, EPOCH), subresource="status", user=OPERATOR).taken


def test_the_annotation_does_not_stand_in_for_the_epoch_of_a_status(guarded):
    policy = stored(guarded, a_policy(), "annotated")
    answer = guarded.replace(fenced(a_status(policy, None)), subresource="status", user=OPERATOR)
    assert "not the leader" in answer.message


def test_what_else_the_operator_writes_is_fenced_and_others_are_not(guarded):
    assert guarded.create(config_map(EPOCH), user=OPERATOR).taken
    assert "not the leader" in guarded.create(config_map(EPOCH - 1), user=OPERATOR).message
    assert guarded.create(config_map(EPOCH - 1)).taken


@pytest.fixture
def own():
    """A server whose Lease is this test's."""
    with ApiServer() as server:
        install(server)
        with ApiClient(server) as client:
            yield client


def refused_within(seconds, ask):
    end = time.monotonic() + seconds
    while (answer := ask()).taken:
        assert time.monotonic() < end
    return answer


def test_when_the_lease_moves_on_or_is_gone_a_former_leader_is_refused_and_nobody_else(own):
    policy = stored(own, a_policy(), "one")
    config = own.create(config_map(EPOCH), user=OPERATOR, dry_run=False).object
    assert own.replace(a_status(policy, EPOCH), subresource="status", user=OPERATOR).taken
    assert own.merge(lease(), {"spec": {"leaseTransitions": EPOCH + 1}}, dry_run=False).taken
    began = time.monotonic()
    answer = refused_within(10, lambda: own.replace(a_status(policy, EPOCH), subresource="status", user=OPERATOR))
    print(f"former leader refused {(time.monotonic() - began) * 1000:.0f} ms after the Lease moved on")
    assert f"the Lease is at {EPOCH + 1}" in answer.message
    assert "not the leader" in refused_within(10, lambda: own.merge(config, {"data": {"a": "b"}}, user=OPERATOR)).message
    assert own.replace(a_status(policy, EPOCH + 1), subresource="status", user=OPERATOR).taken

    assert own.delete(lease(), dry_run=False).taken
    refused_within(10, lambda: own.replace(a_status(policy, EPOCH + 1), subresource="status", user=OPERATOR))
    for written in (renamed(a_policy(), "two"), an_exception(), an_action(), a_sensor(), config_map(0)):
        assert own.create(written).taken
    exception = stored(own, moved(an_exception(until=WITHIN_90_DAYS), "shop"), "ends")
    assert own.merge(exception, {"spec": {"until": LATER}}).taken


def test_one_command_takes_all_of_it_away():
    with ApiServer() as server:
        install(server)
        words = ["validatingadmissionpolicies,validatingadmissionpolicybindings", "-l", "app.kubernetes.io/part-of=watchkeeper"]
        server.kubectl("delete", *words)
        with ApiClient(server) as client:
            assert server.kubectl("get", *words) == ""
            end = time.monotonic() + 10
            while not client.create(an_incident()).taken:
                assert time.monotonic() < end
