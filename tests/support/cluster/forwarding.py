"""Carries connections from this machine's loopback to the same port in the network namespace that the process runs in.

`forwarding.py DESCRIPTOR PORT`: the descriptor is a socket that listens on the machine; sockets stay in the namespace in which they were made.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

CHUNK_BYTES = 1 << 16


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # either side may be gone at any time
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


async def _carry(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:  # nobody listens there (now): the caller sees a closed connection
        writer.close()
        return
    await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer))
    for each in (writer, to_writer):
        each.close()
        with contextlib.suppress(OSError):
            await each.wait_closed()


async def forward(listening: socket.socket, port: int) -> None:
    server = await asyncio.start_server(lambda reader, writer: _carry(port, reader, writer), sock=listening)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(forward(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
