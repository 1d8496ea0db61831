"""A server of a planted fault: `FAULT` says which. It needs nothing but Python, so that many start quickly."""

import asyncio
import os
import sys

FAULT = os.environ.get("FAULT", "")
IS_LAST = os.environ["POD_NAME"].endswith(f"-{os.environ.get('BAD', 'none')}")
WELL = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 500 Broken\r\ncontent-length: 2\r\n\r\nno"
SLOW_S = 0.4


def fails(path: bytes) -> bool:
    """Whether a request for `path` does."""
    by_fault = {"all": True, "method": path == b"/refund", "one": IS_LAST}
    return by_fault.get(FAULT, False)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if FAULT == "slow" and IS_LAST:
                await asyncio.sleep(SLOW_S)
            writer.write(BAD if fails(head.split(b" ", 2)[1]) else WELL)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As servers of mail: they speak first."""
    writer.write(b"220 welcome\r\n")
    await reader.read(10)
    writer.close()


async def main() -> None:
    if FAULT == "crashes":
        sys.exit("out of ballots")
    # Beside the port that its service leads to.
    port = int(os.environ["PORT"]) + (1000 if FAULT == "beside" else 0)
    await asyncio.start_server(greet if FAULT == "greets" else serve, os.environ["HOST"], port)
    await asyncio.Event().wait()


asyncio.run(main())
