"""What every program of the sample does alike: read where it is, serve, stop at once on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any

import grpc
import uvicorn
from starlette.applications import Starlette

from linkerd2_py.base import logs
from linkerd2_py.base.tasks import spawn

STOP_GRACE_S = 1.0
"""Longer than any call of the sample takes."""


@dataclass(frozen=True, slots=True)
class Replica:
    """Where this replica listens and what it is called."""

    host: str
    port: int
    pod: str


def replica() -> Replica:
    """Read HOST, PORT and POD_NAME, and set up logging on the way."""
    logs.configure(filter_text="warn,linkerd=info")
    return Replica(
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "0")),
        pod=os.environ.get("POD_NAME", "pod"),
    )


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a program of the sample to its end, on uvloop where it is installed."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415  # part of the [fast] extra
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def address_of(service: str) -> str:
    """`host:port` at which `service` is reached; exits with one line if it was not given."""
    name = f"{service.upper().replace('-', '_')}_ADDR"
    address = os.environ.get(name)
    if not address:
        raise SystemExit(f"{name}: not set; it is the host:port of {service}")
    return address


def open_channel(service: str) -> grpc.aio.Channel:
    """A gRPC channel that goes where it is told and ignores http_proxy."""
    return grpc.aio.insecure_channel(address_of(service), [("grpc.enable_http_proxy", 0)])


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def serve_grpc(service: grpc.GenericRpcHandler, *, at: Replica) -> None:
    """Serve until told to stop. SystemExit if the port is taken."""
    stop = stop_signal()
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((service,))
    try:
        port = server.add_insecure_port(f"{at.host}:{at.port}")
    except RuntimeError as error:
        raise SystemExit(f"cannot listen on {at.host}:{at.port}: {error}") from error
    await server.start()
    logging.getLogger("linkerd2_py.sample.serving").info(
        "%s listens on %s:%d", at.pod, at.host, port
    )
    await stop.wait()
    await server.stop(STOP_GRACE_S)


async def serve_http(app: Starlette, *, at: Replica, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    config = uvicorn.Config(
        app,
        host=at.host,
        port=at.port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=int(STOP_GRACE_S),
    )
    server = _Server(config)
    serving = spawn(server.serve(), name="http")
    stopping = spawn(stop.wait(), name="stop")
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us, so that SIGTERM ends in exit status 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
