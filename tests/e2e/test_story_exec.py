"""Story: somebody opens a shell in a container, or brings a program along and runs it."""

from __future__ import annotations

import time

import pytest
from tests.support.cluster.installation import eventually
from tests.support.cluster.told import entities, telling

SECONDS = 120


@pytest.fixture
def developer(work, people, tmp_path):
    """Kubeconfig of a person who may do anything in the namespace, and the person's name."""
    name = f"dev-{work.namespace}"
    work.kubectl("create", "rolebinding", "developer", "--clusterrole=edit", f"--user={name}")
    return people.kubeconfig(tmp_path, name), name


def test_a_shell_opened_in_a_pod_is_an_incident_that_names_pod_workload_person_policy_and_next_step(installation, work, developer):
    kubeconfig, person = developer
    pod = work.deploy("web")
    began = time.monotonic()
    work.terminal(pod, "busybox true\nexit\n", kubeconfig=kubeconfig)
    incident = eventually("shell in a container → incident", lambda: telling(installation, "container-shell-opened", f"{work.namespace}/{pod}"), SECONDS)
    print(f"from the exec on: {time.monotonic() - began:.1f} s")
    assert f"{work.namespace}/{pod}" in entities(incident, "pod")
    assert f"{work.namespace}/web" in entities(incident, "workload")
    status = incident["status"]
    assert "watchkeeper/container-shell-opened" in status["policies"]
    assert any(step.startswith("watchkeeper/container-shell-opened: What it means") for step in status["nextSteps"])
    assert status["severity"] in {"P1", "P2", "P3"}
    assert "T1609" in status["attack"]
    incident = eventually(
        "who opened it, by the audit log", lambda: telling(installation, "container-shell-opened", f"{work.namespace}/{pod}", f"{person} ran"), SECONDS
    )


def test_a_program_written_into_a_container_and_run_is_an_incident(installation, work, developer):
    kubeconfig, _ = developer
    pod = work.deploy("shop")
    work.shell(pod, "busybox cp /bin/busybox /dropped; /dropped; true", kubeconfig=kubeconfig)
    incident = eventually("drift → incident", lambda: telling(installation, "container-drift-executed", f"{work.namespace}/{pod}", "/dropped"), SECONDS)
    assert incident["status"]["severity"] in {"P1", "P2"}
    assert f"{work.namespace}/shop" in entities(incident, "workload")
    assert any("rebuild from the image" in step.lower() for step in incident["status"]["nextSteps"])
