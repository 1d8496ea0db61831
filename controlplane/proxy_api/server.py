"""The proxy-api: a gRPC server with the services that proxies ask, and health; in plain text, and over TLS
where it has an identity."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import grpc

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.actor import Actor
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.route.call import Call
from linkerd2_py._ext.route.call_server import CallServer
from linkerd2_py._ext.tls.identity import LocalIdentity
from linkerd2_py.base.event_loop import leave, run_inside
from linkerd2_py.base.tasks import cancel_all, report_failure, spawn
from linkerd2_py.controlplane.calls import Method, Methods, ProxyCall, RefusedCallError, Standing
from linkerd2_py.controlplane.errors import BindError
from linkerd2_py.controlplane.listen import host_port
from linkerd2_py.controlplane.proxy_api.health import ALL, Health
from linkerd2_py.controlplane.proxy_api.health import SERVICE as HEALTH
from linkerd2_py.controlplane.proxy_api.limits import (
    CONNECTIONS_IN_ALL,
    STREAMS_IN_ALL,
    STREAMS_PER_PROXY,
)

# Requests are a name, a token and a request for a certificate; nothing larger is one.
LARGEST_REQUEST_BYTES = 64 * 1024
_S: Final = 1_000_000_000
# Where it says nothing, as proxies are bounded.
_LIMITS: Final = Limits(
    header_list_bytes=16 * 1024,
    max_concurrent_streams=STREAMS_PER_PROXY,
    # Finds proxies that vanished without a word; their streams end.
    ping_interval_ns=30 * _S,
    ping_timeout_ns=10 * _S,
    # Whoever connects is to speak HTTP/2 soon.
    head_timeout_ns=10 * _S,
)
# And to ask for something: only proxies, which do, are held for long.
_IDLE_NS: Final = 300 * _S

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """One service of the server: health says it is serving once it `is_synced`, which `synced` waits for.

    `close` ends its streams.
    """

    name: str
    methods: Methods
    is_synced: Callable[[], bool] = lambda: True
    synced: Callable[[], Awaitable[None]] | None = None
    close: Callable[[], None] = lambda: None


class ProxyApi:
    """The running server; `addresses` are where it listens. With `identity` TLS that asks for its name ends
    here; proxies ask for their first certificate there, too, so that nobody needs one.
    """

    def __init__(
        self, services: Sequence[Served], *, identity: LocalIdentity | None = None
    ) -> None:
        self._services = services
        self._health = Health()
        self._methods: dict[bytes, Method] = {}
        for one in (*services, Served(HEALTH, self._health.methods())):
            paths = {f"/{one.name}/{name}".encode(): each for name, each in one.methods.items()}
            self._methods |= paths
        self._engine = Loop(busy_wait=False)
        self._engine.on_error = _report
        self._server = CallServer(
            self._engine,
            on_call=self._begin,
            limits=_LIMITS,
            connections_max=CONNECTIONS_IN_ALL,
            calls_max=STREAMS_IN_ALL,
            request_bytes=LARGEST_REQUEST_BYTES,
            idle_ns=_IDLE_NS,
            identity=identity,
        )
        self.addresses: list[str] = []
        self._waiting: list[asyncio.Task[None]] = []
        self._answering: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def address(self) -> str:
        """Where it listens first of all."""
        return self.addresses[0] if self.addresses else ""

    def bind(self, *, host: str = "127.0.0.1", port: int = 0, secured: bool = False) -> None:
        """Make a socket, in this thread's network namespace; may be done for several addresses, all of which
        serve the same. `secured`: over TLS only. `BindError` if the address is taken.
        """
        try:
            bound = self._server.listen(host, port, hold=True, plain=not secured).port
        except (OSError, ValueError) as error:
            # The engine's own words for a number are the address; what is no address has no number.
            number = error.errno if isinstance(error, OSError) else None
            reason = os.strerror(number) if number else str(error)
            raise BindError(
                f"proxy-api: cannot listen on {host_port(host, port)}: {reason}"
            ) from error
        logger.info("proxy-api listens on %s", host_port(host, bound))
        self.addresses.append(host_port(host, bound))

    async def start(self) -> str:
        """Serve where `bind` said; returns the first `host:port`. Health says of each service when all that
        it answers from has been listed.
        """
        run_inside(self._engine, asyncio.get_running_loop())
        self._server.start()
        for one in self._services:
            self._health.say(one.name, serves=one.is_synced())
        self._health.say(ALL, serves=all(one.is_synced() for one in self._services))
        if not all(one.is_synced() for one in self._services):
            self._waiting = [spawn(self._say_synced(), name="proxy-api-health")]
        return self.address

    async def stop(self, *, grace_s: float = 1.0) -> None:
        """Say so in health, end every stream, stop listening. May be repeated."""
        if self._stopped:
            return
        self._stopped = True
        await cancel_all(self._waiting)
        self._health.end()
        for one in self._services:
            one.close()
        empty = asyncio.Event()
        self._server.on_empty = empty.set
        self._server.drain()
        if self._server.connections:
            await self._wait(empty, grace_s=grace_s)
        await cancel_all(self._answering)
        self._server.abort_all()
        leave(self._engine, asyncio.get_running_loop())
        self._engine.close()

    async def _wait(self, empty: asyncio.Event, *, grace_s: float) -> None:
        try:
            async with asyncio.timeout(grace_s):
                await empty.wait()
        except TimeoutError:
            logger.debug("connections of proxies are still open after %g s", grace_s)

    def _begin(
        self, call: Call, path: bytes, headers: list[tuple[bytes, bytes]], request: bytes
    ) -> None:
        method = self._methods.get(path)
        if method is None:
            call.finish(grpc.StatusCode.UNIMPLEMENTED.value[0], "Method not found!")
            return
        answering = _answer(method, request, ProxyCall(call, headers=headers))
        task = spawn(answering, name="proxy-api-call")
        call.on_gone = task.cancel
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _say_synced(self) -> None:
        for one in self._services:
            if one.synced:
                await one.synced()
            self._health.say(one.name, serves=True)
        self._health.say(ALL, serves=True)


async def _answer(method: Method, request: bytes, call: ProxyCall) -> None:
    finish = partial(_finish, call.outlet)
    try:
        answer = await method(request, call)
        if isinstance(answer, bytes):
            call.send(answer)
        elif answer is not None:
            _stand(answer, call.outlet)
            return
    except RefusedCallError as error:
        finish(error.code, str(error))
    except asyncio.CancelledError:
        # By the caller, who hears nothing any more, or because the server ends.
        finish(grpc.StatusCode.UNAVAILABLE, "the control plane is shutting down")
        raise
    except Exception as error:  # noqa: BLE001  # one call's failure ends that call
        report_failure("proxy-api-call", error)
        finish(grpc.StatusCode.UNKNOWN, f"Unexpected {type(error)}: {error}")
    else:
        finish(grpc.StatusCode.OK, "")


def _stand(answer: Standing, call: Call) -> None:
    if call.over:
        answer.release()
        return
    call.on_gone = answer.release
    answer.deliver(call)


def _finish(call: Call, code: grpc.StatusCode, words: str) -> None:
    call.finish(code.value[0], words)


def _report(error: BaseException, actor: Actor) -> None:
    report_failure(f"engine {type(actor).__name__}", error)
