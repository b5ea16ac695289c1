"""Story: operator and sensors are replaced by another version, while attacks go on: there is no moment in which nobody watches, and nothing is lost."""

from __future__ import annotations

import time

import pytest
from tests.support.cluster.disturbing import SECONDS, acts, await_ready, blind_of
from tests.support.cluster.installation import SYSTEM, eventually

OPERATOR, SENSORS = "deployment/watchkeeper-operator", "daemonset/sensor-all-nodes"
VARIABLE = "WATCHKEEPER_SENSOR_IMAGE"


def image(installation):
    return installation.kubectl("get", "--namespace", SYSTEM, SENSORS, "--output", "jsonpath={.spec.template.spec.containers[0].image}")


@pytest.fixture
def another(installation):
    """The same image of sensors by another name, on every node; the installation has the one of before at the end."""
    before = image(installation)
    name = f"{before}-next"
    for node in installation.cluster.nodes():
        installation.cluster.docker(
            "exec", node, "ctr", "--namespace", "k8s.io", "images", "tag", "--force", f"docker.io/library/{before}", f"docker.io/library/{name}"
        )
    yield name
    roll_to(installation, before)


def roll_to(installation, name):
    installation.kubectl("set", "env", "--namespace", SYSTEM, OPERATOR, f"{VARIABLE}={name}")
    await_ready(installation, OPERATOR)
    eventually("the DaemonSet has the image", lambda: image(installation) == name, SECONDS)
    await_ready(installation, SENSORS)


def test_an_upgrade_of_operator_and_sensors_leaves_no_moment_unwatched(installation, work, another):
    nodes = installation.cluster.nodes()
    with acts(installation, work) as going_on:
        began = time.time_ns()
        roll_to(installation, another)
        going_on.await_more()
        told = going_on.all_told()
    twice = sum(len(each) - 1 for each in told.values())
    print(f"told by both sensors: {twice}")
    for node in nodes:
        assert [span for span in blind_of(installation, node, began) if "stopped" in span[2] or "killed" in span[2]] == []
