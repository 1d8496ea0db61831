"""Values over time: of which series, in which order, and where nothing was."""

import pytest
from starlette.datastructures import QueryParams

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.metrics.store import Report
from linkerd2_py.controlplane.public_api.answers.history import History, history
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError

NS = "emojivoto"
VOTING = 'direction="inbound",authority="voting-svc",tls="true"'


class Reports:
    """Of a scraper that reads every second."""

    interval_s = 1.0

    async def reports(self) -> dict[Key, Report]:
        return {}


class Answers:
    """Two minutes, of which the second had traffic: each second 3 well and 1 badly, in 1.5 ms."""

    def __init__(self) -> None:
        clock = ManualClock()
        samples = SampleStore()
        labels = {"namespace": NS, "deployment": "voting", "pod": "voting-0"}
        for second in range(121):
            so_far = max(0, second - 60)
            text = "\n".join(
                [
                    f'response_total{{{VOTING},classification="success"}} {so_far * 3}',
                    f'response_total{{{VOTING},classification="failure"}} {so_far}',
                    f'response_latency_ms_bucket{{{VOTING},le="1"}} 0',
                    f'response_latency_ms_bucket{{{VOTING},le="2"}} {so_far * 4}',
                    f'response_latency_ms_bucket{{{VOTING},le="+Inf"}} {so_far * 4}',
                ]
            )
            at_ms = int(clock.monotonic() * 1000)
            samples.append(Key(NS, "voting-0"), labels=labels, text=f"{text}\n", at_ms=at_ms)
            if second < 120:
                clock.advance(1)
        self._operation = history(EmbeddedStore(samples, clock=clock), reports=Reports())

    async def ask(self, words: str) -> History:
        asked = self._operation.declaration.read(QueryParams(words))
        return await self._operation.run(asked)  # type: ignore[return-value]


async def test_values_are_told_from_the_oldest_on() -> None:
    found = await Answers().ask(f"type=deploy&name=voting&namespace={NS}&window=2m&points=12")
    points = found["points"]
    assert len(points) == 12
    assert [point["ago_s"] for point in points] == sorted(
        (point["ago_s"] for point in points), reverse=True
    )
    assert found["rate_window_s"] == 10.0
    early, late = points[2], points[-1]
    assert (early["rps"], early["success_rate"], early["latency_ms_p99"]) == (0.0, None, None)
    assert late["rps"] == pytest.approx(4.0, rel=0.15)
    assert late["success_rate"] == pytest.approx(0.75)
    assert late["latency_ms_p50"] == pytest.approx(1.5)


async def test_a_rate_is_of_several_scrapes_however_many_values_are_asked_for() -> None:
    found = await Answers().ask(f"type=deploy&name=voting&namespace={NS}&window=1m&points=60")
    assert found["rate_window_s"] == 4.0
    assert found["points"][-1]["rps"] == pytest.approx(4.0, rel=0.3)


async def test_what_is_called_otherwise_has_none_of_it() -> None:
    found = await Answers().ask(f"type=deploy&name=web&namespace={NS}&points=2")
    assert {point["success_rate"] for point in found["points"]} == {None}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("type=deploy", "name is missing"),
        ("type=all&name=x", "'all' has no history"),
        ("type=deploy&name=x&points=1", "points: from 2 to 120"),
        ("type=deploy&name=x&points=121", "points: from 2 to 120"),
        ("type=deploy&name=x&points=٣", "points: from 2 to 120"),
        ("type=deploy&name=x&window=1h", "time window 1h is not kept"),
        ("type=deploy&name=x&window=soon", "invalid time window"),
    ],
)
async def test_what_makes_no_sense_is_refused(words: str, reason: str) -> None:
    with pytest.raises(InvalidQueryError, match=reason):
        await Answers().ask(words)
