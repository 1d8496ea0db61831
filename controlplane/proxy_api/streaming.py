"""An answer as a stream of gRPC: encoded messages as they come, until either side ends."""

from __future__ import annotations

import logging
from typing import Final, Generic, Protocol, TypeVar

import grpc

from linkerd2_py._ext.route.call import Call
from linkerd2_py.controlplane.calls import ProxyCall, RefusedCallError, Standing
from linkerd2_py.controlplane.proxy_api.limits import StreamLimiter, TooManyStreamsError
from linkerd2_py.controlplane.streams.stream import UpdateStream

RELAYED: Final = "l5d-relayed"
"""Who asks with this in its metadata asks for many, and wants to know what it begins with."""
SNAPSHOT: Final = "l5d-snapshot"
"""In the metadata of the answer: how many messages say all that is so at its beginning."""

logger = logging.getLogger(__name__)
Q_contra = TypeVar("Q_contra", contravariant=True)
T = TypeVar("T")


class Subscriptions(Protocol[Q_contra]):
    """What is asked, as `Watches` give it."""

    async def subscribe(self, question: Q_contra) -> UpdateStream:
        """A stream that begins with all there is to say."""

    def unsubscribe(self, question: Q_contra, *, stream: UpdateStream) -> None:
        """Forget it."""


async def stream_answer(
    subscriptions: Subscriptions[T], *, question: T, limiter: StreamLimiter, call: ProxyCall
) -> Standing:
    """The messages of one stream, until either side ends. What `subscribe` raises is raised."""
    peer = call.peer
    try:
        limiter.take(peer)
    except TooManyStreamsError as error:
        logger.warning("%s: refused a stream: %s", peer, error)
        raise RefusedCallError(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)) from error
    try:
        stream = await subscriptions.subscribe(question)
    except BaseException:
        limiter.give_back(peer)
        raise
    if RELAYED in call.metadata:
        call.begin({SNAPSHOT: str(stream.queued)})
    return _Delivery(subscriptions, question=question, stream=stream, limiter=limiter, peer=peer)


class _Delivery(Generic[T]):
    """A stream that was subscribed to, from its call's side."""

    __slots__ = (
        "_call",
        "_limiter",
        "_peer",
        "_question",
        "_released",
        "_stream",
        "_subscriptions",
    )

    def __init__(
        self,
        subscriptions: Subscriptions[T],
        *,
        question: T,
        stream: UpdateStream,
        limiter: StreamLimiter,
        peer: str,
    ) -> None:
        self._subscriptions = subscriptions
        self._question = question
        self._stream = stream
        self._limiter = limiter
        self._peer = peer
        self._released = False
        self._call: Call | None = None

    def deliver(self, call: Call) -> None:
        """See `Standing`."""
        self._call = call
        self._stream.deliver(call, on_end=self._end)

    def release(self) -> None:
        """See `Standing`."""
        if self._released:
            return
        self._released = True
        self._call = None
        self._subscriptions.unsubscribe(self._question, stream=self._stream)
        self._limiter.give_back(self._peer)

    def _end(self) -> None:
        call = self._call
        self.release()
        if call is None:
            return
        if self._stream.overflowed:
            logger.warning("%s: ended a stream: it did not keep up with updates", self._peer)
            call.finish(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], "too many updates queued")
            return
        # The stream was closed by us; a proxy reconnects, elsewhere or later.
        call.finish(grpc.StatusCode.UNAVAILABLE.value[0], "the control plane is shutting down")
