"""The DaemonSet that a Sensor makes, and what its pod may do."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchkeeper_operator.names import APPLIED_ANNOTATION
from watchkeeper_operator.sensors.daemon_set import PRIVILEGES, Image, daemon_set, digest
from watchkeeper_operator.shapes import Metadata, Object
from watchkeeper_sensor.kernel.privileges import KEPT

DOCS = Path(__file__).parents[3] / "docs" / "sensor.md"
IMAGE = Image("sensor:1", "1")


def a_sensor(name="all", created="2026-01-01T00:00:00Z", **spec):
    return Object(metadata=Metadata(name=name, uid=f"uid-{name}", creation_timestamp=created, generation=1), spec=spec)


def pod(sensor, *older):
    return daemon_set(sensor, older, IMAGE)["spec"]["template"]["spec"]


def test_the_same_sensor_makes_the_same_object():
    assert daemon_set(a_sensor(), [], IMAGE) == daemon_set(a_sensor(), [], IMAGE)
    assert digest(daemon_set(a_sensor(), [], IMAGE)) == digest(daemon_set(a_sensor(), [], IMAGE))


CHANGES = {
    "another image": lambda: daemon_set(a_sensor(), [], Image("sensor:2", "2")),
    "tolerations": lambda: daemon_set(a_sensor(tolerations=[]), [], IMAGE),
    "resources": lambda: daemon_set(a_sensor(resources={"limits": {"memory": "1Gi"}}), [], IMAGE),
    "nodes": lambda: daemon_set(a_sensor(nodeSelector={"matchLabels": {"a": "b"}}), [], IMAGE),
    "an older sensor": lambda: daemon_set(a_sensor(), [a_sensor("old", nodeSelector={"matchLabels": {"a": "b"}})], IMAGE),
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_digest_for(what):
    changed, before = CHANGES[what](), daemon_set(a_sensor(), [], IMAGE)
    assert changed["metadata"]["annotations"][APPLIED_ANNOTATION] != before["metadata"]["annotations"][APPLIED_ANNOTATION]


def test_event_kinds_and_limits_go_by_the_feed_and_restart_nothing():
    assert pod(a_sensor(eventKinds=["process.*"], limits={"recordsPerSecond": 100})) == pod(a_sensor())


def test_every_taint_is_tolerated_unless_told_otherwise():
    assert pod(a_sensor())["tolerations"] == [{"operator": "Exists"}]
    assert pod(a_sensor(tolerations=[]))["tolerations"] == []


def test_all_nodes_need_no_affinity_and_what_an_older_sensor_has_is_left_to_it():
    assert "affinity" not in pod(a_sensor())
    terms = pod(a_sensor("young"), a_sensor("old", nodeSelector={"matchLabels": {"pool": "a"}}))["affinity"]["nodeAffinity"]
    assert terms["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] == [
        {"matchExpressions": [{"key": "pool", "operator": "NotIn", "values": ["a"]}]}
    ]


def test_a_sensor_to_which_nothing_is_left_runs_nowhere():
    (term,) = pod(a_sensor("young"), a_sensor("old"))["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {one["operator"] for one in term["matchExpressions"]} == {"Exists", "DoesNotExist"}
    assert len({one["key"] for one in term["matchExpressions"]}) == 1


def test_the_pod_is_not_privileged_and_has_no_rights_in_the_cluster():
    made = pod(a_sensor())
    (container,) = made["containers"]
    assert container["securityContext"]["privileged"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert made["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostIPC"} & made.keys()
    (token,) = [source["serviceAccountToken"] for volume in made["volumes"] if "projected" in volume for source in volume["projected"]["sources"]]
    assert token["audience"] == "watchkeeper-collector"


def test_only_its_state_folder_on_the_node_can_be_written():
    made = pod(a_sensor())
    on_node = {volume["name"] for volume in made["volumes"] if "hostPath" in volume}
    writable = {mount["name"] for mount in made["containers"][0]["volumeMounts"] if mount["name"] in on_node and not mount.get("readOnly")}
    assert writable == {"state"}


def test_it_has_the_capabilities_that_the_sensor_keeps_and_those_it_gives_up_after_the_start():
    assert set(PRIVILEGES) == {name.removeprefix("CAP_") for name in KEPT} | {"SYS_NICE", "SETPCAP"}


@pytest.mark.parametrize("capability", PRIVILEGES)
def test_docs_say_why_it_has(capability):
    assert f"`CAP_{capability}`" in DOCS.read_text()


def test_an_upgrade_leaves_no_node_unwatched():
    assert daemon_set(a_sensor(), [], IMAGE)["spec"]["updateStrategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
