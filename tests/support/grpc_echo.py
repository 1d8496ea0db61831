"""A gRPC service of every shape, with grpcio on both sides and plain bytes as messages (no generated code).

Unary echoes; ServerStream splits the request into N one-line replies; ClientStream joins; Bidi echoes each
message.
Request metadata steers the answer: `x-status` (a code's name, with `x-message`), `x-trailer` (returned as
trailing metadata), `x-trailers` (`450,1`: so many of so many bytes), `x-hold` (the method waits for
cancellation instead of answering and records how it ended).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import grpc
import grpc.aio

SERVICE = "l5d.test.Echo"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 1 << 20),
    ("grpc.absolute_max_metadata_size", 1 << 20),
    ("grpc.so_reuseport", 0),
]


@dataclass(slots=True)
class Seen:
    """What the server observed, for assertions from the test."""

    calls: list[str] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class EchoServer:
    address: tuple[str, int]
    seen: Seen


class Echo(grpc.GenericRpcHandler):
    """The four methods, found by path."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.methods = {
            f"/{SERVICE}/Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            f"/{SERVICE}/ServerStream": grpc.unary_stream_rpc_method_handler(self.server_stream),
            f"/{SERVICE}/ClientStream": grpc.stream_unary_rpc_method_handler(self.client_stream),
            f"/{SERVICE}/Bidi": grpc.stream_stream_rpc_method_handler(self.bidi),
        }

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        return self.methods.get(handler_call_details.method)

    async def unary(self, request: bytes, call: grpc.aio.ServicerContext) -> bytes:
        await self._obey("Unary", call)
        return request

    async def server_stream(
        self, request: bytes, call: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        await self._obey("ServerStream", call)
        for line in request.splitlines():
            yield line

    async def client_stream(
        self, requests: AsyncIterator[bytes], call: grpc.aio.ServicerContext
    ) -> bytes:
        await self._obey("ClientStream", call)
        return b"".join([message async for message in requests])

    async def bidi(
        self, requests: AsyncIterator[bytes], call: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        await self._obey("Bidi", call)
        async for message in requests:
            yield message

    async def _obey(self, name: str, call: grpc.aio.ServicerContext) -> None:
        """Record the call and do what its metadata asks for."""
        asked = {key: str(value) for key, value in call.invocation_metadata() or ()}
        self.seen.calls.append(name)
        self.seen.metadata.append(asked)
        if "x-trailer" in asked:
            call.set_trailing_metadata((("x-trailer", asked["x-trailer"]),))
        if "x-trailers" in asked:
            count, size = map(int, asked["x-trailers"].split(","))
            call.set_trailing_metadata([(f"x-{n}", "t" * size) for n in range(count)])
        if "x-hold" in asked:
            await self._hold()
        if "x-status" in asked:
            code = grpc.StatusCode[asked["x-status"]]
            await call.abort(code, asked.get("x-message", ""))

    async def _hold(self) -> None:
        self.seen.held.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.seen.cancelled.set()
            raise


@contextlib.asynccontextmanager
async def echo_server(
    *, host: str = "127.0.0.1", port: int = 0, options: Sequence[tuple[str, int]] = ()
) -> AsyncIterator[EchoServer]:
    """Serve on a free port until the block ends."""
    seen = Seen()
    server = grpc.aio.server(options=[*OPTIONS, *options])
    server.add_generic_rpc_handlers((Echo(seen),))
    bound = server.add_insecure_port(f"{host}:{port}")
    await server.start()
    try:
        yield EchoServer((host, bound), seen)
    finally:
        await server.stop(grace=None)


class EchoClient:
    """The four methods as callables taking and giving bytes; metadata, timeouts as in grpcio."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.unary = channel.unary_unary(f"/{SERVICE}/Unary")
        self.server_stream = channel.unary_stream(f"/{SERVICE}/ServerStream")
        self.client_stream = channel.stream_unary(f"/{SERVICE}/ClientStream")
        self.bidi = channel.stream_stream(f"/{SERVICE}/Bidi")


@contextlib.asynccontextmanager
async def echo_client(
    address: tuple[str, int], *, authority: str | None = None
) -> AsyncIterator[EchoClient]:
    """A channel of its own to `address`; `authority` replaces the name it asks for."""
    options: list[tuple[str, str | int]] = [
        *OPTIONS,
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
    ]
    if authority is not None:
        options.append(("grpc.default_authority", authority))
    async with grpc.aio.insecure_channel(f"{address[0]}:{address[1]}", options=options) as channel:
        yield EchoClient(channel)
