"""The InboundServerPolicies service."""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf.message import DecodeError

from linkerd2_py.controlplane.calls import ProxyCall, RefusedCallError, Standing
from linkerd2_py.controlplane.policy.inbound.inbound import InboundPolicies
from linkerd2_py.controlplane.policy.inbound.questions import PortQuestion, port_question
from linkerd2_py.controlplane.policy.refusals import Reason, RefusedError
from linkerd2_py.controlplane.proxy_api.limits import StreamLimiter
from linkerd2_py.controlplane.proxy_api.server import Served
from linkerd2_py.controlplane.proxy_api.streaming import stream_answer
from linkerd2_py.proto.gen import inbound_pb2 as inbound

SERVICE: Final = "io.linkerd.proxy.inbound.InboundServerPolicies"
_CODES: Final[dict[Reason, grpc.StatusCode]] = {
    "invalid": grpc.StatusCode.INVALID_ARGUMENT,
    "not found": grpc.StatusCode.NOT_FOUND,
}


class InboundService:
    """`GetPort` and `WatchPort`: what holds for a port as soon as everything has been listed, then each
    change.
    """

    def __init__(self, policies: InboundPolicies, *, limiter: StreamLimiter | None = None) -> None:
        self._policies = policies
        self._limiter = limiter or StreamLimiter()

    def served(self) -> Served:
        """With what health says of it."""
        of = self._policies
        return Served(
            SERVICE,
            {"GetPort": self.get_port, "WatchPort": self.watch_port},
            is_synced=lambda: of.is_synced,
            synced=of.synced,
            close=of.close,
        )

    async def get_port(self, request: bytes, call: ProxyCall) -> bytes:
        """What holds now."""
        try:
            return await self._policies.now(_question(request))
        except RefusedError as error:
            raise RefusedCallError(_CODES[error.reason], str(error)) from error

    async def watch_port(self, request: bytes, call: ProxyCall) -> Standing:
        """What holds now, and whatever holds later."""
        try:
            return await stream_answer(
                self._policies.watches,
                question=_question(request),
                limiter=self._limiter,
                call=call,
            )
        except RefusedError as error:
            raise RefusedCallError(_CODES[error.reason], str(error)) from error


def _question(request: bytes) -> PortQuestion:
    try:
        asked = inbound.PortSpec.FromString(request)
    except DecodeError as error:
        raise RefusedError("invalid", "the request is not a PortSpec") from error
    return port_question(
        asked.workload,
        asked.port,
        tokens=asked.jwt,
        external=asked.external_authorization,
    )
