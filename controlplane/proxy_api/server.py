"""The proxy-api: a gRPC server with the services that proxies ask, and health; plaintext h2c."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.controlplane.errors import BindError
from linkerd2_py.controlplane.listen import host_port
from linkerd2_py.controlplane.proxy_api.limits import (
    CONNECTIONS_IN_ALL,
    STREAMS_IN_ALL,
    STREAMS_PER_PROXY,
)

# Requests are a name, a token and a request for a certificate; nothing larger is one.
LARGEST_REQUEST_BYTES = 64 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_REQUEST_BYTES),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.max_concurrent_streams", STREAMS_PER_PROXY),
    # Finds proxies that vanished without a word; their streams end.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Proxies ping as often as every few seconds; that is no attack.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
    # Whoever connects is to speak HTTP/2 soon, and to ask for something: only proxies, which do, are held for
    # long.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 300_000),
    # When a control plane comes back all proxies ask at once: none of them is dropped at random, which is
    # what happens beyond a thousand that wait.
    ("grpc.server.max_pending_requests", STREAMS_IN_ALL),
    ("grpc.server.max_pending_requests_hard_limit", STREAMS_IN_ALL),
    # Descriptors are shared with public-api and with the programs of a mesh.
    ("grpc.max_allowed_incoming_connections", CONNECTIONS_IN_ALL),
    # A port that is taken is an error to report, not one to share.
    ("grpc.so_reuseport", 0),
)

# The name of the whole server, to health.
_ALL = ""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """One service of the server: health says it is serving once it `is_synced`, which `synced` waits for.

    `close` ends its streams.
    """

    name: str
    handler: grpc.GenericRpcHandler
    is_synced: Callable[[], bool] = lambda: True
    synced: Callable[[], Awaitable[None]] | None = None
    close: Callable[[], None] = lambda: None


class ProxyApi:
    """The running server; `address` is where it listens first of all."""

    def __init__(self, services: Sequence[Served]) -> None:
        self._services = services
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=STREAMS_IN_ALL)
        for one in services:
            self._server.add_generic_rpc_handlers((one.handler,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.address = ""
        self._waiting: list[asyncio.Task[None]] = []

    def bind(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Make a socket, in this thread's network namespace; may be done for several addresses, all of which
        serve the same. `BindError` if the address is taken.
        """
        try:
            bound = self._server.add_insecure_port(host_port(host, port))
        except RuntimeError as error:
            raise BindError(f"proxy-api: cannot listen on {host_port(host, port)}") from error
        logger.info("proxy-api listens on %s", host_port(host, bound))
        self.address = self.address or host_port(host, bound)

    async def start(self) -> str:
        """Serve where `bind` said; returns that `host:port`. Health says of each service when all that it
        answers from has been listed.
        """
        await self._server.start()
        for one in self._services:
            await self._say(one.name, serves=one.is_synced())
        await self._say(_ALL, serves=all(one.is_synced() for one in self._services))
        if not all(one.is_synced() for one in self._services):
            self._waiting = [spawn(self._say_synced(), name="proxy-api-health")]
        return self.address

    async def stop(self, *, grace_s: float = 1.0) -> None:
        """Say so in health, end every stream, stop listening. May be repeated."""
        await cancel_all(self._waiting)
        await self._health.enter_graceful_shutdown()
        for one in self._services:
            one.close()
        await self._server.stop(grace_s)

    async def _say_synced(self) -> None:
        for one in self._services:
            if one.synced:
                await one.synced()
            await self._say(one.name, serves=True)
        await self._say(_ALL, serves=True)

    async def _say(self, name: str, *, serves: bool) -> None:
        said = health_pb2.HealthCheckResponse
        await self._health.set(name, said.SERVING if serves else said.NOT_SERVING)
