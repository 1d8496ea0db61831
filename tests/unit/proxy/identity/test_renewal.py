"""When certificates are asked for, with a clock turned by hand."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.tls.identity import LocalIdentity
from linkerd2_py.base.backoff import Backoff, BackoffRange
from linkerd2_py.base.clock import ManualClock
from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.proxy.identity.certify import Certificate, CertifyError
from linkerd2_py.proxy.identity.renewal import Bounds, Metrics, Renewal
from tests.support.wait import eventually_async, in_time
from tests.support.workloads import MeshAuthority, name_of

MESH = MeshAuthority()
WEB = MESH.credentials("web")
LOOKS = 5


class Service:
    """Answers with certificates of a given life, or with what a test makes it fail with."""

    def __init__(self, clock: ManualClock, *, lifetime_s: float) -> None:
        self.clock = clock
        self.lifetime_s = lifetime_s
        self.asked = 0
        self.failure = ""

    async def certify(self) -> Certificate:
        self.asked += 1
        if self.failure:
            raise CertifyError(self.failure)
        return Certificate(WEB, self.clock.wall() + self.lifetime_s)


class CountedClock(ManualClock):
    """Says how often it was looked at, so that a test can wait for somebody who decided not to act."""

    looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return super().monotonic()


class Run:
    def __init__(self, *, lifetime_s: float, bounds: Bounds) -> None:
        self.clock = CountedClock()
        self.registry = Registry()
        self.identity = LocalIdentity(name_of("web"))
        self.service = Service(self.clock, lifetime_s=lifetime_s)
        self.renewal = Renewal(
            self.service.certify,
            identity=self.identity,
            bounds=bounds,
            metrics=Metrics(self.registry),
            clock=self.clock,
            backoff=Backoff(
                BackoffRange(min_s=0.001, max_s=0.002, jitter=0.0),
                source=lambda: 0.0,
                clock=self.clock,
            ),
            look_s=0.001,
        )

    async def stays_at(self, asked: int) -> None:
        """It has looked at the clock again and again and asked nobody."""
        before = self.clock.looks
        await eventually_async(lambda: self.clock.looks >= before + LOOKS)
        assert self.service.asked == asked

    async def becomes(self, asked: int) -> None:
        await eventually_async(lambda: self.service.asked >= asked)
        await self.stays_at(asked)

    def metric(self, line: str) -> float:
        text = b"".join(self.registry.render()).decode()
        (found,) = [each for each in text.splitlines() if each.startswith(f"{line} ")]
        return float(found.rpartition(" ")[2])


@asynccontextmanager
async def running(
    *, lifetime_s: float = 1000.0, low_s: float = 10.0, high_s: float = 86_400.0
) -> AsyncIterator[Run]:
    run = Run(lifetime_s=lifetime_s, bounds=Bounds(low_s, high_s))
    task = spawn(run.renewal.run(), name="renewal")
    try:
        yield run
    finally:
        await cancel_all([task])


async def test_the_first_certificate_is_asked_for_at_once() -> None:
    async with running() as run:
        assert run.identity.credentials is None
        await run.becomes(1)
        assert run.renewal.certified.is_set()
        assert run.identity.credentials is WEB
        assert (
            run.metric("control_identity_cert_expiration_timestamp_seconds")
            == run.clock.wall() + 1000
        )
        assert run.metric("control_identity_cert_refresh_timestamp_seconds") == run.clock.wall()
        assert run.metric('control_identity_cert_refreshes_total{result="ok"}') == 1


@pytest.mark.parametrize(
    ("lifetime_s", "low_s", "high_s", "due_s"),
    [(1000, 10, 86_400, 700), (10, 10, 86_400, 10), (1_000_000, 10, 86_400, 86_400)],
    ids=["70 %", "not too soon", "once a day"],
)
async def test_the_next_one_is_asked_for_in_time(
    lifetime_s: float, low_s: float, high_s: float, due_s: float
) -> None:
    async with running(lifetime_s=lifetime_s, low_s=low_s, high_s=high_s) as run:
        await run.becomes(1)
        run.clock.advance(due_s - 1)
        await run.stays_at(1)
        run.clock.advance(1)
        await run.becomes(2)


async def test_a_calendar_that_jumps_ahead_is_noticed() -> None:
    async with running() as run:
        await run.becomes(1)
        run.clock._epoch += 5000  # the calendar alone
        await run.becomes(2)


async def test_a_calendar_that_jumps_back_stops_nothing() -> None:
    async with running() as run:
        await run.becomes(1)
        run.clock._epoch -= 5000
        run.clock.advance(700)
        await run.becomes(2)


async def test_a_service_that_is_away_is_asked_again_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as run:
        await run.becomes(1)
        run.service.failure = "nobody there"
        run.clock.advance(700)
        await eventually_async(lambda: run.service.asked >= 5)
        # Other tests of this process may have asked for more to be told than warnings.
        told = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
        assert told == ["no certificate: nobody there"]
        # What was in force stays.
        assert run.identity.credentials is WEB
        assert run.metric('control_identity_cert_refreshes_total{result="error"}') >= 4
        run.service.failure = ""
        await eventually_async(lambda: run.renewal.problem == "")
        assert run.metric('control_identity_cert_refreshes_total{result="ok"}') == 2


async def test_an_end_without_renewal_is_said_aloud(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as run:
        await run.becomes(1)
        run.service.failure = "nobody there"
        run.clock.advance(1001)
        await eventually_async(lambda: "has ended: peers will refuse it" in caplog.text)


async def test_nothing_is_certified_while_nobody_answers() -> None:
    run = Run(lifetime_s=1000, bounds=Bounds(10, 20))
    run.service.failure = "nobody there"
    task = spawn(run.renewal.run(), name="renewal")
    await eventually_async(lambda: run.service.asked >= 3)
    assert not run.renewal.certified.is_set()
    assert run.identity.credentials is None
    assert run.renewal.problem == "nobody there"
    await cancel_all([task])


async def test_who_waits_for_the_first_one_is_told_why(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkerd2_py.proxy.identity.renewal._WARN_S", 0.001)
    run = Run(lifetime_s=1000, bounds=Bounds(10, 20))
    run.renewal.problem = "nobody there"
    warning = spawn(run.renewal.warn(), name="warn")
    await eventually_async(lambda: "waiting for a certificate: nobody there" in caplog.text)
    run.renewal.certified.set()
    await in_time(warning, 5)
