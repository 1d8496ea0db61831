"""A database that greets before it is asked: whoever waits for the client's first bytes waits for ever."""

import asyncio
import os
import signal

STORED: dict[str, str] = {}


def answer(line: str) -> str:
    match line.split():
        case ["PING"]:
            return "+PONG"
        case ["SET", key, value]:
            STORED[key] = value
            return "+OK"
        case ["GET", key]:
            return f"+{STORED[key]}" if key in STORED else "-no such key"
        case ["QUIT"]:
            return "+bye"
    return "-SET key value, GET key, PING or QUIT"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(f"220 {os.environ.get('POD_NAME', '')} ready\r\n".encode())
    while line := (await reader.readline()).decode(errors="replace").strip():
        writer.write(f"{answer(line)}\r\n".encode())
        await writer.drain()
        if line == "QUIT":
            break
    writer.close()


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    host, port = os.environ.get("HOST", "0.0.0.0"), int(os.environ["PORT"])
    server = await asyncio.start_server(serve, host, port)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
