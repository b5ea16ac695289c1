from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.detections import MARCH_12, SECOND

from watchkeeper_detection.program import Program
from watchkeeper_operator.incidents.intake import Intake

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Clock:
    def __init__(self) -> None:
        self.now = (MARCH_12 + 60) * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def intake(engine: Engine, clock: Clock) -> Intake:
    return Intake(engine, Program(), epoch=1, clock=clock, receivers=("webhook",))
