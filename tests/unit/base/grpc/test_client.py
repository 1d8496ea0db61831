"""Our gRPC client against grpcio's server, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.local_client import LocalClient
from linkerd2_py.base.grpc.client import GrpcClient
from linkerd2_py.base.grpc.status import Code, GrpcError
from linkerd2_py.base.tasks import cancel_all, spawn
from tests.support.engine import engine
from tests.support.ports import free_port
from tests.support.raw_socket import RawListener
from tests.support.wait import eventually_async, within


class Service(grpc.GenericRpcHandler):
    """`/t/Unary`, `/t/Stream`, `/t/Fail`, `/t/Hang`, `/t/Big`, with plain bytes as messages."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.metadata: dict[str, Any] = {}
        self.sent = 0

    def service(self, details: Any) -> Any:
        method = details.method.rpartition("/")[2].lower()
        if method == "unary":
            return grpc.unary_unary_rpc_method_handler(self.unary)
        if method in {"stream", "fail", "hang", "big", "flood"}:
            return grpc.unary_stream_rpc_method_handler(getattr(self, method))
        return None

    async def unary(self, request: bytes, context: Any) -> bytes:
        self.metadata = dict(context.invocation_metadata())
        return request[::-1]

    async def stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield b"%d" % number * number

    async def fail(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        if request == b"late":
            yield b"one"
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no: 100% ü")

    async def hang(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"first"
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def big(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield bytes(int(request))

    async def flood(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(int(request)):
            self.sent += 1
            yield bytes(65536)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Service, GrpcClient]]:
    service = Service()
    server = grpc.aio.server(options=[("grpc.max_send_message_length", 8 << 20)])
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with connected(port) as client:
            yield service, client
    finally:
        await server.stop(None)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[GrpcClient]:
    async with engine() as made:
        table = made.table("control")
        target = table.install(b"127.0.0.1:%d" % port)
        target.configure()
        target.forward(EndpointSpec(Address("127.0.0.1", port)))
        yield GrpcClient(LocalClient(table), target=target, authority=f"127.0.0.1:{port}")


async def code_of(client: GrpcClient, path: str, message: bytes = b"") -> GrpcError:
    with pytest.raises(GrpcError) as caught:
        async with client.stream(path, message) as messages:
            async for _ in messages:
                pass
    return caught.value


async def test_unary() -> None:
    async with serving() as (service, client):
        assert await client.unary("/t/Unary", b"abc", timeout_s=5) == b"cba"
        assert service.metadata["user-agent"].startswith("linkerd2-py/")


async def test_messages_of_many_sizes_arrive_in_order() -> None:
    async with serving() as (_, client), client.stream("/t/Stream", b"200") as messages:
        found = [message async for message in messages]
    assert found == [b"%d" % number * number for number in range(200)]


@pytest.mark.parametrize("message", [b"", b"late"])
async def test_the_servers_status_ends_the_stream(message: bytes) -> None:
    async with serving() as (_, client):
        error = await code_of(client, "/t/Fail", message)
    assert (error.code, error.message) == (Code.FAILED_PRECONDITION, "no: 100% ü")


async def test_an_unknown_method_is_unimplemented() -> None:
    async with serving() as (_, client):
        assert (await code_of(client, "/t/Nothing")).code == Code.UNIMPLEMENTED


async def test_leaving_the_block_cancels_at_the_server() -> None:
    async with serving() as (service, client):
        async with client.stream("/t/Hang", b"") as messages:
            assert await anext(messages) == b"first"
        async with within(5):
            await service.cancelled.wait()


async def test_a_unary_call_has_a_deadline() -> None:
    async with serving() as (service, client):
        with pytest.raises(GrpcError) as caught:
            await client.unary("/t/Hang", b"", timeout_s=0.2)
        assert caught.value.code == Code.DEADLINE_EXCEEDED
        async with within(5):
            await service.cancelled.wait()


async def test_a_unary_call_takes_one_message_only() -> None:
    async with serving() as (_, client):
        with pytest.raises(GrpcError, match="2 messages"):
            await client.unary("/t/Stream", b"2", timeout_s=5)


async def test_four_mebibytes_pass_and_more_is_refused() -> None:
    async with serving() as (_, client):
        assert len(await client.unary("/t/Big", b"%d" % (4 << 20), timeout_s=20)) == 4 << 20
        error = await code_of(client, "/t/Big", b"%d" % ((4 << 20) + 1))
    assert error.code == Code.RESOURCE_EXHAUSTED


async def test_a_reader_that_stops_holds_the_server_back() -> None:
    async with serving() as (service, client), client.stream("/t/Flood", b"2000") as messages:
        assert len(await anext(messages)) == 65536
        await eventually_async(lambda: service.sent > 10)
        silence = spawn(asyncio.Event().wait(), name="silence")
        await asyncio.wait([silence], timeout=0.3)
        await cancel_all([silence])
        assert service.sent < 100
        count = 1
        async for _ in messages:
            count += 1
    assert count == 2000


async def test_nobody_there_is_unavailable() -> None:
    async with connected(free_port()) as client:
        assert (await code_of(client, "/t/Unary")).code in {
            Code.UNAVAILABLE,
            Code.DEADLINE_EXCEEDED,
        }


async def test_a_server_that_dies_is_unavailable() -> None:
    with RawListener() as listener:
        async with connected(listener.address[1]) as client:
            call = spawn(code_of(client, "/t/Hang"), name="call")
            peer = await asyncio.to_thread(listener.accept)
            peer.reset()
            assert (await call).code in {Code.UNAVAILABLE, Code.INTERNAL}
