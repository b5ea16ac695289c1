"""An intake that is killed: at the Nth moment, of all at which it or the queue says something to its database, and before and after it commits.

For each line `FOLDER N URL` of the input it works on FOLDER/queue.db and the store at URL until the queue is empty, and prints how that ended;
N = 0 is never killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from tests.support.detections import MARCH_12, SECOND
from tests.support.spanning import SPANNING

from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.incidents.intake import Intake
from watchkeeper_operator.store.engine import open_engine
from watchkeeper_operator.store.schema import migrate

if TYPE_CHECKING:
    from sqlalchemy import Engine

AT_ONCE = 7  # messages of one transaction


class Moments:
    """Counts what is said to databases, and dies at one of them as by a kill from outside: nothing is cleaned up."""

    def __init__(self, fatal: int) -> None:
        self.seen, self._fatal = 0, fatal

    def watch(self, engine: Engine) -> None:
        event.listen(engine, "before_cursor_execute", self._come)
        event.listen(engine, "after_cursor_execute", self._come)
        event.listen(engine, "commit", self._come)
        event.listen(engine.pool, "checkin", self._come)  # after the commit

    def _come(self, *_: Any, **__: Any) -> None:
        self.seen += 1
        if self.seen == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


async def take_all(folder: Path, url: str, moments: Moments) -> None:
    queue_engine, engine = open_engine(f"sqlite:///{folder / 'queue.db'}"), open_engine(url)
    migrate(engine)
    queue = Queue(queue_engine)
    await queue.open()
    moments.watch(queue_engine)
    moments.watch(engine)
    intake = Intake(engine, SPANNING, epoch=1, clock=lambda: (MARCH_12 + 100) * SECOND, receivers=("webhook",))
    while True:
        found = await queue.fetch(await intake.position("queue"), AT_ONCE, 1 << 20)
        await intake.take("queue", found, complete_until=(MARCH_12 if found else MARCH_12 + 200) * SECOND)
        if not found:
            break
        await queue.acknowledge(found[-1].id)


def run(folder: Path, fatal: int, url: str) -> int:
    """In a process of its own; returns its exit status, -9 where it was killed. Writes how many moments there were to FOLDER/moments."""
    child = os.fork()  # what was imported is not imported again, and nothing else is shared: no database is open here
    if not child:
        moments = Moments(fatal)
        asyncio.run(take_all(folder, url, moments))
        (folder / "moments").write_text(str(moments.seen))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    for line in sys.stdin:
        folder, fatal, url = line.split()
        print(run(Path(folder), int(fatal), url), flush=True)


if __name__ == "__main__":
    main()
