"""A real gRPC server that authorizes what the test says: envoy.service.auth.v3.Authorization.

`answer` is asked with each request and gives a response, bytes as they are sent, or raises; it may take its
time. `Held` lets a test say when.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from linkerd2_py.proto.gen import external_auth_pb2 as external_auth
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from tests.support.policy_stub import authz, resource

Answer = external_auth.CheckResponse | bytes
GROUP = "policy.linkerd2-py.io"


def allow(**headers: str) -> external_auth.CheckResponse:
    """Let in, with these fields in the place of others of their names."""
    found = external_auth.CheckResponse()
    found.ok_response.SetInParent()
    for name, value in headers.items():
        found.ok_response.headers.add().header.key = name.replace("_", "-")
        found.ok_response.headers[-1].header.value = value
    return found


def deny(status: int = 0, body: str = "", **headers: str) -> external_auth.CheckResponse:
    """Denied, with such a response."""
    found = external_auth.CheckResponse()
    found.status.code = 7
    found.denied_response.status.code = status
    found.denied_response.body = body
    for name, value in headers.items():
        found.denied_response.headers.add().header.key = name.replace("_", "-")
        found.denied_response.headers[-1].header.value = value
    return found


class Authorizer:
    """Where it listens, and what it was asked."""

    def __init__(
        self,
        answer: Callable[[external_auth.CheckRequest], Answer | Awaitable[Answer]] | None = None,
    ) -> None:
        self.answer = answer or (lambda _: allow())
        self.requests: list[external_auth.CheckRequest] = []
        self.cancelled = 0
        self.now = 0
        self.most = 0
        self.port = 0

    async def _check(self, request: bytes, _: Any) -> bytes:
        asked = external_auth.CheckRequest.FromString(request)
        self.requests.append(asked)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            found = self.answer(asked)
            if isinstance(found, Awaitable):
                found = await found
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        return found if isinstance(found, bytes) else found.SerializeToString()

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        check = grpc.unary_unary_rpc_method_handler(self._check)
        handler = grpc.method_handlers_generic_handler(
            "envoy.service.auth.v3.Authorization", {"Check": check}
        )
        self._server.add_generic_rpc_handlers((handler,))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.stop(None)

    def authz(self, **more: Any) -> inbound.Authz:
        """Who is let in where it agrees."""
        return external(f"127.0.0.1:{self.port}", **more)


def external(
    authority: str,
    *,
    timeout_s: float = 10.0,
    fail_open: bool = False,
    status_on_error: int = 0,
    **extensions: str,
) -> inbound.Authz:
    """Anybody whose requests are let in there."""
    found = authz("asked")
    said = found.external_authorization
    said.metadata.CopyFrom(resource("ExternalAuthorization", "authz", group=GROUP))
    said.authority = authority
    said.timeout.FromNanoseconds(int(timeout_s * 1e9))
    said.fail_open = fail_open
    said.status_on_error = status_on_error
    said.context_extensions.update(extensions)
    return found
