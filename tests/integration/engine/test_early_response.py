"""An HTTP/2 server that answers before it has the whole request, and goes on listening."""

import asyncio

import h2.config
import h2.connection
import h2.events

from tests.support.engine import engine
from tests.support.wait import within

REQUEST = [
    (":method", "POST"),
    (":path", "/upload"),
    (":scheme", "http"),
    (":authority", "svc.test"),
]


async def events(
    reader: asyncio.StreamReader, peer: h2.connection.H2Connection, wanted: type[h2.events.Event]
) -> h2.events.Event:
    """The next event of that kind."""
    while True:
        piece = await reader.read(65536)
        assert piece, f"the connection ended before {wanted.__name__}"
        for event in peer.receive_data(piece):
            if isinstance(event, wanted):
                return event


async def test_the_endpoint_is_told_that_the_rest_will_not_come() -> None:
    told: asyncio.Future[h2.events.Event] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        peer.initiate_connection()
        writer.write(peer.data_to_send())
        request = await events(reader, peer, h2.events.RequestReceived)
        assert isinstance(request, h2.events.RequestReceived)
        assert request.stream_id is not None
        peer.send_headers(request.stream_id, [(":status", "413")], end_stream=True)
        writer.write(peer.data_to_send())
        told.set_result(await events(reader, peer, h2.events.StreamReset))
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with engine() as made, within(10):
        _target, address = made.outbound(server.sockets[0].getsockname())
        reader, writer = await asyncio.open_connection(*address)
        client = h2.connection.H2Connection()
        client.initiate_connection()
        client.send_headers(1, REQUEST)
        writer.write(client.data_to_send())
        answer = await events(reader, client, h2.events.ResponseReceived)
        assert isinstance(answer, h2.events.ResponseReceived)
        assert (b":status", b"413") in list(answer.headers or [])
        assert isinstance(await told, h2.events.StreamReset)
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()
