"""Calls: one message out, one or many back. Bytes in and bytes out; the callers know the protobuf types.

    async with client.stream(path, request) as messages:
        async for message in messages: …

Leaving the block cancels the call. At most a few messages wait undelivered; then the endpoint is held
back by flow control.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from linkerd2_py import __version__
from linkerd2_py._ext.route.local_client import LocalClient, LocalRequest
from linkerd2_py._ext.route.target import Target
from linkerd2_py.base.grpc.frames import FrameReader, frame
from linkerd2_py.base.grpc.status import (
    Code,
    Fields,
    GrpcError,
    status_of,
    status_of_http,
    status_of_reset,
)

_WAITING_MAX: Final = 16
_TIMEOUT_MS_MAX: Final = 99_999_999  # grpc-timeout has at most eight digits
_FIELDS: Final = (
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
    (b"user-agent", b"linkerd2-py/" + __version__.encode()),
)


class GrpcClient:
    """Calls to one target."""

    def __init__(self, local: LocalClient, *, target: Target, authority: str) -> None:
        self._local = local
        self._target = target
        self._authority = authority.encode()
        self.on_answer: Callable[[], None] | None = None
        """Called once, when somebody answers, unless with nothing but a status."""

    def answered(self) -> None:
        """Somebody did."""
        tell, self.on_answer = self.on_answer, None
        if tell is not None:
            tell()

    def stream(self, path: str, message: bytes, *, metadata: Fields = ()) -> ResponseStream:
        """A server-streaming call, started when its block is entered."""
        return ResponseStream(
            self, path=path, message=message, timeout_s=None, metadata=tuple(metadata)
        )

    async def unary(self, path: str, message: bytes, *, timeout_s: float) -> bytes:
        """The one response message. GrpcError for any other end, DEADLINE_EXCEEDED for none in time."""
        call = ResponseStream(self, path=path, message=message, timeout_s=timeout_s)
        try:
            async with asyncio.timeout(timeout_s), call:
                messages = [answer async for answer in call]
        except TimeoutError as error:
            raise GrpcError(Code.DEADLINE_EXCEEDED, f"no answer in {timeout_s:g} s") from error
        if len(messages) != 1:
            raise GrpcError(Code.INTERNAL, f"{len(messages)} messages where one was due")
        return messages[0]

    def start(
        self,
        call: ResponseStream,
        *,
        path: str,
        message: bytes,
        timeout_s: float | None,
        metadata: Fields,
    ) -> LocalRequest:
        """Send the request; `call` gets what comes back."""
        timeout = () if timeout_s is None else (_timeout_field(timeout_s),)
        fields = (*_FIELDS, *timeout, *metadata)
        return self._local.request(
            self._target,
            method=b"POST",
            path=path.encode(),
            authority=self._authority,
            headers=fields,
            body=frame(message),
            http2=True,
            on_head=call.on_head,
            on_body=call.on_body,
            on_end=call.on_end,
            on_reset=call.on_reset,
        )


class ResponseStream:
    """The messages of one call, in order; ends with StopAsyncIteration for OK, else GrpcError."""

    def __init__(
        self,
        client: GrpcClient,
        *,
        path: str,
        message: bytes,
        timeout_s: float | None,
        metadata: Fields = (),
    ) -> None:
        self._client = client
        self._path, self._message, self._timeout_s = path, message, timeout_s
        self._metadata = metadata
        self._frames = FrameReader()
        self._messages: deque[bytes] = deque()
        self._request: LocalRequest | None = None
        self._early: GrpcError | None = None
        self._end: GrpcError | None = None
        self._woken = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._request = self._client.start(
            self,
            path=self._path,
            message=self._message,
            timeout_s=self._timeout_s,
            metadata=self._metadata,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        request, self._request = self._request, None
        if request is not None and not request.ended:
            request.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._messages:
            if self._end is not None:
                self._finish(self._end)
            self._woken.clear()
            await self._woken.wait()
        message = self._messages.popleft()
        if not self._messages and self._request is not None:
            self._request.unhold_response()
        return message

    # From the engine's loop.

    def on_head(self, status: int, fields: Fields) -> None:
        found = dict(fields)
        self._early = status_of(found.items())
        if self._early is None and not _is_grpc(found):
            self._fail(status_of_http(status))
        elif self._early is None:
            self._client.answered()

    def on_body(self, chunk: bytes) -> None:
        if self._end is not None:
            return
        try:
            self._messages.extend(self._frames.feed(chunk))
        except GrpcError as error:
            self._fail(error)
            return
        if len(self._messages) > _WAITING_MAX and self._request is not None:
            self._request.hold_response()
        if self._messages:
            self._woken.set()

    def on_end(self, trailers: Fields | None) -> None:
        status = self._early if trailers is None else status_of(trailers)
        if status is None:
            status = GrpcError(Code.UNKNOWN, "the response ended without grpc-status")
        elif status.code == Code.OK and not self._frames.at_boundary:
            status = GrpcError(Code.INTERNAL, "the response ended inside a message")
        self._settle(status)

    def on_reset(self, text: str, code: int) -> None:
        self._settle(status_of_reset(text, code=code))

    def _fail(self, error: GrpcError) -> None:
        """Our own verdict: nothing more is wanted from the peer."""
        if self._request is not None and not self._request.ended:
            self._request.cancel()
        self._settle(error)

    def _settle(self, status: GrpcError) -> None:
        if self._end is None:
            self._end = status
        self._woken.set()

    def _finish(self, status: GrpcError) -> None:
        if status.code == Code.OK:
            raise StopAsyncIteration
        raise status


def _is_grpc(fields: dict[bytes, bytes]) -> bool:
    return fields.get(b"content-type", b"").startswith(b"application/grpc")


def _timeout_field(timeout_s: float) -> tuple[bytes, bytes]:
    return (b"grpc-timeout", b"%dm" % min(_TIMEOUT_MS_MAX, max(1, int(timeout_s * 1000))))
