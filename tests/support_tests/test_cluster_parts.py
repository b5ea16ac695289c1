"""What the test cluster is made from, where no cluster is needed to see it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from tests.support.cluster import audit, forwarding
from tests.support.cluster.configuration import VOLUMES, configuration
from tests.support.cluster.fake_objects import node, pod_status
from tests.support.cluster.go import kept
from tests.support.cluster.steps import NoKubernetesError, output

RUN = Path("/run-of-tests")


def configured(**options):
    return configuration(**{"run": RUN, "workers": 2, "port": 6443, "flags": audit.FLAGS, "local": True, **options})


def patch(made, kind):
    (found,) = (one for text in made["kubeadmConfigPatches"] if (one := yaml.safe_load(text))["kind"] == kind)
    return found


def test_every_node_of_ours_shares_the_folder_of_volumes():
    made = configured()
    assert [one["role"] for one in made["nodes"]] == ["control-plane", "worker", "worker"]
    assert all({"hostPath": f"{RUN}/volumes", "containerPath": VOLUMES} in one["extraMounts"] for one in made["nodes"])


def test_an_ordinary_kind_keeps_its_own_network_and_volumes():
    made = configured(local=False)
    assert "disableDefaultCNI" not in made["networking"]
    assert VOLUMES not in yaml.safe_dump(made)


def test_the_api_server_gets_the_flags_of_the_webhook_beside_those_of_the_log():
    flags = {one["name"]: one["value"] for one in patch(configured(), "ClusterConfiguration")["apiServer"]["extraArgs"]}
    assert flags["audit-webhook-batch-max-wait"] == "1s"
    assert flags["audit-webhook-truncate-enabled"] == "true"
    assert flags["audit-policy-file"] == "/etc/kubernetes/audit/policy.yaml"
    assert patch(configured(), "KubeletConfiguration") == {"kind": "KubeletConfiguration", "failCgroupV1": False}


def test_the_webhook_is_reached_by_its_name_with_a_certificate(tmp_path):
    assert audit.prepare(tmp_path, policy="", webhook="") == audit.FLAGS
    kubeconfig = yaml.safe_load((tmp_path / "audit" / "webhook.kubeconfig").read_text())
    assert kubeconfig["clusters"][0]["cluster"]["tls-server-name"] == audit.SERVER_NAME
    assert {path.name for path in (tmp_path / "audit").iterdir()} == {*audit.WEBHOOK, "policy.yaml"}
    assert "ca.key" not in {path.name for path in (tmp_path / "audit").iterdir()}


def test_a_webhook_folder_that_lacks_a_file_is_refused_by_its_name(tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    (given / "ca.crt").touch()
    with pytest.raises(NoKubernetesError, match=r"has no apiserver\.crt, apiserver\.key, webhook\.kubeconfig"):
        audit.prepare(tmp_path / "run", policy="", webhook=str(given))


def test_no_webhook_is_possible(tmp_path):
    assert audit.prepare(tmp_path, policy="", webhook="none") == {}


def test_what_is_kept_is_made_once_by_however_many_ask(tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        (folder / "part").write_text("whole")

    threads = [threading.Thread(target=lambda: kept(tmp_path / "kept", make, "what is kept")) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(made) == 1
    assert (tmp_path / "kept" / "part").read_text() == "whole"


def test_what_fails_half_way_is_not_kept(tmp_path):
    def make(folder):
        (folder / "part").write_text("half")
        output("false")

    with pytest.raises(NoKubernetesError, match="status 1"):
        kept(tmp_path / "kept", make, "what is kept")
    assert not (tmp_path / "kept").exists()


def test_a_failed_command_says_what_it_said():
    with pytest.raises(NoKubernetesError, match="no such thing"):
        output("sh", "-c", "echo no such thing >&2; exit 3")


def test_connections_are_carried_both_ways_until_either_side_ends():
    with socket.create_server(("127.0.0.1", 0)) as target, socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, forwarding.__file__, str(listening.fileno()), str(target.getsockname()[1])]
        with subprocess.Popen(command, pass_fds=[listening.fileno()]) as process:
            with socket.create_connection(listening.getsockname(), timeout=10) as caller:
                caller.sendall(b"question")
                caller.shutdown(socket.SHUT_WR)
                answering, _ = target.accept()
                with answering:
                    assert answering.makefile("rb").read() == b"question"
                    answering.sendall(b"answer")
                assert caller.makefile("rb").read() == b"answer"
            process.terminate()


def test_fake_nodes_have_no_label_that_a_real_daemon_selects_and_addresses_that_no_pod_has():
    assert "kubernetes.io/os" not in node(7)["metadata"]["labels"]
    addresses = {pod_status(number, 500)["podIP"] for number in range(5000)}
    assert len(addresses) == 5000
    assert all(address.startswith("100.64.") for address in addresses)
