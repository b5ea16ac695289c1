"""What the bare API server of other tests promises them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from tests.support.api_server import ApiServer

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: RequestResponse, resources: [{group: rbac.authorization.k8s.io}]}
- {level: None}
"""


def test_users_have_the_rights_that_rbac_gives_them(api_server):
    alice = api_server.kubeconfig_for("alice", "shop")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        api_server.kubectl("get", "nodes", kubeconfig=alice)
    assert 'User "alice" cannot list resource "nodes"' in refused.value.stderr
    api_server.kubectl("create", "clusterrole", "shop-nodes", "--verb=list", "--resource=nodes")
    api_server.kubectl("create", "clusterrolebinding", "shop-nodes", "--clusterrole=shop-nodes", "--group=shop")
    deadline = time.monotonic() + 5
    while api_server.kubectl("auth", "can-i", "list", "nodes", kubeconfig=alice, check=False).strip() != "yes":
        assert time.monotonic() < deadline
    assert api_server.kubectl("get", "nodes", kubeconfig=alice) == ""


@pytest.mark.parametrize("kill", [False, True])
def test_objects_outlive_a_restart(api_server, kill):
    name = f"outlives-{kill}".lower()
    api_server.kubectl("create", "namespace", name)
    api_server.restart(kill=kill)
    assert api_server.kubectl("get", "namespace", name, "-o", "name") == f"namespace/{name}\n"


def test_audit_events_are_logged_as_the_policy_says(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    with ApiServer(audit_policy=policy) as server:
        server.kubectl("create", "clusterrolebinding", "watched", "--clusterrole=view", "--user=mallory")
        events = [json.loads(line) for line in server.audit_log.read_text().splitlines()]
    (event,) = (event for event in events if event["verb"] == "create" and event["user"]["username"] == "administrator")
    assert event["requestObject"]["subjects"][0]["name"] == "mallory"


def test_controllers_collect_what_a_deleted_owner_leaves():
    with ApiServer(controllers=True) as server:
        server.kubectl("create", "deployment", "owner", "--image=none")
        deadline = time.monotonic() + 20
        while not server.kubectl("get", "replicasets", "-o", "name"):
            assert time.monotonic() < deadline
        server.kubectl("delete", "deployment", "owner", "--cascade=background")
        while server.kubectl("get", "replicasets", "-o", "name"):
            assert time.monotonic() < deadline


def test_nothing_outlives_tests_that_are_killed():
    program = """
        from tests.support.api_server import ApiServer
        import time
        with ApiServer() as server:
            print(server.folder, *(process.pid for process in server._processes.values()), flush=True)
            time.sleep(60)
    """
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True, cwd=root) as tests:
        folder, *pids = tests.stdout.readline().split()
        tests.send_signal(signal.SIGKILL)
        tests.wait()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}/cmdline").exists() and folder.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids):
        assert time.monotonic() < deadline
    with ApiServer():  # the next one removes the folder
        assert not os.path.lexists(folder)
