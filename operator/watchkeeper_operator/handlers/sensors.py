"""Sensors and their DaemonSets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kopf

from watchkeeper_operator.names import GROUP, SENSOR_LABEL, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable


def register(registry: kopf.OperatorRegistry, wake: Callable[[], None]) -> None:
    """`wake`: has the Sensors looked at."""

    @kopf.on.event(GROUP, VERSION, "sensors", registry=registry)
    def sensor_changed(**_: Any) -> None:
        wake()

    @kopf.on.event("apps", "v1", "daemonsets", labels={SENSOR_LABEL: kopf.PRESENT}, registry=registry)
    def daemon_set_changed(**_: Any) -> None:
        wake()
