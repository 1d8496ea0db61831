"""A door from this machine's loopback into a node's network, where the API server listens at 127.0.0.1.

python -m tests.support.cluster.node.door NAMESPACE PORT

It says the port at which it listens. Its listening socket stays of the network in which it was made, when the
process moves into the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path

from tests.support.netns import move_into


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _serve(listener: socket.socket, port: int) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            with contextlib.closing(far_writer):
                await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))

    async with await asyncio.start_server(pass_on, sock=listener) as server:
        await server.serve_forever()


def main(namespace: str, port: int) -> None:
    """Never returns."""
    listener = socket.create_server(("127.0.0.1", 0))
    with Path(namespace).open() as theirs:
        move_into(theirs.fileno())
    print(listener.getsockname()[1], flush=True)
    # What it says later is nobody's.
    os.dup2(2, 1)
    asyncio.run(_serve(listener, port))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
