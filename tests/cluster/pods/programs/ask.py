"""`ask.py http|grpc|ws|db TARGET [TIMES]`: asks that often, each time anew, and prints each answer as a line.

TARGET is a URL for http and ws, else HOST:PORT. Status 1 with the reason on stderr when an answer is not as
it should be; WAIT_S (30) is for how long an address that is not there yet is tried again.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

LIMIT_S = 10.0


async def http(target: str) -> Any:
    import httpx2

    async with httpx2.AsyncClient(trust_env=False, timeout=LIMIT_S) as client:
        answer = await client.get(target)
        return {"status": answer.status_code, **answer.raise_for_status().json()}


async def grpc(target: str) -> Any:
    import grpc as library

    # The library is fond of proxies that the environment names.
    options = [("grpc.enable_http_proxy", 0)]
    async with library.aio.insecure_channel(target, options=options) as channel:
        said = await channel.unary_unary("/test.Echo/Say")(b"hello", timeout=LIMIT_S)
        stream = channel.unary_stream("/test.Echo/Repeat")(b"hello", timeout=LIMIT_S)
        repeated = [one.decode() async for one in stream]
    if len(repeated) != 3:
        raise ConnectionError(f"the stream had {len(repeated)} messages")
    return {"said": said.decode(), "repeated": repeated}


async def ws(target: str) -> Any:
    from websockets.asyncio.client import connect

    async with connect(target, proxy=None, open_timeout=LIMIT_S) as room:
        await room.send("hello")
        return {"said": str(await asyncio.wait_for(room.recv(), LIMIT_S))}


async def db(target: str) -> Any:
    host, _, port = target.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    greeting = (await asyncio.wait_for(reader.readline(), LIMIT_S)).decode().strip()
    said = []
    for line in ("SET colour blue", "GET colour", "QUIT"):
        writer.write(f"{line}\r\n".encode())
        said.append((await asyncio.wait_for(reader.readline(), LIMIT_S)).decode().strip())
    writer.close()
    if not greeting.startswith("220 ") or said != ["+OK", "+blue", "+bye"]:
        raise ConnectionError(f"{greeting!r}, then {said}")
    return {"greeting": greeting, "said": said}


async def main(kind: str, target: str, times: str = "1") -> None:
    ask = {"http": http, "grpc": grpc, "ws": ws, "db": db}[kind]
    until = time.monotonic() + float(os.environ.get("WAIT_S", "30"))
    done = 0
    while done < int(times):
        try:
            print(json.dumps(await ask(target)), flush=True)
            done += 1
        except Exception as error:  # noqa: BLE001  # of four libraries, each with its own
            # Only the beginning may take a while; what has worked must go on to.
            if done or time.monotonic() > until:
                sys.exit(f"{kind} {target}: {error!r}")
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
