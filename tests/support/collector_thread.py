"""The operator's own collector in a thread, for what runs outside of asyncio: the sensor's half, or a whole sensor as a process."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support.collectors import Authorities
from tests.support.whole_collectors import Whole, a_token, collecting, there_is_a_sensor

from watchkeeper_detection.checking import check_policies
from watchkeeper_operator.authority import certificates
from watchkeeper_operator.policy_objects import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from watchkeeper_detection.program import Program
    from watchkeeper_operator.authority.contexts import Identity
    from watchkeeper_operator.policy_objects import Written


class LocalAuthorities(Authorities):
    """Whose collector is known by the loopback's name."""

    def server(self) -> Identity:
        return certificates.make_server(self.root, ["localhost"], self.now)


class ThreadCollector:
    """`url`, `ca` and `token_file` are what a sensor is given."""

    def __init__(self, whole: Whole, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.whole = whole
        self.url = f"https://localhost:{whole.running.port}"
        self.ca, self.token_file = folder / "ca.crt", folder / "token"
        self.ca.write_text(whole.authorities.bundle)
        self.token_file.write_text(a_token())
        self._loop = loop

    def call(self, asked: Callable[[], Any]) -> Any:
        """Run in the collector's loop; a coroutine is waited for."""

        async def run() -> Any:
            found = asked()
            return await found if asyncio.iscoroutine(found) else found

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)

    def use(self, *written: Written) -> Program:
        """Put policies in force, as the collector's process does; returns the operator's own judgement of them."""
        documents = [found.document for found in map(read, written) if found.document is not None]
        program = check_policies(documents).program
        self.call(lambda: (self.whole.rules.use(program, 1), self.whole.feeds.use(written)))
        return program

    def messages(self, topic: str) -> list[Any]:
        return [message for message in self.call(self.whole.messages) if message.topic == topic]


@contextmanager
def collector_thread(folder: Path, policies: Sequence[Written] = ()) -> Iterator[ThreadCollector]:
    """Certificates count only where they came from a trade; there is one live pod of the DaemonSet, on the first node."""
    loop = asyncio.new_event_loop()
    made: list[ThreadCollector] = []
    is_there, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with collecting(folder, authorities=LocalAuthorities(), only_issued=True) as whole:
            there_is_a_sensor(whole.api)
            made.append(ThreadCollector(whole, folder, loop))
            is_there.set()
            await over.wait()

    async def end() -> None:
        over.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert is_there.wait(30)
    try:
        made[0].use(*policies)
        yield made[0]
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        thread.join(30)
        loop.close()
