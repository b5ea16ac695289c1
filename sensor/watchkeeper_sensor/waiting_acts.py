"""Events whose matches wait for others: who acted and the event itself, for the detection that they may become part of."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_detection.detection import Act, Detection
    from watchkeeper_detection.event import Event
    from watchkeeper_sensor.recorder import Recorder

ACTS_KEPT = 1_000


class WaitingActs:
    """The oldest give way."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._acts: OrderedDict[str, Act] = OrderedDict()

    def hold(self, event: Event, act: Act) -> None:
        self._acts[event.id] = act
        self._recorder.hold(event)
        while len(self._acts) > ACTS_KEPT:
            self._acts.popitem(last=False)

    def given(self, detections: Iterable[Detection], drift_ns: int) -> list[Detection]:
        """The detections with the act of their last event, and by the wall's clock again, which is `drift_ns` from the one that windows are kept by."""
        return [
            msgspec.structs.replace(
                detection,
                observed_at=detection.observed_at + drift_ns,
                act=self._acts.get(detection.event_ids[-1]),
                event=self._recorder.held(detection.event_ids[-1]),
            )
            for detection in detections
        ]
