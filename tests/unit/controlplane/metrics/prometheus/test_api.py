"""What is made of what a Prometheus answers, or does not."""

from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from linkerd2_py.controlplane.metrics.prometheus import api as module
from linkerd2_py.controlplane.metrics.prometheus.api import PrometheusApi, Sample, check_url
from linkerd2_py.controlplane.metrics.store import StoreError
from linkerd2_py.controlplane.public_api.server import WebServer

VECTOR = '{"status":"success","data":{"resultType":"vector","result":%s}}'


class Stub:
    """Answers what a test puts here, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.text = 200, VECTOR % "[]"
        self.asked: dict[str, str] = {}
        self.authorization = ""
        routes = [Route("/some/path/api/v1/query", self._answer, methods=["POST"])]
        self.server = WebServer(Starlette(routes=routes))

    async def _answer(self, request: Request) -> Response:
        body = (await request.body()).decode()
        self.asked = dict(pair.split("=") for pair in body.split("&"))
        self.authorization = request.headers.get("authorization", "")
        return PlainTextResponse(self.text, status_code=self.status)


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    made = Stub()
    await made.server.start()
    yield made
    await made.server.stop()


@pytest.fixture
async def api(stub: Stub) -> AsyncIterator[PrometheusApi]:
    made = PrometheusApi(f"http://me:secret@{stub.server.address}/some/path/")
    yield made
    await made.close()


async def test_a_vector_is_read(stub: Stub, api: PrometheusApi) -> None:
    stub.text = VECTOR % '[{"metric":{"pod":"a"},"value":[1.5,"+Inf"]}]'
    assert await api.vector("up", at_ms=1_700_000_000_123) == [Sample({"pod": "a"}, float("inf"))]
    assert stub.asked == {"query": "up", "time": "1700000000.123"}
    assert stub.authorization == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize(
    ("status", "text", "says"),
    [
        (400, '{"status":"error","error":"parse\\nerror \\u001b[31m"}', r"status 400: parse error \x1b[31m"),
        (503, "starting", "status 503 and no JSON"),
        (200, "[]", "status 200 and no JSON"),
        (200, '{"status":"error","error":"late"}', "status 200: late"),
        (200, '{"status":"success"}', "no result of a query"),
        (200, '{"status":"success","data":{"resultType":"matrix","result":[]}}', "no vector"),
        (200, VECTOR % '[{"metric":{},"value":[1,"x"]}]', "no result of a query"),
        (200, VECTOR % '[{"value":[1]}]', "no result of a query"),
    ],
)  # fmt: skip
async def test_other_answers_are_told_in_one_line(
    stub: Stub, api: PrometheusApi, status: int, text: str, says: str
) -> None:
    stub.status, stub.text = status, text
    with pytest.raises(StoreError) as caught:
        await api.vector("up", at_ms=0)
    where = f"http://{stub.server.address}/some/path"
    assert str(caught.value) == f"Prometheus at {where} answers with {says}"
    assert await api.problem() == str(caught.value)


async def test_a_flood_is_not_kept(
    stub: Stub, api: PrometheusApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_ANSWER_BYTES", 10)
    assert (await api.problem()).endswith("answers with more than 10 bytes")


async def test_one_that_is_away_is_named_without_its_password(
    stub: Stub, api: PrometheusApi
) -> None:
    assert await api.problem() == ""
    await stub.server.stop()
    said = await api.problem()
    assert said.startswith(f"Prometheus at http://{stub.server.address}/some/path does not answer")


@pytest.mark.parametrize(
    "url", ["", "prometheus:9090", "ftp://x", "http://", "http://x:99999999", "http://x/?a=b"]
)
def test_what_is_no_url_of_one(url: str) -> None:
    with pytest.raises(ValueError, match="like http://prometheus"):
        check_url(url)
