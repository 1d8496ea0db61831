"""A WebSocket server that says everything back."""

import asyncio
import os
import signal

from websockets.asyncio.server import ServerConnection, serve


async def echo(member: ServerConnection) -> None:
    async for message in member:
        await member.send(f"{os.environ.get('POD_NAME', '')}: {message!s}")


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(echo, os.environ.get("HOST", "0.0.0.0"), int(os.environ["PORT"])):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
