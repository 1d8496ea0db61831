"""Instant queries to the HTTP API of a Prometheus, or of what speaks it (Thanos, Mimir, VictoriaMetrics)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from linkerd2_py.base.logs import printable
from linkerd2_py.controlplane.metrics.store import StoreError

TIMEOUT_S: Final = 10.0
LARGEST_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""What a mesh of 10,000 pods answers has a tenth of it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of a vector."""

    labels: dict[str, str]
    value: float


class PrometheusApi:
    """Asks the server at `url`, which may have a path and, before an `@`, a name and a password."""

    def __init__(self, url: str) -> None:
        """`ValueError` if that is no URL of HTTP; its text names what is wrong."""
        self._url = check_url(url)
        self.shown = str(self._url.copy_with(username=None, password=None)).rstrip("/")
        self._client = httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def vector(self, expression: str, *, at_ms: int) -> list[Sample]:
        """What an expression that gives an instant vector is at that moment. StoreError."""
        fields = {"query": expression, "time": f"{at_ms / 1000:.3f}"}
        data = await self._ask("POST", "/api/v1/query", fields)
        try:
            if data["resultType"] != "vector":
                raise self._odd("no vector")
            return [Sample(one["metric"], float(one["value"][1])) for one in data["result"]]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise self._odd("no result of a query") from error

    async def problem(self) -> str:
        """Why it cannot be asked, or an empty text."""
        try:
            await self.vector("vector(1)", at_ms=0)
        except StoreError as error:
            return str(error)
        return ""

    async def _ask(self, method: str, path: str, fields: dict[str, str]) -> Any:  # JSON
        url = self._url.copy_with(path=self._url.path.rstrip("/") + path)
        try:
            status, content = await self._send(method, url, fields)
        except (httpx2.HTTPError, OSError) as error:
            why = str(error) or type(error).__name__
            raise StoreError(f"Prometheus at {self.shown} does not answer: {why}") from error
        return self._read(status, content)

    async def _send(
        self, method: str, url: httpx2.URL, fields: dict[str, str]
    ) -> tuple[int, bytearray]:
        content = bytearray()
        async with self._client.stream(method, url, data=fields) as response:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > LARGEST_ANSWER_BYTES:
                    raise self._odd(f"more than {LARGEST_ANSWER_BYTES} bytes")
        return response.status_code, content

    def _read(self, status: int, content: bytearray) -> Any:  # JSON
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._odd(f"status {status} and no JSON")
        if status == 200 and answer.get("status") == "success":
            return answer.get("data")
        why = printable(" ".join(str(answer.get("error", "no reason given")).split())[:300])
        raise self._odd(f"status {status}: {why}")

    def _odd(self, what: str) -> StoreError:
        return StoreError(f"Prometheus at {self.shown} answers with {what}")


def check_url(url: str) -> httpx2.URL:
    """The URL of a Prometheus. ValueError, whose text says what it should be like."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL()
    sound = parsed.scheme in {"http", "https"} and parsed.host and not parsed.query
    if not sound or not 1 <= (parsed.port or 80) <= 65535:
        raise ValueError("not the URL of a Prometheus, like http://prometheus.monitoring:9090")
    return parsed
