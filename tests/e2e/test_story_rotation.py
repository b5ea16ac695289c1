"""Story: the authority's root is replaced, then put back from a backup. Sensors, operator and audit log go on."""

from __future__ import annotations

import base64
import json
import uuid

import pytest
from tests.support.cluster.disturbing import SECONDS, acts
from tests.support.cluster.installation import SYSTEM, eventually
from tests.support.tenants import a_policy, await_in_force, in_root

LONG_AGO = "2020-01-01T00:00:00+00:00"
SENSORS, COLLECTOR = (f"app.kubernetes.io/name=watchkeeper-{name}" for name in ("sensor", "collector"))


def secret(installation, name="watchkeeper-ca"):
    return json.loads(installation.kubectl("get", "secret", name, "--namespace", SYSTEM, "--output", "json"))["data"]


def decoded(text):
    return base64.b64decode(text).decode()


def bundle(installation):
    return json.loads(installation.kubectl("get", "configmap", "watchkeeper-ca", "--namespace", SYSTEM, "--output", "json"))["data"]["ca.crt"]


def spread(installation):
    """Has kubelets write what changed into the pods' volumes now, instead of within two minutes; returns when sensors have the bundle."""
    wanted = bundle(installation)
    selector = "app.kubernetes.io/name in (watchkeeper-sensor,watchkeeper-collector)"
    installation.kubectl("annotate", "pods", "--namespace", SYSTEM, "--selector", selector, "--overwrite", f"watchkeeper.test/looked={uuid.uuid4().hex}")
    names = [one["metadata"]["name"] for one in installation.objects("pods", "--namespace", SYSTEM, "--selector", SENSORS)]
    for name in names:
        read = ("exec", "--namespace", SYSTEM, name, "--", "/opt/watchkeeper/bin/python3", "-c", "print(open('/etc/watchkeeper/ca/ca.crt').read(), end='')")
        eventually(f"{name} has the bundle", lambda read=read: installation.kubectl(*read) == wanted, SECONDS, every=2.0)


def served_by(installation):
    """Whether the collector's files are below the root that signs now."""
    return "ca.crt" in secret(installation, "watchkeeper-collector-tls") and decoded(secret(installation, "watchkeeper-collector-tls")["ca.crt"]) == bundle(
        installation
    )


@pytest.fixture
def put_back(installation):
    """The authority as it was, from a copy of its Secret: the API server's own files on the control plane are below it."""
    before = secret(installation)
    yield before
    words = ("secret", "watchkeeper-ca", "--namespace", SYSTEM)
    installation.kubectl("annotate", *words, "watchkeeper.dev/rotate-")  # else it would be asked for again
    data = {**dict.fromkeys(secret(installation)), **before}
    installation.kubectl("patch", *words, "--type", "merge", "--patch", json.dumps({"data": data}))
    eventually("the root of before is the only one trusted", lambda: bundle(installation) == decoded(before["ca.crt"]), SECONDS)
    eventually("the collector has what it signs", lambda: served_by(installation), SECONDS)
    spread(installation)


def audited(installation, marker):
    """A request about a name that nobody has is told of from the audit log."""
    asked = {"on": ["audit.request"], "when": f'audit.objectRef.name == "{marker}"', "message": "asked for"}
    with in_root(installation, a_policy(marker, marker, namespace="watchkeeper", severity="P2", **asked)):
        await_in_force(installation, "watchkeeper", marker)
        installation.kubectl("get", "clusterrolebinding", marker, "--ignore-not-found")
        eventually("a request is told of from the audit log", lambda: installation.incidents(f"watchkeeper/{marker}"), SECONDS)


def test_a_new_root_is_taken_up_and_the_old_one_restored_without_a_lost_detection(installation, work, put_back):
    old = decoded(put_back["ca.crt"])
    with acts(installation, work) as going_on:
        installation.kubectl("annotate", "--overwrite", "secret", "watchkeeper-ca", "--namespace", SYSTEM, f"watchkeeper.dev/rotate={uuid.uuid4().hex}")
        eventually("the next root is trusted", lambda: bundle(installation).count("BEGIN CERTIFICATE") == 2, SECONDS)
        spread(installation)
        moved = json.dumps({"data": {"next-since": base64.b64encode(LONG_AGO.encode()).decode()}})
        installation.kubectl("patch", "secret", "watchkeeper-ca", "--namespace", SYSTEM, "--type", "merge", "--patch", moved)
        eventually("the next root signs", lambda: decoded(secret(installation)["ca.crt"]) != old, SECONDS)
        assert decoded(secret(installation)["previous.crt"]) == old
        eventually("the collector has what it signs", lambda: served_by(installation), SECONDS)
        spread(installation)
        audited(installation, f"rotated-{uuid.uuid4().hex[:8]}")
        going_on.each_told_once()
