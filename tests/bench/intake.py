"""How many detections a second the leader takes in, joins into incidents and has on disk (SQLite).

By processor time: what a disk takes to sync is its own.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from tests.support.detections import MARCH_12, SECOND, a_detection
from tests.support.messages import a_message
from tests.support.spanning import SPANNING, a_denial

from watchkeeper_operator.incidents.intake import Intake
from watchkeeper_operator.store.engine import open_engine, reading
from watchkeeper_operator.store.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.match import Match

COUNT, BATCH, RULES = 100_000, 1000, 20
MIXES: dict[str, Callable[[int], Detection | Match]] = {
    "one identity": lambda n: a_detection(line=n, at=n / 1000, rule=f"rule-{n % RULES}"),
    "300 identities": lambda n: a_detection(line=n, at=n / 1000, rule=f"rule-{n % RULES}", identity=f"user-{n % 300}"),
    "ever other identities": lambda n: a_detection(line=n, at=n / 1000, rule=f"rule-{n % RULES}", identity=f"user-{n}"),
    "ever other identities on one workload": lambda n: a_detection(
        line=n, at=n / 1000, rule=f"rule-{n % RULES}", identity=f"user-{n}", target=f"namespaces/shop/pods/cart-6f8d7b5c9-{n % 10:05}"
    ),
    "matches of a threshold": lambda n: a_denial(n / 1000, n, who=f"user-{n % 300}"),
}


def take_in(make: Callable[[int], Detection | Match], folder: Path) -> tuple[float, float, int]:
    """Seconds of processor time and of the clock, and how many incidents there are."""
    engine = open_engine(f"sqlite:///{folder / 'store.db'}")
    migrate(engine)
    intake = Intake(engine, SPANNING, epoch=1, clock=lambda: (MARCH_12 + 200) * SECOND)

    async def deliver() -> tuple[float, float]:
        spent = waited = 0.0
        for start in range(1, COUNT + 1, BATCH):
            messages = [a_message(number, make(number)) for number in range(start, start + BATCH)]
            worked, began = time.process_time(), time.monotonic()
            await intake.take("queue", messages, complete_until=messages[-1].received_at)
            spent, waited = spent + time.process_time() - worked, waited + time.monotonic() - began
        return spent, waited

    spent, waited = asyncio.run(deliver())
    with reading(engine) as connection:
        incidents = int(connection.execute(text("SELECT count(*) FROM incidents WHERE merged_into = ''")).scalar_one())
    engine.dispose()
    return spent, waited, incidents


def main() -> None:
    for name, make in MIXES.items():
        with tempfile.TemporaryDirectory() as folder:
            spent, waited, incidents = take_in(make, Path(folder))
        print(f"  {name:40} {COUNT / spent:8,.0f} a second of one core  ({waited:5.1f} s by the clock for {COUNT:,}, {incidents:,} incidents)", flush=True)


if __name__ == "__main__":
    main()
