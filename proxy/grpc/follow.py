"""Keeps one server-streaming call alive: reconnects with back-off and jitter until a final answer.

Unless others are named, `InvalidArgument` and `FailedPrecondition` are final; every other code and a clean
end are tried again (Linkerd's rule).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container
from typing import Final, Protocol

from google.protobuf.message import DecodeError

from linkerd2_py.base.backoff import Backoff
from linkerd2_py.base.grpc.client import GrpcClient
from linkerd2_py.base.grpc.status import Code, GrpcError
from linkerd2_py.proxy.config.types import StreamLimits

logger = logging.getLogger(__name__)

FINAL: Final = frozenset({Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION})


class Follower(Protocol):
    """Who uses the messages. `on_message` may raise DecodeError."""

    def on_connected(self) -> None:
        """A new stream begins."""

    def on_message(self, raw: bytes) -> None:
        """One encoded message."""

    def on_failed(self) -> None:
        """A stream ended; the next try follows."""

    def on_rejected(self, code: Code) -> None:
        """The answer is final: there will be no stream."""


async def follow(
    client: GrpcClient,
    *,
    path: str,
    request: bytes,
    label: str,
    follower: Follower,
    limits: StreamLimits,
    backoff: Backoff,
    final: Container[Code] = FINAL,
) -> None:
    """Read streams of `path` until one is rejected for good, or cancelled. `label` names it in logs."""
    healthy = True
    while True:
        backoff.begin()
        try:
            async with asyncio.timeout(limits.lifetime_s), client.stream(path, request) as messages:
                follower.on_connected()
                await _read(messages, follower=follower, limits=limits, backoff=backoff)
            logger.debug("%s: the stream ended", label)
            healthy = True
        except (GrpcError, DecodeError, TimeoutError) as error:
            if isinstance(error, GrpcError) and error.code in final:
                logger.info("%s: %s; not asking again", label, error)
                follower.on_rejected(error.code)
                return
            logger.log(logging.WARNING if healthy else logging.DEBUG, "%s: %s", label, _text(error))
            healthy = False
        except Exception:
            # Whoever supervises this calls it again; until then there is no stream, as after any failure.
            follower.on_failed()
            raise
        follower.on_failed()
        await asyncio.sleep(backoff.next_delay_s())


async def _read(
    messages: _Messages, *, follower: Follower, limits: StreamLimits, backoff: Backoff
) -> None:
    """Pass on messages until the stream ends; silence beyond the limits is a TimeoutError."""
    wait_s = limits.initial_s
    while True:
        try:
            async with asyncio.timeout(wait_s):
                raw = await anext(messages)
        except StopAsyncIteration:
            return
        follower.on_message(raw)
        backoff.reset()
        wait_s = limits.idle_s


class _Messages(Protocol):
    async def __anext__(self) -> bytes: ...


def _text(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the stream was silent too long or reached its lifetime; reconnecting"
    return f"{error}; trying again"
