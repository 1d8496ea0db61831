"""A gRPC server whose messages are any bytes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import grpc

POD = os.environ.get("POD_NAME", "").encode()


async def say(message: bytes, _call: Any) -> bytes:
    return POD + b": " + message


async def repeat(message: bytes, _call: Any) -> AsyncIterator[bytes]:
    for _ in range(3):
        yield POD + b": " + message


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = grpc.aio.server()
    methods = {
        "Say": grpc.unary_unary_rpc_method_handler(say),
        "Repeat": grpc.unary_stream_rpc_method_handler(repeat),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test.Echo", methods),),
    )
    server.add_insecure_port(f"{os.environ.get('HOST', '0.0.0.0')}:{os.environ['PORT']}")
    await server.start()
    await stop.wait()
    await server.stop(5)


if __name__ == "__main__":
    asyncio.run(main())
