"""The Destination service over grpc.aio.

Answers arrive here encoded and leave as they are: the same bytes go to every proxy that watches a target.
"""

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError

from linkerd2_py.controlplane.destination.destination import Destination, endpoints_target
from linkerd2_py.controlplane.destination.targets import InvalidPathError, Target, parse_target
from linkerd2_py.controlplane.proxy_api.limits import StreamLimiter
from linkerd2_py.controlplane.proxy_api.server import Served
from linkerd2_py.controlplane.proxy_api.streaming import stream_answer
from linkerd2_py.proto.gen import destination_pb2 as destination_messages

SERVICE = "io.linkerd.proxy.destination.Destination"

T = TypeVar("T", bound=Target)


class DestinationService:
    """`Get` and `GetProfile`: a snapshot as soon as everything has been listed, then each change, until
    either side ends.
    """

    def __init__(self, destination: Destination, *, limiter: StreamLimiter | None = None) -> None:
        self._destination = destination
        self._limiter = limiter or StreamLimiter()

    def served(self) -> Served:
        """With what health says of it."""
        of = self._destination
        return Served(
            SERVICE,
            self.generic_handler(),
            is_synced=lambda: of.is_synced,
            synced=of.synced,
            close=of.close,
        )

    def generic_handler(self) -> grpc.GenericRpcHandler:
        """The service as the gRPC server takes it: requests as bytes, responses as bytes."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Get": grpc.unary_stream_rpc_method_handler(self.get),
                "GetProfile": grpc.unary_stream_rpc_method_handler(self.get_profile),
            },
        )

    async def get(self, request: bytes, call: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        """Endpoints of a service; a path that is none of ours is `InvalidArgument`."""
        target = await _target(request, parse=endpoints_target, call=call)
        async for message in stream_answer(
            self._destination.endpoints, question=target, limiter=self._limiter, call=call
        ):
            yield message

    async def get_profile(
        self, request: bytes, call: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        """The profile of a name or an address; a name that is none of ours is `InvalidArgument`."""
        target = await _target(request, parse=parse_target, call=call)
        async for message in stream_answer(
            self._destination.profiles, question=target, limiter=self._limiter, call=call
        ):
            yield message


async def _target(
    request: bytes, *, parse: Callable[[str], T], call: grpc.aio.ServicerContext
) -> T:
    try:
        return parse(destination_messages.GetDestination.FromString(request).path)
    except DecodeError:
        reason = "the request is not a GetDestination"
    except InvalidPathError as error:
        reason = str(error)
    await call.abort(grpc.StatusCode.INVALID_ARGUMENT, reason)
    raise AssertionError("abort always raises")
