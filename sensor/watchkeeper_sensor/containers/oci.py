"""A container's OCI configuration (config.json of its bundle): what it is given, as the runtime carries it out.

Source: https://github.com/opencontainers/runtime-spec, config.md and config-linux.md. Only fields that are read are declared; every one may be
absent or null.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from watchkeeper_detection.redact import redact

LISTED = 256  # mounts, devices, arguments that are kept
TEXT = 4096  # of one path or argument
PRIVILEGED = frozenset(
    f"CAP_{name}"
    for name in ("SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "SYS_PTRACE", "SYS_BOOT", "SYS_TIME", "NET_ADMIN", "MAC_ADMIN", "DAC_READ_SEARCH", "SYSLOG")
)
"""Held together with every device they mean that nothing was left out: no runtime gives these but to a privileged container."""
HOST_NAMESPACES = {"host_process": ("pid", "process"), "host_network": ("network", "network"), "host_ipc": ("ipc", "ipc")}
"""Field → (type in the configuration, name in process.NAMESPACES)."""


class User(msgspec.Struct):
    uid: int | None = None


class Capabilities(msgspec.Struct):
    bounding: list[str] | None = None


class Process(msgspec.Struct):
    user: User | None = None
    args: list[str] | None = None
    capabilities: Capabilities | None = None
    no_new_privileges: bool | None = msgspec.field(name="noNewPrivileges", default=None)
    apparmor: str | None = msgspec.field(name="apparmorProfile", default=None)


class Mount(msgspec.Struct):
    destination: str | None = None
    type: str | None = None
    source: str | None = None
    options: list[str] | None = None


class Root(msgspec.Struct):
    path: str | None = None
    read_only: bool | None = msgspec.field(name="readonly", default=None)


class Namespace(msgspec.Struct):
    type: str | None = None
    path: str | None = None


class Device(msgspec.Struct):
    path: str | None = None


class DeviceRule(msgspec.Struct):
    allow: bool | None = None
    type: str | None = None
    major: int | None = None
    minor: int | None = None
    access: str | None = None


class Resources(msgspec.Struct):
    devices: list[DeviceRule] | None = None


class Linux(msgspec.Struct):
    namespaces: list[Namespace] | None = None
    devices: list[Device] | None = None
    resources: Resources | None = None
    seccomp: msgspec.Raw = msgspec.Raw(b"null")  # long, and all that is asked is whether there is one


class Config(msgspec.Struct):
    process: Process | None = None
    root: Root | None = None
    mounts: list[Mount] | None = None
    linux: Linux | None = None
    annotations: dict[str, str] | None = None


def privileges(config: Config, host_namespaces: dict[str, int], root: Path) -> dict[str, Any]:
    """Fields of `container` that the configuration decides. `host_namespaces`: name → inode number; `root`: where the host's files are mounted."""
    process, linux = config.process or Process(), config.linux or Linux()
    found: dict[str, Any] = {
        "user_id": process.user.uid if process.user else None,
        "command": None if process.args is None else [redact(one[:TEXT]) for one in process.args[:LISTED]],
        "capabilities": None if process.capabilities is None else [sys.intern(one[:64]) for one in (process.capabilities.bounding or [])[:LISTED]],
        "no_new_privileges": bool(process.no_new_privileges),
        "apparmor": process.apparmor or None,
        "read_only": bool(config.root and config.root.read_only),
        "devices": [one.path[:TEXT] for one in (linux.devices or [])[:LISTED] if one.path],
        "privileged": _is_privileged(process, linux),
    }
    if bytes(linux.seccomp) == b"null":
        found["seccomp"] = "unconfined"
    return found | _mounts(config.mounts or []) | _namespaces(linux.namespaces or [], host_namespaces, root)


def root_path(config: Config, bundle: Path) -> str | None:
    """Where the container's root file system lies, by a path of the host; `bundle`: the folder of the configuration, as the host names it."""
    path = config.root.path if config.root else None
    return os.path.normpath(bundle / path)[:TEXT] if path else None


def _is_privileged(process: Process, linux: Linux) -> bool:
    held = set((process.capabilities.bounding if process.capabilities else None) or [])
    rules = (linux.resources.devices if linux.resources else None) or []
    last = rules[-1] if rules else DeviceRule()  # later rules win; a denial of all comes first where there is one
    every_device = bool(last.allow) and last.type in (None, "a") and last.major in (None, -1) and last.minor in (None, -1) and "w" in (last.access or "")
    return held >= PRIVILEGED and every_device


def _mounts(mounts: list[Mount]) -> dict[str, list[str]]:
    bound = [one for one in mounts if one.source and one.source.startswith("/") and (one.type == "bind" or {"bind", "rbind"}.intersection(one.options or ()))]
    sources = [os.path.normpath(one.source or "")[:TEXT] for one in bound[:LISTED]]
    writable = [source for source, one in zip(sources, bound[:LISTED], strict=True) if "ro" not in (one.options or ())]
    return {
        "mount_sources": sources,
        "mount_targets": [(one.destination or "")[:TEXT] for one in bound[:LISTED]],
        "writable_mount_sources": writable,
    }


def _namespaces(namespaces: list[Namespace], host: dict[str, int], root: Path) -> dict[str, bool | None]:
    """A type that is not listed is the runtime's own namespace, which is the host's; one with a path is whatever lies there."""
    given = {one.type: one.path for one in namespaces}
    found: dict[str, bool | None] = {
        field: (True if kind not in given else _is_host(given[kind], host.get(name, 0), root)) for field, (kind, name) in HOST_NAMESPACES.items()
    }
    found["user_namespace"] = "user" in given and not _is_host(given["user"], host.get("user", 0), root)
    return found


def _is_host(path: str | None, inode: int, root: Path) -> bool | None:
    """Whether a namespace by its path is the host's; None where that can't be told any more."""
    if not path:
        return False
    parts = PurePosixPath(path).parts
    if parts[:3] == ("/", "proc", "1"):
        return True
    if ".." in parts:
        return None
    at = Path(path) if parts[:2] == ("/", "proc") else root / path.lstrip("/")
    try:
        return at.stat().st_ino == inode if inode else None
    except (OSError, ValueError):
        return None
