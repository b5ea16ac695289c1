"""kind's configuration of this cluster, from tests/e2e/kind.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE = Path(__file__).parents[2] / "e2e" / "kind.yaml"
VOLUMES = "/tmp/hostpath_pv"  # where the controller manager's own hostPath provisioner, which kind switches on, makes its folders


def configuration(*, run: Path, workers: int, port: int, flags: Mapping[str, str], local: bool) -> dict[str, Any]:
    """`flags` are kube-apiserver's; `local` is for nodes of ours: a network and volumes that kind's own image has by itself."""
    made: dict[str, Any] = yaml.safe_load(BASE.read_text().replace("RUN/", f"{run}/"))
    made["nodes"] += [{"role": "worker"} for _ in range(workers)]
    made["networking"] |= {"apiServerPort": port, **({"disableDefaultCNI": True} if local else {})}
    patches = [yaml.safe_load(patch) for patch in made["kubeadmConfigPatches"]]
    (cluster,) = (patch for patch in patches if patch["kind"] == "ClusterConfiguration")
    cluster["apiServer"]["extraArgs"] += [{"name": name, "value": value} for name, value in flags.items()]
    if local:
        volume = {"name": "volumes", "hostPath": VOLUMES, "mountPath": VOLUMES, "pathType": "DirectoryOrCreate"}
        cluster["controllerManager"] = {"extraVolumes": [volume]}
        for node in made["nodes"]:  # all nodes share the folder, so a pod finds its volume wherever it runs
            node.setdefault("extraMounts", []).append({"hostPath": f"{run}/volumes", "containerPath": VOLUMES})
    made["kubeadmConfigPatches"] = [yaml.safe_dump(patch) for patch in patches]
    return made
