"""The cluster where a Docker engine answers and can pull: kind with its own image and network."""

from __future__ import annotations

import shutil
import subprocess

import yaml
from tests.support.cluster.engine import RUN
from tests.support.cluster.programs import kind
from tests.support.cluster.running import KUBECONFIG, NAME
from tests.support.cluster.steps import output, step

IMAGE = "kindest/node:v1.37.0"


def possible() -> bool:
    """Whether an engine of this machine has the image, or can pull it."""
    if shutil.which("docker") is None:
        return False
    for command in (("docker", "version"), ("docker", "image", "inspect", IMAGE), ("docker", "pull", "--quiet", IMAGE)):
        succeeded = subprocess.run(command, capture_output=True, check=False).returncode == 0
        if command[1] == "version" and not succeeded:
            return False
        if command[1] == "image" and succeeded:
            return True
    return succeeded


def create(configuration: dict[str, object]) -> None:
    """Returns when nodes are ready. Raises NoKubernetesError."""
    (RUN / "kind.yaml").write_text(yaml.safe_dump(configuration))
    with step("kind cluster created"):
        if NAME in output(kind(), "get", "clusters").split():
            delete()
        environment = {"KUBECONFIG": str(KUBECONFIG)}
        output(kind(), "create", "cluster", "--name", NAME, "--image", IMAGE, "--config", RUN / "kind.yaml", "--wait", "240s", environment=environment)


def delete() -> None:
    output(kind(), "delete", "cluster", "--name", NAME, environment={"KUBECONFIG": str(KUBECONFIG)})
