"""What proxies ask, answered by a relay: the services of destination, policy and identity as they are
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable

import grpc

from linkerd2_py.controlplane.calls import Method, Methods, ProxyCall, RefusedCallError, Standing
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


class RelayedServices:
    """Every standing question through `relay`, and each that is answered at once through `links`."""

    def __init__(self, relay: Relay, *, links: Links, limiter: StreamLimiter | None = None) -> None:
        self._relay = relay
        self._links = links
        self._limiter = limiter or StreamLimiter()

    def methods(self) -> dict[str, Methods]:
        """By the name of the service."""
        return {name: self._service(name) for name in SERVICES}

    def close(self) -> None:
        """End every stream. May be repeated."""
        self._relay.close()

    def _service(self, name: str) -> Methods:
        begins = f"/{name}/"
        standing = {
            path.removeprefix(begins): self._standing(path)
            for path in STANDING
            if path.startswith(begins)
        }
        at_once = [path for path in AT_ONCE if path.startswith(begins)]
        return {**standing, **passed_on(at_once, links=self._links)}

    def _standing(self, path: str) -> Method:
        reduce = STANDING[path].reduce

        async def answer(request: bytes, call: ProxyCall) -> Standing:
            question = Question(path, reduce(request))
            try:
                return await stream_answer(
                    self._relay, question=question, limiter=self._limiter, call=call
                )
            except RefusedError as error:
                raise RefusedCallError(error.code, str(error)) from error

        return answer


def passed_on(paths: Iterable[str], *, links: Links) -> Methods:
    """Methods that are answered at once by whoever is there, as they are."""
    return {path.rpartition("/")[2]: _pass_on(path, links=links) for path in paths}


def _pass_on(path: str, *, links: Links) -> Method:
    async def answer(request: bytes, call: ProxyCall) -> bytes:
        try:
            with links.use() as channel:
                ask = channel.unary_unary(path)
                found: bytes = await ask(request, timeout=call.remaining_s)
        except grpc.aio.AioRpcError as error:
            raise RefusedCallError(error.code(), error.details() or "") from error
        return found

    return answer
