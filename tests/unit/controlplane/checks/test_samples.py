"""What `check` says of the samples of proxies."""

from collections.abc import Mapping

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.checks.result import CheckResult
from linkerd2_py.controlplane.checks.samples import samples_checks
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.metrics.store import Report, StoreError

POD = Key("shop", "web-0")


class Reports:
    """Says what a test puts here."""

    interval_s = 2.0

    def __init__(self, *, last: float = 0.0, error: str = "") -> None:
        self._last = last
        self._error = error

    async def reports(self) -> Mapping[Key, Report]:
        if self._error:
            raise StoreError(self._error)
        return {POD: Report(self._last)}


async def found(reports: Reports, *, problem: str | None = None) -> list[CheckResult]:
    clock = ManualClock()
    clock.advance(100)

    async def prometheus_problem() -> str:
        return problem or ""

    return await samples_checks(
        Mesh(),
        metrics=EmbeddedStore(SampleStore(), clock=clock),
        reports=reports,
        clock=clock,
        prometheus_problem=None if problem is None else prometheus_problem,
    )


async def test_a_proxy_that_was_read_lately_is_well() -> None:
    (one,) = await found(Reports(last=90))
    assert (one.category, one.status) == ("linkerd-api", "ok")


async def test_one_that_was_not_is_named() -> None:
    (one,) = await found(Reports(last=89))
    assert (one.status, one.message) == ("warning", "not read lately: shop/web-0")


async def test_a_prometheus_has_a_category() -> None:
    asked, scrapes = await found(Reports(last=89), problem="")
    assert {asked.category, scrapes.category} == {"linkerd-prometheus"}
    assert (asked.status, scrapes.status) == ("ok", "warning")


async def test_of_one_that_is_away_nothing_else_is_said() -> None:
    for one in (
        *await found(Reports(), problem="it is away"),
        *await found(Reports(error="it is away"), problem=""),
    ):
        assert (one.status, one.message) == ("error", "it is away")
        assert "--prometheus-url" in one.hint
