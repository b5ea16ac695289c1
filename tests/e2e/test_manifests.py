"""What users apply: every folder renders, and a real API server with our kinds and admission policies accepts all of it, strictly."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.support.cluster.kubebox import components

REPOSITORY = Path(__file__).parents[2]
MANIFESTS = REPOSITORY / "manifests"
WHOLE = ("crds", "manifests/base", "manifests/overlays/quickstart", "manifests/overlays/production", "manifests/argocd/health")
COMPONENTS = sorted(path.parent.relative_to(REPOSITORY).as_posix() for path in MANIFESTS.glob("components/*/kustomization.yaml"))
FOREIGN = ("monitoring.coreos.com", "argoproj.io")  # kinds that this API server does not have
OF_LIBRARY = ("RuntimePolicy", "PolicyList")


@functools.cache
def rendered(folder):
    """Objects that kubectl makes of it."""
    done = subprocess.run([components() / "kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return [one for one in yaml.load_all(done.stdout, yaml.CSafeLoader) if one]


@functools.cache
def with_component(component, over="manifests/base"):
    folder = REPOSITORY / "build" / "rendered" / component.rsplit("/", 1)[-1]
    folder.mkdir(parents=True, exist_ok=True)
    up = "../../.."
    written = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [f"{up}/{over}"], "components": [f"{up}/{component}"]}
    (folder / "kustomization.yaml").write_text(json.dumps(written))
    return rendered(folder)


def names_of(objects):
    return [(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in objects]


def of_kind(objects, kind, name=""):
    return [one for one in objects if one["kind"] == kind and name in one["metadata"]["name"]]


def assert_accepted(server, objects):
    ours = [one for one in objects if one["apiVersion"].split("/")[0] not in FOREIGN]
    arguments = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename", "-", "--output", "name")
    try:
        said = server.kubectl(*arguments, stdin=yaml.dump_all(ours, Dumper=yaml.CSafeDumper))
    except subprocess.CalledProcessError as refused:
        raise AssertionError(refused.stderr) from None
    assert len(said.split()) == len(ours)


@pytest.mark.parametrize("folder", WHOLE)
def test_a_folder_is_accepted(guarded_server, folder):
    objects = rendered(REPOSITORY / folder)
    seen_before = OF_LIBRARY if folder.endswith("production") else ()
    guarded_server.kubectl("create", "namespace", "argocd", check=False)
    assert_accepted(guarded_server, [one for one in objects if one["kind"] not in seen_before])
    assert len(set(names_of(objects))) == len(objects)


@pytest.mark.parametrize("component", [one for one in COMPONENTS if not one.endswith("/library")])
def test_a_component_is_accepted(guarded_server, component):
    before = names_of(rendered(REPOSITORY / "manifests/base"))
    assert_accepted(guarded_server, [one for one in with_component(component) if names_of([one])[0] not in before])


def test_the_quickstart_has_the_whole_library():
    objects = rendered(REPOSITORY / "manifests/overlays/quickstart")
    files = [path for path in (REPOSITORY / "policies" / "library").rglob("*.yaml") if ".fires." not in path.name]
    assert len(of_kind(objects, "RuntimePolicy")) + len(of_kind(objects, "PolicyList")) == len(files)


@pytest.mark.parametrize("overlay", ["quickstart", "production"])
@pytest.mark.parametrize("name", ["watchkeeper-operator", "watchkeeper-collector"])
def test_our_processes_pass_the_restricted_profile(guarded_server, overlay, name):
    guarded_server.kubectl("label", "namespace", "other", "--overwrite", "pod-security.kubernetes.io/enforce=restricted")
    (deployment,) = of_kind(rendered(MANIFESTS / "overlays" / overlay), "Deployment", name)
    template = deployment["spec"]["template"]
    spec = {**template["spec"], "serviceAccountName": "default", "priorityClassName": ""}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "other", "labels": template["metadata"]["labels"]}, "spec": spec}
    guarded_server.kubectl("create", "serviceaccount", "default", "-n", "other", check=False)
    assert guarded_server.kubectl("create", "--dry-run=server", "--filename", "-", stdin=json.dumps(pod))
    spec["containers"] = [{**spec["containers"][0], "securityContext": {}}]
    assert not guarded_server.kubectl("create", "--dry-run=server", "--filename", "-", stdin=json.dumps(pod), check=False)


def test_production_has_two_of_each_in_one_database_and_no_volume():
    objects = rendered(MANIFESTS / "overlays/production")
    assert not of_kind(objects, "PersistentVolumeClaim")
    deployments = of_kind(objects, "Deployment")
    assert len(deployments) == 2
    for deployment in deployments:
        spec = deployment["spec"]["template"]["spec"]
        assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]["type"]) == (2, "RollingUpdate")
        (store,) = [one for one in spec["containers"][0]["env"] if one["name"] == "WATCHKEEPER_STORE"]
        assert store["valueFrom"]["secretKeyRef"]["name"] == "watchkeeper-store"
        assert not [one for one in spec["volumes"] if "persistentVolumeClaim" in one]
        assert {one["topologyKey"] for one in spec["topologySpreadConstraints"]} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
        assert of_kind(objects, "PodDisruptionBudget", deployment["metadata"]["name"])
        assert of_kind(objects, "PriorityClass", spec["priorityClassName"])


@pytest.mark.parametrize("overlay", ["quickstart", "production"])
def test_every_volume_is_mounted_and_every_mount_has_one(overlay):
    for deployment in of_kind(rendered(MANIFESTS / "overlays" / overlay), "Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        mounts = [one for container in spec["containers"] for one in container["volumeMounts"]]
        assert {one["name"] for one in mounts} == {one["name"] for one in spec["volumes"]}
        assert len({one["mountPath"] for one in mounts}) == len(mounts)


def test_sqlite_is_of_one_replica():
    """Two pods can't share one file, also not for the moment of an upgrade."""
    for deployment in of_kind(rendered(MANIFESTS / "overlays/quickstart"), "Deployment"):
        assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]["type"]) == (1, "Recreate")


