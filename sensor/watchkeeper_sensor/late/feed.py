"""What the cluster knows of this node and its pods, and the node's own disk does not: labels, owner, service account, addresses.

The sensor asks no API server. Whoever may ask one leaves a file in the state folder, whole and by rename:

    {"version": 1, "cluster": "shop", "node": {"ip": "192.0.2.7", "ips": ["192.0.2.7"], "labels": {"pool": "a"}},
     "pods": {"8a2f…": {"labels": {"app": "web"}, "annotations": {}, "ip": "10.0.0.4", "ips": ["10.0.0.4"],
                        "service_account": "web", "owner_kind": "Deployment", "owner_name": "web"}}}

A pod's key is the uid by which the kubelet names its cgroups: the API server's, for a static pod the hash that its mirror carries as
`kubernetes.io/config.hash`. What is left out is absent.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import msgspec

from watchkeeper_sensor.containers.files import INDEX_BYTES, FilesReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "feed.json"
VERSION = 1
LOOK_SECONDS = 0.05  # between two looks at the file


class Facts(msgspec.Struct, frozen=True):
    """What was told of something; the rest is absent."""

    def told(self) -> dict[str, object]:
        """Field → value."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class PodFacts(Facts, frozen=True):
    """Fields of `pod`."""

    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    ip: str | None = None
    ips: list[str] | None = None
    service_account: str | None = None
    owner_kind: str | None = None
    owner_name: str | None = None
    expected_commands: list[str] | None = None


class NodeFacts(Facts, frozen=True):
    """Fields of `node`."""

    ip: str | None = None
    ips: list[str] | None = None
    labels: dict[str, str] | None = None
    cluster: str | None = None


class Told(msgspec.Struct, frozen=True):
    """The file."""

    version: int
    cluster: str | None = None
    node: NodeFacts = NodeFacts()
    pods: dict[str, PodFacts] = {}


class Feed(Protocol):
    """Whom the agent asks for what the cluster knows."""

    version: int
    """Counts up whenever something that it tells has changed; 0 until it told anything."""

    @property
    def is_there(self) -> bool:
        """Whether anything may be expected of it: where it is not, what it would tell is absent at once."""

    def look(self) -> None:
        """Take up what came since; quick enough for each round."""

    def pod(self, uid: str) -> PodFacts | None:
        """What is known of a pod; None where nothing is yet."""

    def node(self) -> NodeFacts | None: ...


class FileFeed:
    """The file in the state folder, read again when it was replaced. One that can't be read leaves what was known, and is counted."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.version = 0
        self._path = path
        self._clock = clock
        self._reader = FilesReader()
        self._told: Told | None = None
        self._seen: tuple[int, int, int] | None = None
        self._look_at = 0.0
        self.look()

    @property
    def is_there(self) -> bool:
        return self._seen is not None

    @property
    def unreadable(self) -> int:
        """Files that were no feed of this version."""
        return self._reader.unreadable

    def look(self) -> None:
        now = self._clock()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        try:
            found = self._path.stat()
        except OSError:
            self._seen = None
            return
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen == self._seen:
            return
        self._seen = seen
        told = self._reader.read(self._path, Told, INDEX_BYTES)
        if told is None or told.version != VERSION:
            self._reader.unreadable += told is not None
            return
        self._told = told
        self.version += 1

    def pod(self, uid: str) -> PodFacts | None:
        return self._told.pods.get(uid) if self._told else None

    def node(self) -> NodeFacts | None:
        return msgspec.structs.replace(self._told.node, cluster=self._told.cluster) if self._told else None
