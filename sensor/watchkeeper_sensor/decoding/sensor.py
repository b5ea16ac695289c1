"""Events that the agent itself makes: it started, it stopped, it lost records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.event import Event
from watchkeeper_detection.logs import kernel_event
from watchkeeper_detection.logs.provider import time_text
from watchkeeper_detection.record_types import record_type

if TYPE_CHECKING:
    import msgspec

    from watchkeeper_sensor.surroundings import Surroundings

_Sensor: Any = record_type("sensor")


class SensorEvent(Event):
    """Something about the sensor; `number` counts the agent's own events."""

    def __init__(self, kind: str, number: int, moment: int, around: Surroundings, **fields: Any) -> None:
        """`moment`: nanoseconds since the epoch; `fields`: of the object `sensor`."""
        super().__init__(kind, kernel_event.SOURCE, "sensor", number, -1, FILLS)
        self.moment = moment
        self.around = around
        self.sensor: msgspec.Struct = _Sensor(**fields)


FILLS = kernel_event.fills(
    lambda event: event.moment,
    derived={"id": lambda event: f"{event.around.host.boot_id[:8]}:agent:{event.moment}:{event.number}", "node": lambda event: event.around.node},
)


def lost(number: int, around: Surroundings, kind: str, cause: str, cgroup: int, count: int, since: int, until: int) -> SensorEvent:
    """Records of a kind were lost between two moments (nanoseconds since the epoch)."""
    return SensorEvent(
        "sensor.lost",
        number,
        until,
        around,
        event_kind=kind,
        cause=cause,
        count=count,
        cgroup_id=cgroup or None,
        since=time_text(since),
        until=time_text(until),
    )
