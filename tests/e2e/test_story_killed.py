"""Story: Watchkeeper's processes are killed, or replaced one after the other, while attacks go on. No detection is lost, none is told twice."""

from __future__ import annotations

import pytest
from tests.support.cluster.disturbing import acts, await_ready, kill, pod_of
from tests.support.cluster.installation import SYSTEM, eventually

OPERATOR, COLLECTOR = (f"app.kubernetes.io/name=watchkeeper-{name}" for name in ("operator", "collector"))
DEPLOYMENTS = ("deployment/watchkeeper-collector", "deployment/watchkeeper-operator")


@pytest.fixture
def going_on(installation, work):
    """Acts; at the end both processes are ready, whatever was done to them."""
    with acts(installation, work) as begun:
        yield begun
        await_ready(installation, *DEPLOYMENTS)


def test_operator_and_collector_killed_while_acts_go_on_lose_no_detection(installation, going_on):
    kill(installation, COLLECTOR)
    going_on.await_more()
    kill(installation, OPERATOR)
    going_on.await_more()
    await_ready(installation, *DEPLOYMENTS)
    going_on.each_told_once()


def test_both_replaced_at_once_lose_no_detection(installation, going_on):
    before = {pod_of(installation, one)["metadata"]["uid"] for one in (OPERATOR, COLLECTOR)}
    installation.kubectl("rollout", "restart", "--namespace", SYSTEM, *DEPLOYMENTS)
    await_ready(installation, *DEPLOYMENTS)
    assert before.isdisjoint(pod_of(installation, one)["metadata"]["uid"] for one in (OPERATOR, COLLECTOR))
    going_on.each_told_once()


def test_pods_deleted_without_grace_lose_no_detection(installation, going_on):
    for one in (OPERATOR, COLLECTOR):
        name = pod_of(installation, one)["metadata"]["name"]
        installation.kubectl("delete", "pod", name, "--namespace", SYSTEM, "--grace-period=0", "--force")
        eventually("another pod", lambda one=one, name=name: pod_of(installation, one)["metadata"]["name"] != name, 60)
    await_ready(installation, *DEPLOYMENTS)
    going_on.each_told_once()
