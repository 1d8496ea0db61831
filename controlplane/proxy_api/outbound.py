"""The OutboundPolicies service."""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf.message import DecodeError

from linkerd2_py.controlplane.calls import ProxyCall, RefusedCallError, Standing
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
            {"Get": self.get, "Watch": self.watch},
            is_synced=lambda: of.is_synced,
            synced=of.synced,
            close=of.close,
        )

    async def get(self, request: bytes, call: ProxyCall) -> bytes:
        """What holds now."""
        try:
            return await self._policies.now(_question(request))
        except _REFUSED as error:
            raise _refused(error) from error

    async def watch(self, request: bytes, call: ProxyCall) -> Standing:
        """What holds now, and whatever holds later."""
        try:
            return await stream_answer(
                self._policies, question=_question(request), limiter=self._limiter, call=call
            )
        except _REFUSED as error:
            raise _refused(error) from error


_REFUSED: Final = (DecodeError, InvalidTargetError, InvalidWorkloadError, NoSuchServiceError)


def _question(request: bytes) -> Question:
    return parse_question(outbound.TrafficSpec.FromString(request))


def _refused(error: Exception) -> RefusedCallError:
    if isinstance(error, NoSuchServiceError):
        return RefusedCallError(grpc.StatusCode.NOT_FOUND, str(error))
    what = "the request is not a TrafficSpec" if isinstance(error, DecodeError) else str(error)
    return RefusedCallError(grpc.StatusCode.INVALID_ARGUMENT, what)
