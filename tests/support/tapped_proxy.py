"""A proxy that is tapped, as grpcio serves it: it tells what a test lets it tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from linkerd2_py.base.tap import MAX_RPS_FIELD
from linkerd2_py.proto.gen.tap_pb2 import ObserveRequest, TapEvent
from linkerd2_py.proto.gen.tap_pb2_grpc import TapServicer, add_TapServicer_to_server

IPV4 = 127 << 24


class TappedProxy(TapServicer):
    """Every request that is told goes to each call that may still hear of one."""

    def __init__(self) -> None:
        self.asked: list[ObserveRequest] = []
        self.metadata: list[dict[str, str]] = []
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self._calls: dict[asyncio.Queue[TapEvent | None], int] = {}
        self._bases = 0

    @property
    def open(self) -> int:
        """Calls that are not over."""
        return len(self._calls)

    @property
    def rates(self) -> list[float]:
        """What each call said that it may be told."""
        return [float(one.get(MAX_RPS_FIELD, "nan")) for one in self.metadata]

    async def Observe(self, request: ObserveRequest, context: Any) -> AsyncIterator[TapEvent]:  # noqa: N802
        if self.refusal is not None:
            await context.abort(*self.refusal)
        self.asked.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        queue: asyncio.Queue[TapEvent | None] = asyncio.Queue()
        self._calls[queue] = request.limit
        await context.send_initial_metadata(())
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            del self._calls[queue]

    def tell(
        self,
        *,
        path: str = "/",
        stream: int = 1,
        ends: bool = True,
        source: int = 9,
        lost: int = 0,
    ) -> int:
        """One request, with its end, and that others were lost before. How many calls heard of it."""
        told = 0
        for queue, left in tuple(self._calls.items()):
            if left == 0:
                continue
            told += 1
            self._calls[queue] = left - 1
            first, *others = request_of(path, stream=stream, ends=ends, source=source)
            first.lost = lost
            for event in (first, *others):
                queue.put_nowait(event)
            if left == 1 and ends:
                queue.put_nowait(None)
        return told


def request_of(path: str, *, stream: int, ends: bool, source: int) -> list[TapEvent]:
    """Its events, as an inbound proxy tells them."""
    about: dict[str, Any] = {
        "source": {"ip": {"ipv4": IPV4 + source}, "port": 4000},
        "destination": {"ip": {"ipv4": IPV4 + 1}, "port": 8080},
        "source_meta": {"labels": {"tls": "true"}},
        "proxy_direction": TapEvent.INBOUND,
    }
    identity = {"base": 0, "stream": stream}
    request = {
        "id": identity,
        "method": {"registered": 1},
        "scheme": {"registered": 0},
        "authority": "web-svc:80",
        "path": path,
    }
    response = {"id": identity, "since_request_init": {"nanos": 5_000}, "http_status": 200}
    end = {
        "id": identity,
        "since_request_init": {"seconds": 1, "nanos": 7_000},
        "since_response_init": {"nanos": 2_000},
        "response_bytes": 3,
        "eos": {"grpc_status_code": 2},
    }
    events = [
        TapEvent(**about, http={"request_init": request}),
        TapEvent(**about, http={"response_init": response}),
        TapEvent(**about, http={"response_end": end}),
    ]
    return events if ends else events[:1]


@asynccontextmanager
async def tapped(proxy: TappedProxy, *, address: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """Where it is asked."""
    server = grpc.aio.server()
    add_TapServicer_to_server(proxy, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port(address)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
