"""The proxy-api: a gRPC server with Destination, Identity where the mesh has one, and health;
plaintext h2c.
"""

import asyncio
import logging

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.errors import BindError
from linkerd2_py.controlplane.identity.service import SERVICE as IDENTITY_SERVICE
from linkerd2_py.controlplane.identity.service import IdentityService
from linkerd2_py.controlplane.proxy_api.limits import (
    CONNECTIONS_IN_ALL,
    STREAMS_IN_ALL,
    STREAMS_PER_PROXY,
    StreamLimiter,
)
from linkerd2_py.controlplane.proxy_api.service import SERVICE, DestinationService

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
    # Descriptors are shared with public-api and with the programs of a mesh.
    ("grpc.max_allowed_incoming_connections", CONNECTIONS_IN_ALL),
    # A port that is taken is an error to report, not one to share.
    ("grpc.so_reuseport", 0),
)

# What is served from the mesh; the empty name stands for the whole server.
_WHEN_SYNCED = ("", SERVICE)

logger = logging.getLogger(__name__)


class ProxyApi:
    """The running server; `address` is where it listens."""

    def __init__(
        self,
        destination: Destination,
        *,
        identity: IdentityService | None = None,
        limiter: StreamLimiter | None = None,
    ) -> None:
        self._destination = destination
        service = DestinationService(destination, limiter=limiter or StreamLimiter())
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=STREAMS_IN_ALL)
        self._server.add_generic_rpc_handlers((service.generic_handler(),))
        self._certifies = identity is not None
        if identity:
            self._server.add_generic_rpc_handlers((identity.generic_handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.address = ""
        self._waiting: list[asyncio.Task[None]] = []

    def bind(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Make the socket, in this thread's network namespace. `BindError` if the address is taken."""
        try:
            bound = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise BindError(f"proxy-api: cannot listen on {host}:{port}") from error
        self.address = f"{host}:{bound}"

    async def start(self) -> str:
        """Serve where `bind` said; returns that `host:port`. Health says so of Destination once everything
        has been listed.
        """
        await self._server.start()
        if self._certifies:
            await self._health.set(IDENTITY_SERVICE, health_pb2.HealthCheckResponse.SERVING)
        if self._destination.is_synced:
            await self._say_synced()
        else:
            for name in _WHEN_SYNCED:
                await self._health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
            self._waiting = [spawn(self._say_synced(), name="proxy-api-health")]
        logger.info("proxy-api listens on %s", self.address)
        return self.address

    async def stop(self, *, grace_s: float = 1.0) -> None:
        """Say so in health, end every stream, stop listening. May be repeated."""
        await cancel_all(self._waiting)
        await self._health.enter_graceful_shutdown()
        self._destination.close()
        await self._server.stop(grace_s)

    async def _say_synced(self) -> None:
        await self._destination.synced()
        for name in _WHEN_SYNCED:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
