"""One process of a control plane, from its start to the signal that ends it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.errors import BindError, IssuerError
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.public_api.tls import CertificateError
from linkerd2_py.controlplane.run.kubernetes.admin import admin_app
from linkerd2_py.controlplane.run.kubernetes.health import Health
from linkerd2_py.controlplane.run.own_metrics import own_metrics
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer, ConfigError, connect

logger = logging.getLogger(__name__)


class StartError(Exception):
    """The process cannot start; in one line, what would help."""


@dataclass(frozen=True, slots=True)
class Process:
    """What a component is put together in: what enters `running` is stopped at the end, the last first."""

    metrics: CollectorRegistry
    health: Health
    running: AsyncExitStack


Compose = Callable[[Process], Awaitable[None]]
"""Starts a component in a process, and adds to its health."""


def run_process(compose: Compose, *, admin: Listen) -> None:
    """Until SIGTERM or SIGINT. Raises `StartError`, with nothing left running."""
    try:
        asyncio.run(_run(compose, admin=admin))
    except (BindError, CertificateError, ConfigError, IssuerError) as error:
        raise StartError(str(error)) from error


async def _run(compose: Compose, *, admin: Listen) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with AsyncExitStack() as running:
        process = Process(running.enter_context(own_metrics()), Health(), running)
        # From now on whoever wonders can ask; what is started next may take its time.
        process.health.needs.append(_being_started)
        await running.enter_async_context(_serve_admin(process, listen=admin))
        await compose(process)
        process.health.needs.remove(_being_started)
        await ended.wait()
        logger.info("ends, as it was told to")
        process.health.needs.append(lambda: "is being stopped")


def _being_started() -> str:
    return "is being started"


@asynccontextmanager
async def _serve_admin(process: Process, *, listen: Listen) -> AsyncIterator[None]:
    server = WebServer(admin_app(process.health, metrics=process.metrics), name="admin")
    try:
        await server.start(host=listen.host, port=listen.port)
        yield
    finally:
        await server.stop()


async def ask_api_server(process: Process, kubeconfig: Path | None) -> ApiServer:
    """As the pod's own account where no kubeconfig is given. ConfigError when neither says where it is."""
    api = await connect(kubeconfig)
    process.running.push_async_callback(api.close)
    return api
