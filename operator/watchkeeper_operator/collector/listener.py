"""The listening socket: TLS handshakes, bounded in number and time; certificates are replaced without a refused connection."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

HANDSHAKES = 128  # under way at a time; the kernel keeps others waiting
HANDSHAKES_OF_ADDRESS = 32
HANDSHAKE_SECONDS = 5.0
SHUTDOWN_SECONDS = 1.0  # for the other end to say good-bye
BACKLOG = 512
PAUSE_SECONDS = 0.2  # where the process has no descriptors left


def listening(host: str, port: int) -> socket.socket:
    """A socket on all addresses of `host`'s family. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind((host, port))
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


class Listener:
    """Accepts for `protocol_factory` until cancelled. `context` may be replaced at any time: it is of the next connection."""

    def __init__(self, protocol_factory: Callable[[], asyncio.Protocol], context: ssl.SSLContext) -> None:
        self.context = context
        self.refused: Counter[str] = Counter()
        self._factory = protocol_factory
        self._room = asyncio.Semaphore(HANDSHAKES)
        self._addresses: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._room.acquire()
                try:
                    accepted, address = await loop.sock_accept(sock)
                except OSError:
                    self._room.release()
                    self.refused["descriptors"] += 1
                    await asyncio.sleep(PAUSE_SECONDS)
                    continue
                except asyncio.CancelledError:
                    self._room.release()
                    raise
                self._begin(accepted, str(address[0]))
        finally:
            for task in self._tasks:
                task.cancel()

    def _begin(self, accepted: socket.socket, address: str) -> None:
        if self._addresses[address] >= HANDSHAKES_OF_ADDRESS:
            self.refused["address"] += 1
            accepted.close()
            self._room.release()
            return
        self._addresses[address] += 1
        task = asyncio.get_running_loop().create_task(self._handshake(accepted, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handshake(self, accepted: socket.socket, address: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                self._factory, accepted, ssl=self.context, ssl_handshake_timeout=HANDSHAKE_SECONDS, ssl_shutdown_timeout=SHUTDOWN_SECONDS
            )
        except OSError:  # also ssl.SSLError and what asyncio makes of a time-out
            self.refused["handshake"] += 1
        finally:
            self._room.release()
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
