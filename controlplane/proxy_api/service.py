"""The Destination service over grpc.aio.

Answers arrive here encoded and leave as they are: the same bytes go to every proxy that watches a target.
"""

from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

import grpc
from google.protobuf.message import DecodeError

from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.destination.questions import EndpointsQuestion, ProfileQuestion
from linkerd2_py.controlplane.destination.refusals import Reason, RefusedError
from linkerd2_py.controlplane.proxy_api.limits import StreamLimiter
from linkerd2_py.controlplane.proxy_api.server import Served
from linkerd2_py.controlplane.proxy_api.streaming import stream_answer
from linkerd2_py.controlplane.streams.watches import OutdatedError, Watches
from linkerd2_py.proto.gen import destination_pb2 as destination_messages

SERVICE = "io.linkerd.proxy.destination.Destination"

Q = TypeVar("Q", EndpointsQuestion, ProfileQuestion)
_CODES: Final[dict[Reason, grpc.StatusCode]] = {
    "invalid": grpc.StatusCode.INVALID_ARGUMENT,
    "not found": grpc.StatusCode.NOT_FOUND,
    "failed precondition": grpc.StatusCode.FAILED_PRECONDITION,
    "unknown": grpc.StatusCode.UNKNOWN,
}


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
        """Endpoints of a service. What is none is refused, as Linkerd's destination does."""
        asks = self._destination.endpoints_question
        async for message in self._answer(
            self._destination.endpoints, request=request, asks=asks, call=call
        ):
            yield message

    async def get_profile(
        self, request: bytes, call: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        """The profile of a name or an address."""
        asks = self._destination.profile_question
        async for message in self._answer(
            self._destination.profiles, request=request, asks=asks, call=call
        ):
            yield message

    async def _answer(
        self,
        watches: Watches[Q],
        *,
        request: bytes,
        asks: Callable[[str, str], Q],
        call: grpc.aio.ServicerContext,
    ) -> AsyncIterator[bytes]:
        try:
            question = await self._question(request, asks=asks)
            async for message in stream_answer(
                watches, question=question, limiter=self._limiter, call=call
            ):
                yield message
        except DecodeError:
            words = "the request is not a GetDestination"
            await call.abort(grpc.StatusCode.INVALID_ARGUMENT, words)
        except RefusedError as error:
            await call.abort(_CODES[error.reason], str(error))
        except OutdatedError as error:
            await call.abort(grpc.StatusCode.UNAVAILABLE, str(error))

    async def _question(self, request: bytes, *, asks: Callable[[str, str], Q]) -> Q:
        """What makes no sense is refused at once; what else is asked is known once all has been listed."""
        message = destination_messages.GetDestination.FromString(request)
        question = asks(message.path, message.context_token)
        if self._destination.is_synced:
            return question
        await self._destination.synced()
        return asks(message.path, message.context_token)
