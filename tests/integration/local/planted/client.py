"""A client that calls again and again: `CALLS` has `ADDRESS_VARIABLE PATH SECONDS_BETWEEN` for each, between
semicolons. `-` in the place of the variable asks the proxy for a whole URL; a path `-` waits for the server's words.
"""

import asyncio
import os

LIMIT_S = 30.0


async def ask(where: str, path: str) -> None:
    """Once; whatever comes of it, it is the proxies that tell."""
    host, _, port = where.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        if path != "-":
            head = f"GET {path} HTTP/1.1\r\nhost: {where}\r\nconnection: close\r\n\r\n"
            writer.write(head.encode())
            await reader.read()
        else:
            await reader.readline()
    finally:
        writer.close()


async def again(variable: str, path: str, pause: str) -> None:
    where = f"{os.environ['HOST']}:4140" if variable == "-" else os.environ[variable]
    while True:
        try:
            async with asyncio.timeout(LIMIT_S):
                await ask(where, path)
        except (OSError, TimeoutError):
            pass
        await asyncio.sleep(float(pause))


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        for call in os.environ["CALLS"].split(";"):
            group.create_task(again(*call.split()))


asyncio.run(main())
