"""Serves an ASGI application on a socket of ours, in the running loop, without touching signals."""

import asyncio
import logging
import socket
import ssl
from typing import Any, Protocol

import uvicorn

from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.errors import BindError
from linkerd2_py.controlplane.listen import host_port
from linkerd2_py.controlplane.public_api.connections import IDLE_S, BoundedProtocol
from linkerd2_py.controlplane.public_api.tls import CertificateError, TlsFiles

_STOP_GRACE_S = 2

logger = logging.getLogger(__name__)


class Clients(Protocol):
    """Whose certificates are asked for."""

    @property
    def protocol(self) -> type[BoundedProtocol]:
        """What tells applications whose they are."""

    def require(self, context: ssl.SSLContext) -> None:
        """Let nobody in without one."""


class WebServer:
    """One listener, which log and errors call `name`; `address` is where it listens once started. With `tls`
    it is asked by TLS, by `clients` alone where these are given; with `websockets` it also serves those.
    """

    def __init__(
        self,
        app: Any,
        *,
        name: str = "public-api",
        tls: TlsFiles | None = None,
        websockets: bool = False,
        clients: Clients | None = None,
    ) -> None:
        self._name = name
        self._tls = tls
        self._clients = clients
        self._config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # uvicorn calls what it takes for a class.
            ws=_websocket if websockets else "none",  # type: ignore[arg-type]
            http=clients.protocol if clients else BoundedProtocol,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=_STOP_GRACE_S,
            ssl_certfile=tls.certificate if tls else None,
            ssl_keyfile=tls.key if tls else None,
        )
        self._server = uvicorn.Server(self._config)
        self._serving: asyncio.Task[None] | None = None
        self._following: list[asyncio.Task[None]] = []
        self._socket: socket.socket | None = None
        self.address = ""

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen and serve; returns the bound `host:port`. Raises `BindError` and `CertificateError`."""
        # `serve()` would take over the process' signals; these are its steps without that.
        self._load()
        self._socket = _listen(host, port=port, name=self._name)
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=[self._socket])
        self._serving = supervise(self._server.main_loop, name=self._name)
        self._follow()
        self.address = host_port(host, self._socket.getsockname()[1])
        logger.info("%s listens on %s", self._name, self.address)
        return self.address

    async def stop(self) -> None:
        """Answer what was asked, then close. May be repeated, and without a start."""
        if self._serving is None or self._socket is None:
            return
        await cancel_all(self._following)
        self._server.should_exit = True
        await asyncio.wait([self._serving], timeout=_STOP_GRACE_S)
        await cancel_all([self._serving])
        await self._server.shutdown(sockets=[self._socket])
        self._serving = None

    def _load(self) -> None:
        # A start at a port that is taken may be followed by one at another.
        if self._config.loaded:
            return
        try:
            self._config.load()
        except OSError as error:
            # Which of the two it was is not said.
            where = self._tls and f"{self._tls.certificate}, {self._tls.key}"
            raise CertificateError(f"{self._name}: {where}: {error.strerror or error}") from error
        if self._clients and self._config.ssl:
            self._clients.require(self._config.ssl)

    def _follow(self) -> None:
        tls, context = self._tls, self._config.ssl
        if tls and context:
            name = f"{self._name}-certificate"
            self._following = [supervise(lambda: tls.follow(context), name=name)]


def _websocket(**named: Any) -> asyncio.Protocol:
    """uvicorn's protocol of WebSockets, whose library is loaded when the first of them is opened."""
    from uvicorn.protocols.websockets.websockets_sansio_impl import (  # noqa: PLC0415
        WebSocketsSansIOProtocol,
    )

    return WebSocketsSansIOProtocol(**named)


def _listen(host: str, *, port: int, name: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = f"{name}: cannot listen on {host_port(host, port)}: {error.strerror}"
        raise BindError(reason) from error
    return listener
