"""What a node's sensor is told by whoever starts it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

SLOTS = ("a", "b")  # folders in the state folder; each sensor has one (slots.py)
HEARTBEAT = "alive"  # file in the own one, written by each round: whose it is (`own_name`)


def own_name() -> str:
    """By which a sensor's heartbeat is told from that of another one on the node: the pod's name, for each pod has a host name of its own."""
    return os.uname().nodename


class SettingsError(ValueError):
    """The settings name nothing that can be used; the message is for users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`ca`: bundle of certificates that the collector's is checked by; `token`: projected for this pod, read at each trade; `root`: the host's files."""

    collector: str
    ca: Path
    token: Path
    node_name: str
    state: Path
    root: Path = Path("/")
    memory_bytes: int = 0  # 0: the limit of the own cgroup, if it has one

    def __post_init__(self) -> None:
        host_and_port(self.collector)
        if not self.node_name:
            raise SettingsError("the node has no name: set NODE_NAME from spec.nodeName")


def host_and_port(collector: str) -> tuple[str, int]:
    """Of an https URL that names nothing but the two. Raises SettingsError."""
    try:
        parts = urlsplit(collector)
        port = parts.port or 443
    except ValueError as error:
        raise SettingsError(f"{collector} is no address of a collector: {error}") from None
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.path.strip("/") or parts.query or parts.fragment:
        raise SettingsError(f"{collector} is no address of a collector: https://HOST[:PORT] is, and nothing after it")
    return parts.hostname, port
