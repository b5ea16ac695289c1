"""Story: Watchkeeper is backed up, taken off the cluster and put back, by the commands of docs/install.md. Nothing of it stays but files on nodes, and what it knew it knows again."""

from __future__ import annotations

import base64
import json
import shlex
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from tests.support.cluster import installation as installing
from tests.support.cluster.disturbing import PYTHON, SECONDS, acts
from tests.support.cluster.installation import REPOSITORY, SYSTEM, eventually

PART = ("--selector", "app.kubernetes.io/part-of=watchkeeper")
KINDS = "validatingadmissionpolicies,validatingadmissionpolicybindings,clusterroles,clusterrolebindings,customresourcedefinitions,namespaces,priorityclasses"
COPY = """
import base64, os, sqlite3
copy = "/var/lib/watchkeeper/backup.db"
sqlite3.connect("/var/lib/watchkeeper/operator.db").execute(f"VACUUM INTO '{copy}'")
print(base64.b64encode(open(copy, "rb").read()).decode())
os.unlink(copy)
"""


@dataclass(frozen=True)
class Backup:
    store: str  # base64
    secret: dict[str, Any]
    lease: dict[str, Any]
    incidents: dict[str, Any]  # name → what its object says


@pytest.fixture
def images(installation):
    """What runs now; installed at the end, however the test ended."""
    found = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0] for one in installation.objects("deployments", "--namespace", SYSTEM, *PART)
    }
    operator = found["watchkeeper-operator"]
    (sensor,) = [one["value"] for one in operator["env"] if one["name"] == "WATCHKEEPER_SENSOR_IMAGE"]
    named = {"operator": operator["image"], "sensor": sensor}
    yield named
    if not installation.kubectl("get", "daemonsets", "--namespace", SYSTEM, "--ignore-not-found", "--output", "name"):
        installing.put_on(installation.cluster, named)


def documented(heading):
    """Words of each command in the first block below the heading of docs/install.md."""
    block = (REPOSITORY / "docs" / "install.md").read_text().partition(f"## {heading}\n")[2].split("```")[1]
    return [[in_tree(word) for word in shlex.split(line)[1:]] for line in block.splitlines() if line.startswith("kubectl ")]


def in_tree(word):
    return str(REPOSITORY / word) if word == "crds" or word.startswith("manifests/") else word


def told(installation):
    """Incidents by name: title, severity and when they began."""
    return {
        one["metadata"]["name"]: (one["status"]["title"], one["status"]["severity"], one["status"]["times"]["began"])
        for one in installation.objects("incidents", "--namespace", "watchkeeper")
        if "times" in one.get("status", {})
    }


def backed_up(installation):
    def bare(kind, name):
        one = json.loads(installation.kubectl("get", kind, name, "--namespace", SYSTEM, "--output", "json"))
        return one | {"metadata": {key: value for key, value in one["metadata"].items() if key in ("name", "namespace", "annotations", "labels")}}

    incidents = told(installation)
    store = installation.kubectl("exec", "--namespace", SYSTEM, "deployment/watchkeeper-operator", "--", PYTHON, "-c", COPY)
    return Backup(store, bare("secret", "watchkeeper-ca"), bare("lease", "watchkeeper-operator"), incidents)


def restore(installation, work, backup, images):
    installation.kubectl("apply", "--server-side", "--kustomize", in_tree("crds"))
    installation.kubectl("apply", "--server-side", "--filename", in_tree("manifests/base/namespaces.yaml"))
    installation.kubectl("create", "--filename", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [backup.secret, backup.lease]}))
    objects = yaml.safe_load_all((REPOSITORY / "manifests" / "base" / "operator.yaml").read_text())
    installation.apply(next(one for one in objects if one["kind"] == "PersistentVolumeClaim"))
    volumes = [{"name": "store", "persistentVolumeClaim": {"claimName": "watchkeeper-operator"}}]
    pod = work.pod("restore", container={"volumeMounts": [{"name": "store", "mountPath": "/store"}]}, volumes=volumes)
    system = ("--namespace", SYSTEM)
    installation.apply(pod | {"metadata": pod["metadata"] | {"namespace": SYSTEM}})
    installation.kubectl("wait", *system, "--for=condition=Ready", "--timeout=120s", "pod/restore")
    write = "busybox base64 -d >/store/operator.db && busybox chown 65532:65532 /store/operator.db"
    installation.kubectl("exec", *system, "--stdin", "restore", "--", "/bin/busybox", "sh", "-c", write, stdin=backup.store)
    size = installation.kubectl("exec", *system, "restore", "--", "/bin/busybox", "stat", "-c", "%s", "/store/operator.db")
    assert int(size) == len(base64.b64decode(backup.store))
    installation.kubectl("delete", *system, "pod", "restore", "--timeout=60s")
    installing.put_on(installation.cluster, images)


def test_taken_off_nothing_is_left_and_put_back_it_knows_what_it_knew(installation, work, images):
    with acts(installation, work) as going_on:
        going_on.each_told_once()
    backup = backed_up(installation)
    assert backup.incidents
    commands = documented("Uninstall")
    assert len(commands) == 4
    for words in commands:
        installation.kubectl(*words, "--timeout=180s")
    assert installation.kubectl("get", KINDS, *PART, "--output", "name") == ""
    assert [line for line in installation.kubectl("api-resources", "--output", "name").splitlines() if line.endswith("watchkeeper.dev")] == []
    assert [line for line in installation.kubectl("get", KINDS, "--output", "name").splitlines() if "watchkeeper" in line] == []
    restore(installation, work, backup, images)
    secret = json.loads(installation.kubectl("get", "secret", "watchkeeper-ca", "--namespace", SYSTEM, "--output", "json"))
    assert secret["data"]["ca.crt"] == backup.secret["data"]["ca.crt"]
    eventually(f"all {len(backup.incidents)} incidents are there again", lambda: backup.incidents.keys() <= told(installation).keys(), SECONDS)
    again = told(installation)
    assert {name: again[name][2] for name in backup.incidents} == {name: began for name, (_, _, began) in backup.incidents.items()}
    with acts(installation, work) as going_on:
        going_on.each_told_once()
