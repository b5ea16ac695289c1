"""Who reaches whom in watchkeeper-system: the shipped NetworkPolicies, with the labels and ports that our own pods have."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
import yaml
from tests.support.network_policies import Host, Pod, connects

from watchkeeper_operator.collector.settings import Settings as CollectorSettings
from watchkeeper_operator.names import SYSTEM_NAMESPACE
from watchkeeper_operator.sensors.daemon_set import PART_OF

MANIFESTS = Path(__file__).parents[2] / "manifests"
SETTINGS = CollectorSettings(identity="one", given=Path("/nowhere"))
HTTPS, METRICS = SETTINGS.listen[1], SETTINGS.metrics[1]


def objects(*paths):
    return [one for path in paths for one in yaml.safe_load_all(path.read_text()) if one]


def labels_of(process):
    (deployment,) = [one for one in objects(MANIFESTS / "base" / f"{process}.yaml") if one["kind"] == "Deployment"]
    return deployment["spec"]["template"]["metadata"]["labels"]


COMPONENT = [one for one in objects(*(MANIFESTS / "components/network-policies").glob("*.yaml")) if one["kind"] == "NetworkPolicy"]
PRODUCTION = [*COMPONENT, *objects(MANIFESTS / "overlays/production/database.yaml")]
OPERATOR, COLLECTOR = Pod(SYSTEM_NAMESPACE, labels_of("operator")), Pod(SYSTEM_NAMESPACE, labels_of("collector"))
SENSOR = Pod(SYSTEM_NAMESPACE, PART_OF)
STRANGER = Pod("shop", {"app.kubernetes.io/name": "watchkeeper-operator"}, {"kubernetes.io/metadata.name": "shop"})
INTRUDER = Pod(SYSTEM_NAMESPACE, {"app": "debug"})
PROMETHEUS = Pod("monitoring", {}, {"kubernetes.io/metadata.name": "monitoring", "watchkeeper.dev/reads-metrics": "true"})
DNS = Pod("kube-system", {"k8s-app": "kube-dns"}, {"kubernetes.io/metadata.name": "kube-system"})
API_SERVER, OUTSIDE, DATABASE = Host("172.18.0.2"), Host("203.0.113.9"), Host("10.0.0.5")

LET_THROUGH = {
    "a sensor delivers": (SENSOR, COLLECTOR, HTTPS),
    "the operator fetches": (OPERATOR, COLLECTOR, HTTPS),
    "an API server posts its audit log": (API_SERVER, COLLECTOR, HTTPS),
    "the operator asks the API server": (OPERATOR, API_SERVER, 6443),
    "the collector asks an API server outside": (COLLECTOR, OUTSIDE, 443),
    "the operator tells a person": (OPERATOR, OUTSIDE, 443),
    "Prometheus reads the operator's metrics": (PROMETHEUS, OPERATOR, METRICS),
    "Prometheus reads the collector's metrics": (PROMETHEUS, COLLECTOR, METRICS),
    "the operator's store": (OPERATOR, DATABASE, 5432),
    "the collector's queue": (COLLECTOR, DATABASE, 5432),
}
DENIED = {
    "a pod of another namespace reads metrics": (STRANGER, OPERATOR, METRICS),
    "a pod of another namespace, with our labels, reads the collector's": (STRANGER, COLLECTOR, METRICS),
    "a pod beside us reads metrics": (INTRUDER, COLLECTOR, METRICS),
    "a sensor reads metrics": (SENSOR, COLLECTOR, METRICS),
    "the collector reaches the operator": (COLLECTOR, OPERATOR, METRICS),
    "anybody reaches a sensor": (OPERATOR, SENSOR, HTTPS),
    "a sensor asks the API server": (SENSOR, API_SERVER, 6443),
    "a sensor speaks to the outside": (SENSOR, OUTSIDE, 443),
    "a sensor reaches the database": (SENSOR, DATABASE, 5432),
    "a sensor reaches another": (SENSOR, SENSOR, HTTPS),
    "the collector speaks to the outside by another port": (COLLECTOR, OUTSIDE, 80),
    "a pod beside us speaks to the outside": (INTRUDER, OUTSIDE, 443),
    "a pod beside us reaches the collector": (INTRUDER, COLLECTOR, HTTPS),
}


@pytest.mark.parametrize("name", LET_THROUGH)
def test_is_let_through(name):
    assert connects(PRODUCTION, *LET_THROUGH[name])


@pytest.mark.parametrize("name", DENIED)
def test_is_denied(name):
    assert not connects(PRODUCTION, *DENIED[name])


@pytest.mark.parametrize("pod", [OPERATOR, COLLECTOR, SENSOR], ids=["operator", "collector", "sensor"])
@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
def test_names_are_asked_of_the_clusters_dns_alone(pod, protocol):
    assert connects(PRODUCTION, pod, DNS, 53, protocol)
    assert connects(PRODUCTION, pod, Host("169.254.20.10"), 53, protocol)
    assert not connects(PRODUCTION, pod, OUTSIDE, 53, protocol)
    assert not connects(PRODUCTION, pod, STRANGER, 53, protocol)


def test_without_audit_by_webhook_the_collector_is_closed_to_all_but_ours():
    closed = [one for one in PRODUCTION if one["metadata"]["name"] != "watchkeeper-audit"]
    assert connects(closed, SENSOR, COLLECTOR, HTTPS)
    assert connects(closed, OPERATOR, COLLECTOR, HTTPS)
    assert not connects(closed, API_SERVER, COLLECTOR, HTTPS)
    assert not connects(closed, STRANGER, COLLECTOR, HTTPS)


def test_every_policy_is_in_our_namespace_and_of_the_component():
    listed = set(yaml.safe_load((MANIFESTS / "components/network-policies/kustomization.yaml").read_text())["resources"])
    assert listed == {path.name for path in (MANIFESTS / "components/network-policies").glob("*.yaml")} - {"kustomization.yaml"}
    assert {one["metadata"]["namespace"] for one in PRODUCTION} == {SYSTEM_NAMESPACE}


def test_manifests_run_images_of_this_version():
    version = f":{metadata.version('watchkeeper')}"
    for process in ("operator", "collector"):
        (deployment,) = [one for one in objects(MANIFESTS / "base" / f"{process}.yaml") if one["kind"] == "Deployment"]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        sensors = [one["value"] for one in container["env"] if one["name"] == "WATCHKEEPER_SENSOR_IMAGE"]
        assert all(image.endswith(version) for image in (container["image"], *sensors))
