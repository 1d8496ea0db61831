"""A collector of OpenTelemetry that keeps what it gets, with gRPC's own server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import grpc.aio

from linkerd2_py.proto.gen.otlp_trace_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
    KeyValue,
    Resource,
    Span,
)
from linkerd2_py.proto.gen.otlp_trace_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)


def attributes(of: Span | Resource) -> dict[str, str | int]:
    return {one.key: value_of(one) for one in of.attributes}


def value_of(one: KeyValue) -> str | int:
    value: str | int = getattr(one.value, one.value.WhichOneof("value") or "string_value")
    return value


@dataclass
class Collector(TraceServiceServicer):
    """Its requests; it answers the next ones with `refuses`, if there are some, and `rejects` so many spans
    of each.
    """

    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    refuses: list[grpc.StatusCode] = field(default_factory=list)
    rejects: int = 0
    asked: int = 0
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for some in request.resource_spans
            for scope in some.scope_spans
            for span in scope.spans
        ]

    def resources(self) -> list[dict[str, str | int]]:
        return [
            attributes(some.resource)
            for request in self.requests
            for some in request.resource_spans
        ]

    async def Export(  # noqa: N802  # the method's name
        self, request: ExportTraceServiceRequest, context: grpc.aio.ServicerContext
    ) -> ExportTraceServiceResponse:
        self.asked += 1
        if self.refuses:
            await context.abort(self.refuses.pop(0), "not now")
        self.requests.append(request)
        answer = ExportTraceServiceResponse()
        if self.rejects:
            answer.partial_success.rejected_spans = self.rejects
            answer.partial_success.error_message = "too many"
        return answer


@asynccontextmanager
async def collector(port: int = 0) -> AsyncIterator[Collector]:
    """Serves until the block ends."""
    found = Collector()
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_TraceServiceServicer_to_server(found, server)  # type: ignore[no-untyped-call]
    found.port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield found
    finally:
        await server.stop(grace=None)
