"""The cluster that runs, as tests and people use it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tests.support.cluster import engine
from tests.support.cluster.engine import RUN
from tests.support.cluster.kubebox import components
from tests.support.cluster.programs import kind
from tests.support.cluster.steps import NoKubernetesError, output

if TYPE_CHECKING:
    from pathlib import Path

NAME = "watchkeeper"
STATE, KUBECONFIG = RUN / "state.json", RUN / "kubeconfig"


@dataclass(frozen=True)
class Cluster:
    """`kubeconfig` is an administrator's, and works from this machine. `asked` is what its maker wanted, `made_from` a digest of all that it was made from.

    Only a local one surely enforces ClusterNetworkPolicy.
    """

    local: bool
    port: int
    asked: dict[str, str]
    made_from: str

    @property
    def kubeconfig(self) -> Path:
        return KUBECONFIG

    @property
    def audit_log(self) -> Path:
        """What the API server logs, a JSON event a line."""
        return RUN / "log" / "audit.log"

    @property
    def authority(self) -> Path:
        """Folder of ca.crt, ca.key, server.crt, server.key: for the receiver of audit events."""
        return RUN / "authority"

    def kubectl(self, *words: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """Output of kubectl, as the administrator unless told otherwise. Raises NoKubernetesError with what it said."""
        return output(components() / "kubectl", "--kubeconfig", kubeconfig or KUBECONFIG, *words, stdin=stdin)

    def docker(self, *words: str, stdin: bytes | None = None) -> str:
        """Output of the command `docker` of the engine that has the nodes. Raises NoKubernetesError."""
        return engine.docker(*words, stdin=stdin) if self.local else output("docker", *words, stdin=stdin).strip()

    def inside(self, *command: str | Path) -> str:
        """Output of a command where nodes and pods can be reached by address. Raises NoKubernetesError."""
        return engine.inside(*command, kubeconfig=KUBECONFIG) if self.local else output(*command, environment={"KUBECONFIG": str(KUBECONFIG)})

    def nodes(self) -> list[str]:
        """Names of the nodes that are containers; each is the name of its container."""
        return [line for line in self.inside(kind(), "get", "nodes", "--name", NAME).splitlines() if line]

    def load_image(self, *names: str) -> None:
        """Puts images of `docker` on every node. Raises NoKubernetesError."""
        self.inside(kind(), "load", "docker-image", *names, "--name", NAME)

    def answers(self) -> bool:
        with contextlib.suppress(NoKubernetesError):
            return self.kubectl("get", "--raw", "/readyz", "--request-timeout=5s") == "ok"
        return False


def running() -> Cluster | None:
    """The cluster, if it is up and answers."""
    try:
        cluster = Cluster(**json.loads(STATE.read_text()))
    except FileNotFoundError:
        return None
    return cluster if cluster.answers() else None


def write(cluster: Cluster) -> None:
    part = STATE.with_suffix(".part")
    part.write_text(json.dumps(asdict(cluster)))
    part.replace(STATE)
