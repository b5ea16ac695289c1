"""What the operator is told by flags and environment, checked as a whole: everything that is wrong is said at once."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watchkeeper_detection.fields import kinds, nearest
from watchkeeper_operator.incidents.running import IncidentSettings
from watchkeeper_operator.leadership import Timing
from watchkeeper_operator.policy_quotas import TenantLimits

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*(@sha256:[0-9a-f]{64})?", re.IGNORECASE)


class SettingsError(ValueError):
    """Wrong settings, a line each; the text is for users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """identity       of this replica: the pod's name
    sensor_image   that DaemonSets run; `version` is what it is called
    listen         host and port of /healthz, /readyz and /metrics
    """

    identity: str
    sensor_image: str
    version: str
    store: str = "sqlite:////var/lib/watchkeeper/operator.db"
    kubeconfig: Path | None = None
    listen: tuple[str, int] = ("0.0.0.0", 8080)  # noqa: S104 (a pod's own address; a NetworkPolicy says who reaches it)
    log_level: str = "info"
    limits: TenantLimits = field(default_factory=TenantLimits)
    timing: Timing = field(default_factory=Timing)
    incidents: IncidentSettings = field(default_factory=IncidentSettings)

    def __post_init__(self) -> None:
        wrong = []
        if not self.identity:
            wrong.append("the replica has no name: set POD_NAME from metadata.name, or give --identity")
        if not IMAGE.fullmatch(self.sensor_image):
            wrong.append(f"--sensor-image {self.sensor_image!r} is no image: REPOSITORY[:TAG][@sha256:DIGEST] is")
        if not self.timing.between < self.timing.give_up < self.timing.lease:
            wrong.append(f"--lease-seconds {self.timing.lease:g} is too short: 5 or more")
        if self.log_level not in ("debug", "info", "warning", "error"):
            wrong.append(f"--log-level {self.log_level} is not one of debug, info, warning, error")
        if wrong:
            raise SettingsError("\n".join(wrong))


def listening_at(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[::]:PORT` or `:PORT`. Raises SettingsError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise SettingsError(f"--listen {text} is no address: HOST:PORT is")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 (as asked)


def incident_settings(collectors: str, webhook: str, secret_file: Path | None, alertmanager: str) -> IncidentSettings:
    """`collectors`: URLs, with commas between; the secret is the file's text without blank space around it. Raises SettingsError."""
    try:
        secret = secret_file.read_bytes().strip() if secret_file else b""
        urls = tuple(url.strip() for url in collectors.split(",") if url.strip())
        return IncidentSettings(collectors=urls, webhook=webhook, secret=secret, alertmanager=alertmanager)
    except ValueError as wrong:
        raise SettingsError(str(wrong)) from None
    except OSError as trouble:
        raise SettingsError(f"--notify-secret {secret_file} can't be read: {trouble.strerror}") from None


def timing_of(lease_seconds: float) -> Timing:
    """A third of the Lease is left for the leader's parts to end; it is renewed seven times before."""
    return Timing(lease=lease_seconds, give_up=lease_seconds * 2 / 3, between=lease_seconds / 7.5)


def tenant_limits(text: str, event_kinds: str) -> TenantLimits:
    """`policies=20,rules=100` and `process.exec,network.*`; what is not named stays as it is. Raises SettingsError."""
    limits = TenantLimits()
    known = [one.name for one in dataclasses.fields(TenantLimits) if one.name != "event_kinds"]
    wrong: list[str] = []
    changed: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, number = part.strip().partition("=")
        if name not in known:
            meant = nearest(name, known)
            wrong.append(f"--tenant-limits: there is no {name!r}{f' (did you mean {meant}?)' if meant else ''}")
        elif not number.isdecimal():
            wrong.append(f"--tenant-limits: {name} is no number")
        else:
            changed[name] = int(number)
    allowed = _kinds_of(event_kinds, wrong) if event_kinds else limits.event_kinds
    if wrong:
        raise SettingsError("\n".join(wrong))
    return dataclasses.replace(limits, event_kinds=allowed, **changed)


def _kinds_of(text: str, wrong: list[str]) -> frozenset[str]:
    found: set[str] = set()
    for pattern in filter(None, (part.strip() for part in text.split(","))):
        matching = {kind for kind in kinds() if kind == pattern or (pattern.endswith(".*") and kind.startswith(pattern[:-1]))}
        if not matching:
            meant = nearest(pattern, list(kinds()))
            wrong.append(f"--tenant-event-kinds: there is no kind of event {pattern}{f' (did you mean {meant}?)' if meant else ''}")
        found |= matching
    return frozenset(found)
