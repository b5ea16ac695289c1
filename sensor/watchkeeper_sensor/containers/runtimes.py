"""Names, image, privileges and mounts of a container, from the files that its runtime keeps on the host's disk: no runtime is asked.

containerd   the OCI bundle under /run/containerd/…task/NAMESPACE/ID (also of k3s, k0s, MicroK8s, and of Docker's own containerd)
CRI-O        userdata/config.json under overlay-containers of containers/storage
Podman       the same place, with names in the lists of containers/storage
Docker       /var/lib/docker/containers/ID
The image's digest of a containerd container lies in a database that only its runtime may read: it is told where the reference holds it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.containers import docker, oci
from watchkeeper_sensor.containers.annotations import container_fields, pod_fields
from watchkeeper_sensor.containers.files import FilesReader, folders
from watchkeeper_sensor.containers.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

BUNDLES = (
    *("run/containerd", "run/k3s/containerd", "run/k0s/containerd", "var/snap/microk8s/common/run/containerd", "run/docker/containerd/daemon"),
    "var/run/docker/containerd/daemon",
)
TASKS = ("io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux")
STORAGES = ("run/containers/storage", "var/lib/containers/storage")
DOCKER = "var/lib/docker/containers"
MOBY = "moby"  # containerd's namespace of Docker's containers
MANAGER = "io.container.manager"
ID = re.compile(r"[0-9a-f]{64}")
"""What is ever put into a path."""

_Container: Any = record_type("container")
_Pod: Any = record_type("pod")


class Container(NamedTuple):
    """The objects `container` and `pod` of events; both empty for the host."""

    container: msgspec.Struct
    pod: msgspec.Struct
    root: str | None = None
    """Path of its root file system on the host, where its runtime says that."""


class Runtimes:
    """Looks for a container in the files of all runtimes."""

    def __init__(self, root: Path = Path("/"), host_namespaces: dict[str, int] | None = None) -> None:
        """`root`: where the host's files are mounted; `host_namespaces`: inode numbers of the host's own by name (process.NAMESPACES)."""
        self.root = root
        self.reader = FilesReader()
        self._host = host_namespaces or {}
        self._storages = [Storage(root / path, self.reader) for path in STORAGES]
        self._traces = [str(root / path) for path in (*BUNDLES, *STORAGES, DOCKER)]

    def are_here(self) -> bool:
        """Whether a runtime that leaves files has ever run on this host."""
        return any(map(os.path.exists, self._traces))  # asked for often: a Path for each takes ten times as long

    def find(self, container_id: str, pod_uid: str | None = None) -> Container | None:
        """What its runtime says of a container; None where no file describes it."""
        if not ID.fullmatch(container_id):
            return None
        return self._in_docker(container_id) or self._in_bundle(container_id, pod_uid) or self._in_storage(container_id, pod_uid)

    def _bundles(self, container_id: str) -> Iterator[tuple[str, Path]]:
        """(containerd's namespace, configuration's path) wherever one may be."""
        for state in BUNDLES:
            for task in TASKS:
                for namespace in folders(self.root / state / task):
                    yield namespace.name, namespace / container_id / "config.json"

    def _in_bundle(self, container_id: str, pod_uid: str | None) -> Container | None:
        for namespace, path in self._bundles(container_id):
            config = self.reader.read(path, oci.Config)
            if config is not None:
                return self._made(container_id, "docker" if namespace == MOBY else "containerd", config, path, pod_uid, {})
        return None

    def _in_storage(self, container_id: str, pod_uid: str | None) -> Container | None:
        for storage in self._storages:
            path = storage.folder / "overlay-containers" / container_id / "userdata" / "config.json"
            config = self.reader.read(path, oci.Config)
            if config is None:
                continue
            runtime = {"cri-o": "cri-o", "libpod": "podman"}.get((config.annotations or {}).get(MANAGER, ""), "other")
            listed = next((fields for each in self._storages if (fields := each.fields(container_id))), {})
            return self._made(container_id, runtime, config, path, pod_uid, listed)
        return None

    def _in_docker(self, container_id: str) -> Container | None:
        folder = self.root / DOCKER / container_id
        config = self.reader.read(folder / "config.v2.json", docker.Config)
        if config is None:
            return None
        host = self.reader.read(folder / "hostconfig.json", docker.HostConfig)
        found, root = docker.privileges(config, host) if host is not None else {}, None
        for namespace, path in self._bundles(container_id):
            bundle = self.reader.read(path, oci.Config) if namespace == MOBY else None
            if bundle is not None:  # what is carried out goes before what was asked for
                found |= oci.privileges(bundle, self._host, self.root)
                found["privileged"] = found["privileged"] or bool(host and host.privileged)
                root = self._root(bundle, path)
                break
        if host is not None:
            found["seccomp"] = docker.seccomp(host)
        return Container(_Container(id=container_id, runtime="docker", resolved=True, **(found | docker.names(config))), _Pod(), root)

    def _root(self, config: oci.Config, path: Path) -> str | None:
        return oci.root_path(config, Path("/") / path.parent.relative_to(self.root))

    def _made(self, container_id: str, runtime: str, config: oci.Config, path: Path, pod_uid: str | None, listed: dict[str, Any]) -> Container:
        annotations = config.annotations or {}
        fields = oci.privileges(config, self._host, self.root) | listed | container_fields(annotations)
        fields.setdefault("type", "container")
        pod = _Pod(**pod_fields(annotations, pod_uid)) if runtime != "podman" else _Pod()
        return Container(_Container(id=container_id, runtime=runtime, resolved=True, **fields), pod, self._root(config, path))
