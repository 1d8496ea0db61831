"""The OutboundPolicies service over grpc.aio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import grpc
from google.protobuf.message import DecodeError

from linkerd2_py.controlplane.policy.outbound.outbound import OutboundPolicies
from linkerd2_py.controlplane.policy.outbound.targets import (
    InvalidTargetError,
    NoSuchServiceError,
    Question,
    parse_question,
)
from linkerd2_py.controlplane.policy.workload import InvalidWorkloadError
from linkerd2_py.controlplane.proxy_api.limits import StreamLimiter
from linkerd2_py.controlplane.proxy_api.server import Served
from linkerd2_py.controlplane.proxy_api.streaming import stream_answer
from linkerd2_py.proto.gen import outbound_pb2 as outbound

SERVICE: Final = "io.linkerd.proxy.outbound.OutboundPolicies"


class OutboundService:
    """`Get` and `Watch`: what holds for a target as soon as everything has been listed, then each change."""

    def __init__(self, policies: OutboundPolicies, *, limiter: StreamLimiter | None = None) -> None:
        self._policies = policies
        self._limiter = limiter or StreamLimiter()

    def served(self) -> Served:
        """With what health says of it."""
        of = self._policies
        return Served(
            SERVICE,
            grpc.method_handlers_generic_handler(
                SERVICE,
                {
                    "Get": grpc.unary_unary_rpc_method_handler(self.get),
                    "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
                },
            ),
            is_synced=lambda: of.is_synced,
            synced=of.synced,
            close=of.close,
        )

    async def get(self, request: bytes, call: grpc.aio.ServicerContext) -> bytes:
        """What holds now."""
        try:
            return await self._policies.now(_question(request))
        except _REFUSED as error:
            await _refuse(error, call=call)
            raise AssertionError("abort always raises") from error

    async def watch(self, request: bytes, call: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        """What holds now, and whatever holds later."""
        try:
            question = _question(request)
            async for message in stream_answer(
                self._policies, question=question, limiter=self._limiter, call=call
            ):
                yield message
        except _REFUSED as error:
            await _refuse(error, call=call)


_REFUSED: Final = (DecodeError, InvalidTargetError, InvalidWorkloadError, NoSuchServiceError)


def _question(request: bytes) -> Question:
    return parse_question(outbound.TrafficSpec.FromString(request))


async def _refuse(error: Exception, *, call: grpc.aio.ServicerContext) -> None:
    if isinstance(error, NoSuchServiceError):
        await call.abort(grpc.StatusCode.NOT_FOUND, str(error))
    what = "the request is not a TrafficSpec" if isinstance(error, DecodeError) else str(error)
    await call.abort(grpc.StatusCode.INVALID_ARGUMENT, what)
