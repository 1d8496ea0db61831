"""The Destination service.

Answers arrive here encoded and leave as they are: the same bytes go to every proxy that watches a target.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import grpc
from google.protobuf.message import DecodeError

from linkerd2_py.controlplane.calls import ProxyCall, RefusedCallError, Standing
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
            {"Get": self.get, "GetProfile": self.get_profile},
            is_synced=lambda: of.is_synced,
            synced=of.synced,
            close=of.close,
        )

    async def get(self, request: bytes, call: ProxyCall) -> Standing:
        """Endpoints of a service. What is none is refused, as Linkerd's destination does."""

        def asks(asked: destination_messages.GetDestination) -> EndpointsQuestion:
            return self._destination.endpoints_question(
                asked.path, asked.context_token, prefers_near=asked.prefers_near
            )

        return await self._answer(
            self._destination.endpoints, request=request, asks=asks, call=call
        )

    async def get_profile(self, request: bytes, call: ProxyCall) -> Standing:
        """The profile of a name or an address."""

        def asks(asked: destination_messages.GetDestination) -> ProfileQuestion:
            return self._destination.profile_question(asked.path, asked.context_token)

        return await self._answer(self._destination.profiles, request=request, asks=asks, call=call)

    async def _answer(
        self,
        watches: Watches[Q],
        *,
        request: bytes,
        asks: Callable[[destination_messages.GetDestination], Q],
        call: ProxyCall,
    ) -> Standing:
        try:
            question = await self._question(request, asks=asks)
            return await stream_answer(watches, question=question, limiter=self._limiter, call=call)
        except DecodeError as error:
            words = "the request is not a GetDestination"
            raise RefusedCallError(grpc.StatusCode.INVALID_ARGUMENT, words) from error
        except RefusedError as error:
            raise RefusedCallError(_CODES[error.reason], str(error)) from error
        except OutdatedError as error:
            raise RefusedCallError(grpc.StatusCode.UNAVAILABLE, str(error)) from error

    async def _question(
        self, request: bytes, *, asks: Callable[[destination_messages.GetDestination], Q]
    ) -> Q:
        """What makes no sense is refused at once; what else is asked is known once all has been listed."""
        message = destination_messages.GetDestination.FromString(request)
        question = asks(message)
        if self._destination.is_synced:
            return question
        await self._destination.synced()
        return asks(message)
