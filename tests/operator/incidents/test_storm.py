"""A storm of detections makes few incidents, at once and in bounded room, and loses none."""

from __future__ import annotations

import asyncio
import resource
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from tests.support.detections import MARCH_12, SECOND, a_detection
from tests.support.messages import a_message

from watchkeeper_detection.program import Program
from watchkeeper_operator.incidents.deciding import CROWD
from watchkeeper_operator.incidents.intake import Intake
from watchkeeper_operator.incidents.summary import LINES, decode
from watchkeeper_operator.store.engine import open_engine, reading
from watchkeeper_operator.store.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watchkeeper_detection.detection import Detection

STORM = 100_000
SHORT = 20_000  # where the number makes no difference
RULES = 20
SHAPES: dict[str, tuple[Callable[[int], Detection], int, int]] = {
    "of one identity": (lambda n: a_detection(line=n, at=n / 1000, rule=f"rule-{n % RULES}"), 1, SHORT),
    "of ever other identities": (lambda n: a_detection(line=n, at=n / 1000, rule=f"rule-{n % RULES}", identity=f"user-{n}"), RULES * (CROWD + 1), STORM),
    "of many pods of one workload": (
        lambda n: a_detection(line=n, at=n / 1000, rule=f"rule-{n % RULES}", identity=f"user-{n}", target=f"namespaces/shop/pods/cart-6f8d7b5c9-{n % 10:05}"), 1, SHORT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_storm_makes_few_incidents(shape: str, tmp_path: Path) -> None:
    make, most, count = SHAPES[shape]
    engine = open_engine(f"sqlite:///{tmp_path / 'store.db'}")
    migrate(engine)
    intake = Intake(engine, Program(), epoch=1, clock=lambda: (MARCH_12 + 200) * SECOND, receivers=("webhook",))

    async def deliver() -> float:
        spent = 0.0
        for start in range(0, count, 1000):
            messages = [a_message(number, make(number)) for number in range(start + 1, start + 1001)]
            began = time.process_time()
            await intake.take("queue", messages, complete_until=0)
            spent += time.process_time() - began
        return spent

    seconds = asyncio.run(deliver())
    with reading(engine) as connection:
        contents = list(connection.execute(text("SELECT content FROM incidents WHERE merged_into = ''")).scalars())
        kept = connection.execute(text("SELECT count(*) FROM detections")).scalar()
        notices = connection.execute(text("SELECT count(*) FROM notices")).scalar()
    engine.dispose()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\nstorm {shape}: {count} detections, {len(contents)} incidents, {notices} notices, {seconds:.1f} s of one core, {memory} MiB at most")
    assert kept == count
    assert sum(decode(content).detections for content in contents) == count
    assert len(contents) <= most
    assert max(map(len, contents)) < 200 * LINES * 4
    assert seconds < 120