def wave(written):
    return int(written["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0"))


@pytest.mark.parametrize("overlay", ["quickstart", "production"])
def test_argocd_applies_in_order_all_that_the_overlay_has(overlay):
    objects = rendered(MANIFESTS / "argocd" / overlay)
    assert sorted(names_of(objects)) == sorted(names_of(rendered(REPOSITORY / "crds")) + names_of(rendered(MANIFESTS / "overlays" / overlay)))
    first = {kind: {wave(one) for one in objects if one["kind"] == kind} for kind in {one["kind"] for one in objects}}
    assert all(len(waves) == 1 for waves in first.values())
    order = {kind: waves.pop() for kind, waves in first.items()}
    assert order["CustomResourceDefinition"] == order["Namespace"] < order["ValidatingAdmissionPolicy"] == order["ClusterRole"] < order["Deployment"]
    ours = {one["kind"] for one in objects if one["apiVersion"].startswith("watchkeeper.dev/")}
    assert ours >= {"RuntimePolicy", "PolicyList", "Sensor"}
    assert all(order[kind] > order["Deployment"] for kind in ours)


@pytest.mark.parametrize("overlay", ["quickstart", "production"])
def test_argocd_never_takes_away_what_holds_incidents(overlay):
    kept = {
        one["kind"]
        for one in rendered(MANIFESTS / "argocd" / overlay)
        if "Prune=false" in one["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-options", "")
    }
    assert kept - {"PersistentVolumeClaim"} == {"CustomResourceDefinition", "Namespace"}
    assert ("PersistentVolumeClaim" in kept) == (overlay == "quickstart")


def test_the_application_names_a_folder_that_is_there():
    application = yaml.safe_load((MANIFESTS / "argocd" / "application.yaml").read_text())
    assert (REPOSITORY / application["spec"]["source"]["path"] / "kustomization.yaml").exists()
    assert "ServerSideApply=true" in application["spec"]["syncPolicy"]["syncOptions"]
    assert application["spec"]["ignoreDifferences"] == [{"group": "watchkeeper.dev", "kind": "*", "jsonPointers": ["/status"]}]
