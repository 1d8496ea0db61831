"""What proxies ask, answered by a relay: the services of destination, policy and identity as they are
elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

import grpc

from linkerd2_py.controlplane.proxy_api.limits import StreamLimiter
from linkerd2_py.controlplane.proxy_api.relay.links import Links
from linkerd2_py.controlplane.proxy_api.relay.questions import (
    AT_ONCE,
    SERVICES,
    STANDING,
    Question,
)
from linkerd2_py.controlplane.proxy_api.relay.relay import RefusedError, Relay
from linkerd2_py.controlplane.proxy_api.streaming import stream_answer


class Methods(grpc.GenericRpcHandler):
    """Some methods by their paths."""

    def __init__(self, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        self._handlers = handlers

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """See `GenericRpcHandler`."""
        return self._handlers.get(details.method)


class RelayedServices:
    """Every standing question through `relay`, and each that is answered at once through `links`."""

    def __init__(self, relay: Relay, *, links: Links, limiter: StreamLimiter | None = None) -> None:
        self._relay = relay
        self._links = links
        self._limiter = limiter or StreamLimiter()

    def handlers(self) -> dict[str, grpc.GenericRpcHandler]:
        """By the name of the service."""
        return {name: self._service(name) for name in SERVICES}

    def close(self) -> None:
        """End every stream. May be repeated."""
        self._relay.close()

    def _service(self, name: str) -> Methods:
        standing = {path: self._standing(path) for path in STANDING if path.startswith(f"/{name}/")}
        at_once = [path for path in AT_ONCE if path.startswith(f"/{name}/")]
        return Methods({**standing, **passed_on(at_once, links=self._links)})

    def _standing(self, method: str) -> grpc.RpcMethodHandler:
        reduce = STANDING[method].reduce

        async def answer(request: bytes, call: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
            question = Question(method, reduce(request))
            try:
                async for message in stream_answer(
                    self._relay, question=question, limiter=self._limiter, call=call
                ):
                    yield message
            except RefusedError as error:
                await call.abort(error.code, str(error))

        return grpc.unary_stream_rpc_method_handler(answer)


def passed_on(methods: Iterable[str], *, links: Links) -> dict[str, grpc.RpcMethodHandler]:
    """Methods that are answered at once by whoever is there, as they are."""
    return {
        method: grpc.unary_unary_rpc_method_handler(_pass_on(method, links=links))
        for method in methods
    }


def _pass_on(
    method: str, *, links: Links
) -> Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]:
    async def answer(request: bytes, call: grpc.aio.ServicerContext) -> bytes:
        try:
            with links.use() as channel:
                ask = channel.unary_unary(method)
                found: bytes = await ask(request, timeout=call.time_remaining())
        except grpc.aio.AioRpcError as error:
            await call.abort(error.code(), error.details() or "")
            raise AssertionError("abort always raises") from error
        return found

    return answer
