"""The commands of docs/install.md, run as they stand on an API server with its controllers: what they install, and that nothing is left of it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tests.support.api_server import ApiServer

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "install.md").read_text()
TAKES_NODES = "rollout"


def commands(heading):
    """Lines of the first block below a heading that call kubectl, without comments."""
    below = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    block = re.search(r"^```\n(.*?)^```", below, re.MULTILINE | re.DOTALL)[1]
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines() if line.startswith("kubectl ") and TAKES_NODES not in line]


@pytest.fixture(scope="module")
def server():
    with ApiServer(controllers=True) as made:
        yield made


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def ours(server):
    """All that has our label or is of our kinds, and our namespaces."""
    sorts = ("namespaces", "crd", "clusterroles", "clusterrolebindings", "validatingadmissionpolicies", "validatingadmissionpolicybindings", "priorityclasses")
    labelled = server.kubectl("get", ",".join(sorts), "-l", "app.kubernetes.io/part-of=watchkeeper", "-o", "name")
    everywhere = server.kubectl("get", "deployments,daemonsets,secrets,configmaps,pvc,leases", "-A", "-o", "name")
    return labelled.split() + [line for line in everywhere.split() if "watchkeeper" in line]


def test_installed_upgraded_and_uninstalled_by_the_commands_of_the_page(server):
    for command in commands("Quickstart"):
        server.kubectl(*command)
    installed = ours(server)
    assert {"namespace/watchkeeper", "namespace/watchkeeper-system", "deployment.apps/watchkeeper-operator", "deployment.apps/watchkeeper-collector"} <= set(
        installed
    )
    assert len(server.kubectl("get", "runtimepolicies", "-n", "watchkeeper", "-o", "name").split()) > 200
    assert server.kubectl("get", "sensors", "-o", "name").split() == ["sensor.watchkeeper.dev/all-nodes"]

    for command in commands("Upgrade"):
        server.kubectl(*command)
    assert sorted(ours(server)) == sorted(installed)

    for command in commands("Uninstall"):
        server.kubectl(*command)
    assert not ours(server)
    assert "watchkeeper.dev" not in server.kubectl("api-versions")


def test_the_page_names_folders_that_are_there():
    named = set(re.findall(r"(?:-k |`)((?:crds|manifests)[\w/.-]*)", PAGE))
    assert len(named) > 6
    assert not [one for one in named if not (REPOSITORY / one.rstrip("/.…")).exists()]
