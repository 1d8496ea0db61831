"""From spans that the engine has noted to the collector: a batch at a time, and never more than one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from google.protobuf.message import DecodeError

from linkerd2_py import __version__
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.observers.spans import Spans
from linkerd2_py.base.backoff import Backoff
from linkerd2_py.base.grpc.client import GrpcClient
from linkerd2_py.base.grpc.status import Code, GrpcError
from linkerd2_py.proto.gen.otlp_trace_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

logger = logging.getLogger(__name__)

EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
BATCH_S: Final = 1.0
"""How long spans wait for others before they are sent."""
_TIMEOUT_S: Final = 10.0
_SENT_AGAIN: Final = frozenset(
    {
        *(Code.CANCELLED, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.OUT_OF_RANGE),
        *(Code.UNAVAILABLE, Code.DATA_LOSS),
    }
)
"""OTLP's list of what may pass. RESOURCE_EXHAUSTED would only with a word of when."""


class Metrics:
    """The first two are Linkerd's. What is lost, the engine counts for both."""

    def __init__(self, registry: Registry) -> None:
        self.requests = registry.counter(
            "opentelemetry_span_export_requests", "Requests with spans that a collector was sent."
        )
        self.exports = registry.counter(
            "opentelemetry_span_exports", "Spans that a collector has taken."
        )


class Exporter:
    """Sends what `spans` has for as long as `run` runs. While the collector is away one batch waits here, and
    what finds no room in the engine is lost there.
    """

    def __init__(
        self,
        spans: Spans,
        client: GrpcClient,
        *,
        attributes: Mapping[str, str | int],
        registry: Registry,
        backoff: Backoff,
        batch_s: float = BATCH_S,
    ) -> None:
        self._spans = spans
        self._client = client
        self._attributes = attributes
        self._metrics = Metrics(registry)
        self._backoff = backoff
        self._batch_s = batch_s
        self._some = asyncio.Event()
        self._batch: tuple[int, bytes] = (0, b"")
        self._fails = False
        spans.on_first = self._some.set

    async def run(self) -> None:
        """A batch after the other. What waits survives a failure of this coroutine."""
        while True:
            if not self._batch[0]:
                await self._next()
            await self._send()

    async def flush(self) -> None:
        """At the end, when nothing passes any more: what there is, once, without waiting for others."""
        for _ in range(2):
            if not self._batch[0]:
                self._batch = self._spans.take()
            if self._batch[0]:
                await self._send(last=True)

    async def _next(self) -> None:
        await self._some.wait()
        await asyncio.sleep(self._batch_s)
        self._some.clear()
        self._batch = self._spans.take()

    async def _send(self, *, last: bool = False) -> None:
        count, spans = self._batch
        if not count:
            return
        self._metrics.requests.inc()
        self._backoff.begin()
        try:
            answer = await self._client.unary(EXPORT, self._request(spans), timeout_s=_TIMEOUT_S)
        except GrpcError as error:
            if error.code in _SENT_AGAIN and not last:
                self._tell(f"{error}; they are sent again")
                await asyncio.sleep(self._backoff.next_delay_s())
                return
            self._tell(f"{error}; {count} of them are lost")
            self._lose(count)
        else:
            self._fails = False
            self._backoff.reset()
            self._taken(count, answer)
        self._batch = (0, b"")

    def _request(self, spans: bytes) -> bytes:
        request = ExportTraceServiceRequest()
        some = request.resource_spans.add()
        for key, value in self._attributes.items():
            attribute = some.resource.attributes.add(key=key)
            if isinstance(value, int):
                attribute.value.int_value = value
            else:
                attribute.value.string_value = value
        scope = some.scope_spans.add()
        scope.scope.name, scope.scope.version = "linkerd2-py", __version__
        scope.MergeFromString(spans)
        return request.SerializeToString()

    def _taken(self, count: int, answer: bytes) -> None:
        try:
            partial = ExportTraceServiceResponse.FromString(answer).partial_success
        except DecodeError:
            logger.debug("the collector answers with something else than OTLP")
            partial = ExportTraceServiceResponse().partial_success
        rejected = min(max(partial.rejected_spans, 0), count)
        self._metrics.exports.inc(count - rejected)
        if rejected:
            self._lose(rejected)
            logger.warning(
                "the collector has rejected %d of %d spans: %s",
                rejected,
                count,
                partial.error_message,
            )

    def _lose(self, count: int) -> None:
        self._spans.lost.inc(count)

    def _tell(self, text: str) -> None:
        """Once, until they are taken again."""
        if not self._fails:
            self._fails = True
            logger.warning("spans are not taken by their collector: %s", text)
