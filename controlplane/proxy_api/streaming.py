"""An answer as a stream of gRPC: encoded messages as they come, until either side ends."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol, TypeVar

import grpc

from linkerd2_py.controlplane.proxy_api.limits import StreamLimiter, TooManyStreamsError
from linkerd2_py.controlplane.streams.stream import StreamOverflowError, UpdateStream

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
    subscriptions: Subscriptions[T],
    *,
    question: T,
    limiter: StreamLimiter,
    call: grpc.aio.ServicerContext,
) -> AsyncIterator[bytes]:
    """The messages of one stream. What `subscribe` raises is raised."""
    try:
        async with _stream(
            subscriptions, question=question, limiter=limiter, peer=call.peer()
        ) as stream:
            if any(name == RELAYED for name, _ in call.invocation_metadata() or ()):
                await call.send_initial_metadata(((SNAPSHOT, str(stream.queued)),))
            async for message in stream:
                yield message
    except TooManyStreamsError as error:
        logger.warning("%s: refused a stream: %s", call.peer(), error)
        await call.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
    except StreamOverflowError:
        logger.warning("%s: ended a stream: it did not keep up with updates", call.peer())
        await call.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many updates queued")
    # The stream was closed by us; a proxy reconnects, elsewhere or later.
    await call.abort(grpc.StatusCode.UNAVAILABLE, "the control plane is shutting down")


@asynccontextmanager
async def _stream(
    subscriptions: Subscriptions[T], *, question: T, limiter: StreamLimiter, peer: str
) -> AsyncIterator[UpdateStream]:
    with limiter.stream(peer):
        stream = await subscriptions.subscribe(question)
        try:
            yield stream
        finally:
            subscriptions.unsubscribe(question, stream=stream)
