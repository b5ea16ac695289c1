"""Docker's own files about a container: config.v2.json and hostconfig.json. They name it, and say what it is given where its bundle is out of reach."""

from __future__ import annotations

from typing import Any

import msgspec

from watchkeeper_detection.redact import redact
from watchkeeper_sensor.containers.annotations import digest_of
from watchkeeper_sensor.containers.oci import LISTED, TEXT

DEFAULT_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT"),
    *("KILL", "AUDIT_WRITE"),
)
"""Source: https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities"""


class State(msgspec.Struct):
    started_at: str | None = msgspec.field(name="StartedAt", default=None)


class Settings(msgspec.Struct):
    image: str | None = msgspec.field(name="Image", default=None)


class MountPoint(msgspec.Struct):
    source: str | None = msgspec.field(name="Source", default=None)
    destination: str | None = msgspec.field(name="Destination", default=None)
    writable: bool | None = msgspec.field(name="RW", default=None)


class Config(msgspec.Struct):
    """config.v2.json"""

    id: str | None = msgspec.field(name="ID", default=None)
    name: str | None = msgspec.field(name="Name", default=None)
    image_id: str | None = msgspec.field(name="Image", default=None)
    path: str | None = msgspec.field(name="Path", default=None)
    args: list[str] | None = msgspec.field(name="Args", default=None)
    state: State | None = msgspec.field(name="State", default=None)
    settings: Settings | None = msgspec.field(name="Config", default=None)
    apparmor: str | None = msgspec.field(name="AppArmorProfile", default=None)
    mounts: dict[str, MountPoint] | None = msgspec.field(name="MountPoints", default=None)


class Device(msgspec.Struct):
    on_host: str | None = msgspec.field(name="PathOnHost", default=None)


class HostConfig(msgspec.Struct):
    """hostconfig.json"""

    privileged: bool | None = msgspec.field(name="Privileged", default=None)
    cap_add: list[str] | None = msgspec.field(name="CapAdd", default=None)
    cap_drop: list[str] | None = msgspec.field(name="CapDrop", default=None)
    pid_mode: str | None = msgspec.field(name="PidMode", default=None)
    ipc_mode: str | None = msgspec.field(name="IpcMode", default=None)
    network_mode: str | None = msgspec.field(name="NetworkMode", default=None)
    read_only: bool | None = msgspec.field(name="ReadonlyRootfs", default=None)
    security: list[str] | None = msgspec.field(name="SecurityOpt", default=None)
    devices: list[Device] | None = msgspec.field(name="Devices", default=None)


def names(config: Config) -> dict[str, Any]:
    """Fields of `container` that Docker alone knows."""
    found = {
        "name": config.name.removeprefix("/")[:TEXT] if config.name else None,
        "type": "container",
        "image": config.settings.image[:TEXT] if config.settings and config.settings.image else None,
        "image_digest": digest_of(config.image_id),
        "started_at": config.state.started_at if config.state and config.state.started_at and not config.state.started_at.startswith("0001-") else None,
    }
    return {field: value for field, value in found.items() if value is not None}


def seccomp(host: HostConfig) -> str:
    """Profile that was asked for; Docker's own where none was."""
    for option in host.security or []:
        name, _, value = option.replace(":", "=", 1).partition("=")
        if name == "seccomp":
            return value if len(value) <= 256 and not value.startswith("{") else "custom"
    return "unconfined" if host.privileged else "default"


def privileges(config: Config, host: HostConfig) -> dict[str, Any]:
    """Fields of `container` as they were asked for."""
    added, dropped = ({one.upper().removeprefix("CAP_") for one in asked or []} for asked in (host.cap_add, host.cap_drop))
    base = () if "ALL" in dropped else DEFAULT_CAPABILITIES
    mounts = list((config.mounts or {}).values())[:LISTED]
    bound = [(one.source[:TEXT], (one.destination or "")[:TEXT], one.writable) for one in mounts if one.source]
    return {
        "privileged": bool(host.privileged),
        "capabilities": None if host.privileged or "ALL" in added else sorted(f"CAP_{one}" for one in {*base, *added} - dropped),
        "host_process": host.pid_mode == "host",
        "host_network": host.network_mode == "host",
        "host_ipc": host.ipc_mode == "host",
        "read_only": bool(host.read_only),
        "no_new_privileges": any(option.startswith("no-new-privileges") and not option.endswith("false") for option in host.security or []),
        "apparmor": config.apparmor or None,
        "mount_sources": [source for source, _, _ in bound],
        "mount_targets": [target for _, target, _ in bound],
        "writable_mount_sources": [source for source, _, writable in bound if writable],
        "devices": [one.on_host[:TEXT] for one in (host.devices or [])[:LISTED] if one.on_host],
        "command": [redact(one[:TEXT]) for one in ([config.path] if config.path else []) + (config.args or [])[:LISTED]],
    }
