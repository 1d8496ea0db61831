"""One proxy, observed for as long as somebody wants it, whatever becomes of single calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final, Protocol

from google.protobuf.message import DecodeError

from linkerd2_py.base.backoff import Backoff, BackoffRange, unit_random
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.grpc.status import Code, GrpcError
from linkerd2_py.base.tap import MAX_RPS_FIELD, OBSERVE
from linkerd2_py.base.tasks import cancel_all, spawn, supervise
from linkerd2_py.controlplane.mesh.objects import Pod
from linkerd2_py.controlplane.tap.proxies import Proxies
from linkerd2_py.controlplane.tap.question import Share, observe_request
from linkerd2_py.controlplane.tap.request import TapRequest
from linkerd2_py.proto.gen.tap_pb2 import TapEvent as TapEventMessage

DRAINING_MAX: Final = 20
"""Calls that have told of all they may and wait for the ends of these requests: what lasts for hours must not
hold up what comes after it.
"""
_PAUSES: Final = BackoffRange(min_s=0.5, max_s=10.0, jitter=0.3)
_calls = count(1)


class Hears(Protocol):
    """Who is told."""

    def event(self, pod: Pod, told: TapEventMessage, *, call: str) -> None:
        """An event of one of the calls to the proxy of a pod."""

    def trouble(self, pod: Pod, reason: str) -> None:
        """Why it cannot be observed now; empty: it can."""

    def lost(self, events: int) -> None:
        """Some events will never be told."""


class Observation:
    """From the beginning until `stop`. `share` says at each turn what this proxy may tell."""

    def __init__(
        self,
        pod: Pod,
        request: TapRequest,
        *,
        proxies: Proxies,
        share: Callable[[], Share],
        hears: Hears,
        delay_s: float = 0.0,
    ) -> None:
        self.pod = pod
        self._request = request
        self._proxies = proxies
        self._share = share
        self._hears = hears
        self._delay_s = delay_s
        self._draining: dict[asyncio.Task[Exception | None], None] = {}
        self._backoff = Backoff(_PAUSES, source=unit_random, clock=SystemClock())
        self._task = supervise(self._keep, name=f"tap {pod.namespace}/{pod.name}")

    async def stop(self) -> None:
        """May be repeated."""
        await cancel_all([self._task, *self._draining])

    async def _keep(self) -> None:
        await asyncio.sleep(self._delay_s)
        loop = asyncio.get_running_loop()
        while True:
            share, due = self._share(), loop.time()
            try:
                await self._fill(share)
            except (GrpcError, DecodeError, ValueError) as error:
                self._hears.trouble(self.pod, _reason(error))
                await asyncio.sleep(self._backoff.next_delay_s())
            else:
                await asyncio.sleep(max(0.0, due + share.window_s - loop.time()))

    async def _fill(self, share: Share) -> None:
        """Until a call has told of as many requests as it may; their ends come while the next one is made.
        What was wrong with a call before that is raised.
        """
        full = asyncio.Event()
        self._backoff.begin()
        call = spawn(self._call(share, full=full), name=f"tap-call {self.pod.name}")
        filled = spawn(full.wait(), name="tap-full")
        try:
            await asyncio.wait({call, filled}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await cancel_all([call])
            raise
        finally:
            filled.cancel()
        if not call.done():
            self._drain(call)
        elif (failure := await call) is not None:
            raise failure

    def _drain(self, call: asyncio.Task[Exception | None]) -> None:
        if len(self._draining) >= DRAINING_MAX:
            oldest = next(iter(self._draining))
            oldest.cancel()
            del self._draining[oldest]
            self._hears.lost(1)
        self._draining[call] = None
        call.add_done_callback(lambda done: self._draining.pop(done, None))

    async def _call(self, share: Share, *, full: asyncio.Event) -> Exception | None:
        """One call, to its end, and what was wrong with it."""
        message = observe_request(self._request, limit=share.limit)
        name, begun = f"{next(_calls):x}", 0
        try:
            with self._proxies.at(self.pod) as proxy:
                proxy.client.on_answer = self._answered
                rate = (MAX_RPS_FIELD.encode(), f"{share.rps:.3f}".encode())
                metadata = (*proxy.metadata, rate)
                async with proxy.client.stream(OBSERVE, message, metadata=metadata) as messages:
                    async for raw in messages:
                        told = TapEventMessage.FromString(raw)
                        begun += told.http.WhichOneof("event") == "request_init"
                        if told.lost:
                            self._hears.lost(told.lost)
                        self._hears.event(self.pod, told, call=name)
                        if begun >= share.limit:
                            full.set()
        except (GrpcError, DecodeError, ValueError) as error:
            return error
        return None

    def _answered(self) -> None:
        self._backoff.reset()
        self._hears.trouble(self.pod, "")


def _reason(error: Exception) -> str:
    if isinstance(error, GrpcError) and error.code is Code.UNAUTHENTICATED:
        return f"its proxy does not know us: {error.message}"
    if isinstance(error, GrpcError) and error.code is Code.RESOURCE_EXHAUSTED:
        return f"its proxy is watched by too many: {error.message}"
    return str(error)
