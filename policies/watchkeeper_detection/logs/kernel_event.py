"""What every event of the kernel has, whether it comes from the sensor or from a recording: time, id, and who did what to what.

A kernel event carries `process`, `container`, `pod`, `node` and the objects of its kind; this module derives the normalised fields from them.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from watchkeeper_detection import subject
from watchkeeper_detection.logs.provider import common_fills

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from watchkeeper_detection.event import Event

SOURCE = "kernel"
DENIED = frozenset({"EPERM", "EACCES", "EROFS"})
HOST = "host"


def command_line(args: list[str] | None) -> str | None:
    """Arguments joined by spaces, those with spaces or quotes quoted."""
    return None if args is None else shlex.join(args)


def base_name(path: str | None) -> str | None:
    """Last part of a path; the path itself where it has no slash."""
    return path.rpartition("/")[2] or path if path else None


def directory(path: str | None) -> str | None:
    """The path without its last part; absent for a bare name."""
    return (path.rpartition("/")[0] or "/") if path and "/" in path else None


def _actor(event: Event) -> msgspec.Struct:
    process = event.process
    name = process.exe or process.name
    return subject.actor(f"{name}[{process.process_id}]" if name and process.process_id is not None else name, name=name, account=process.user)


def identity_of(event: Event) -> tuple[str | None, subject.IdentityType]:
    """Service account of the pod where it is known, else the user of the host or of the container."""
    pod, process = event.pod, event.process
    if pod.service_account and pod.namespace:
        return subject.service_account(pod.namespace, pod.service_account), "service_account"
    if process.uid is None:
        return None, "unknown"
    where = f"container:{event.container.id[:12]}" if event.container.id else HOST
    return f"{where}/{process.user or process.uid}", "user"


def _target(event: Event) -> msgspec.Struct:
    found = _TARGETS.get(event.kind.partition(".")[0])
    kind, name = found(event) if found else (None, None)
    return subject.target(type=kind, name=name, namespace=event.pod.namespace, id=name)


def _file(event: Event) -> tuple[str | None, str | None]:
    return ("file", event.file.path or event.file.claimed_path) if event.file.path or event.file.claimed_path else (None, None)


def _connection(event: Event) -> tuple[str | None, str | None]:
    connection = event.connection
    if connection.remote_ip:
        host = f"[{connection.remote_ip}]" if ":" in connection.remote_ip else connection.remote_ip
        return "address", f"{host}:{connection.remote_port}" if connection.remote_port else host
    path = connection.unix_path or connection.unix_abstract
    return ("socket", path) if path else (None, None)


def _other_process(event: Event) -> tuple[str | None, str | None]:
    other = event.target_process
    if other.process_id is not None:
        return "process", other.exe or other.name or str(other.process_id)
    return "program", event.process.exe


def _descriptor(event: Event) -> tuple[str | None, str | None]:
    kind, name = _connection(event)
    return (kind, name) if name else _file(event)


_TARGETS: dict[str, Callable[[Event], tuple[str | None, str | None]]] = {
    "file": _file,
    "memory": _file,
    "module": lambda event: ("module", event.module.name),
    "network": _connection,
    "descriptor": _descriptor,
    "dns": lambda event: ("domain", event.dns.question),
    "process": _other_process,
    "isolation": lambda event: ("namespace", ", ".join(event.setns.types or event.unshare.types or []) or event.chroot.path),
    "mount": lambda event: ("mount", event.mount.target),
    "bpf": lambda event: ("program", event.bpf.program_name),
    "container": lambda event: ("container", event.container.name or event.container.id),
    "sensor": lambda event: ("sensor", event.node.name),
}


def _outcome(event: Event) -> msgspec.Struct:
    error = event.syscall.error
    if error is None:
        return subject.outcome("success")
    return subject.outcome("denied" if error in DENIED else "failure", error)


def _origin(event: Event) -> msgspec.Struct:
    return subject.origin(event.connection.remote_ip if event.kind == "network.accept" else None)


def fills(observed_at: Callable[[Event], int], derived: dict[str, Callable[[Event], Any]] | None = None) -> dict[str, Callable[[Event], Any]]:
    """Lazy attributes of a kernel event."""
    return common_fills(
        observed_at=observed_at,
        identity=lambda event: subject.identity(*identity_of(event)),
        actor=_actor,
        action=lambda event: subject.action(event.kind),
        target=_target,
        outcome=_outcome,
        origin=_origin,
        derived=derived,
    )


def is_drift(container_id: str | None, process: Any) -> bool | None:
    """Whether the program that runs was not in the container's image; absent outside containers."""
    if not container_id:
        return None
    return bool(process.exe_upper_layer or process.exe_memfd or process.exe_unlinked)
