"""What a cgroup's path says: the container and the pod that it belongs to, as the systemd and cgroupfs drivers of all runtimes write it.

The outermost container that a path names is the one that counts. A process that may write below its own cgroup can make a folder named after
another container there; it can't make one above itself. Source: the runtimes' own naming, listed with the patterns below.
"""

from __future__ import annotations

import re
from typing import NamedTuple

CONTAINER = re.compile(
    r"""(?:
        (?P<id>[0-9a-f]{64})                                                # cgroupfs driver: /docker/ID, /kubepods/burstable/podUID/ID
      | (?:docker|cri-containerd|crio|libpod(?:-payload)?|nerdctl)-(?P<scope>[0-9a-f]{64})(?:\.scope)?   # systemd driver
      | [\w.\\-]+:(?:docker|cri-containerd|crio|nerdctl|libpod):(?P<mixed>[0-9a-f]{64})                  # path of the systemd driver used by the other one
      | lxc\.payload\.(?P<lxc>[\w.-]{1,64})                                 # lxc from 4.0 on
    )""",
    re.VERBOSE,
)
POD = re.compile(r"kubepods(?:-\w+)?-pod(?P<systemd>[0-9a-f_]{32,36})\.slice|pod(?P<cgroupfs>[0-9a-f-]{32,36})")
LXC, LIBPOD_PODS = "lxc", "libpod_parent"
TEXT = 64  # of a name that is no id
PARTS = 64  # looked at; whatever is deeper lies inside a container that was found by then


class Place(NamedTuple):
    """Where a cgroup lies. All of it is absent for a cgroup of the host."""

    container_id: str | None = None
    pod_uid: str | None = None
    is_top: bool = False  # the container's own cgroup, not one that it made below


NOWHERE = Place()


def place_of(path: str, *, ignored: frozenset[str] = frozenset()) -> Place:
    """Place that a path from the root of its hierarchy names; `ignored` are ids of containers that the host itself is (a node in a container)."""
    pod_uid, before = None, ""
    parts = path.split("/", PARTS + 1)[1 : PARTS + 1]
    for number, part in enumerate(parts):
        pod = POD.fullmatch(part)
        if pod:
            pod_uid = pod["cgroupfs"] or pod["systemd"].replace("_", "-")
        container = part[:TEXT] if before == LXC and number == 1 else _container_in(part)
        is_libpod_pod = before == LIBPOD_PODS and number + 1 < len(parts)
        if container and container not in ignored and not is_libpod_pod:
            return Place(container, pod_uid, number == len(parts) - 1)
        if container in ignored:
            pod_uid = None  # of the node's own pod
        before = part
    return Place(None, pod_uid)


def _container_in(part: str) -> str | None:
    found = CONTAINER.fullmatch(part)
    return found[found.lastgroup] if found and found.lastgroup else None
