"""The bucket of each identity, by a clock turned by hand."""

import pytest

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.identity import limits
from linkerd2_py.controlplane.identity.limits import CertifyLimiter
from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError


def taken(limiter: CertifyLimiter, identity: str = "web", *, most: int = 100) -> int:
    for count in range(most):
        try:
            limiter.take(identity)
        except RefusedError:
            return count
    return most


def test_burst_then_a_steady_rate() -> None:
    clock = ManualClock()
    limiter = CertifyLimiter(clock, burst=5, per_second=2)
    assert taken(limiter) == 5
    clock.advance(0.5)
    assert taken(limiter) == 1
    clock.advance(1_000)
    assert taken(limiter) == 5


def test_refusal_says_when_to_come_again_and_costs_nothing() -> None:
    clock = ManualClock()
    limiter = CertifyLimiter(clock, burst=1, per_second=0.1)
    limiter.take("web")
    for _ in range(3):
        with pytest.raises(RefusedError, match=r"try again in 10\.0 s") as caught:
            limiter.take("web")
        assert caught.value.reason is Reason.RATE
    clock.advance(10)
    limiter.take("web")


def test_identities_do_not_share() -> None:
    limiter = CertifyLimiter(ManualClock(), burst=3, per_second=1)
    assert taken(limiter, "web") == 3
    assert taken(limiter, "voting") == 3


def test_those_at_rest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_TABLE", 10)
    clock = ManualClock()
    limiter = CertifyLimiter(clock, burst=2, per_second=1)
    for number in range(10):
        limiter.take(f"old-{number}")
    clock.advance(1.5)
    assert taken(limiter, "busy") == 2
    assert limiter.identities == 1
    clock.advance(0.5)
    assert taken(limiter, "busy") == 0
