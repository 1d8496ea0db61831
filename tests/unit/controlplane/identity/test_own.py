"""The control plane's own certificate: made at once, renewed in time and by whoever signs now."""

from datetime import timedelta

import pytest

from linkerd2_py.base.clock import ManualClock, SystemClock
from linkerd2_py.controlplane.identity.ca import throw_away
from linkerd2_py.controlplane.identity.certifier import Validity
from linkerd2_py.controlplane.identity.issuer import Issuer
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.own import OwnCertificate

DOMAIN = TrustDomain()
HOUR_S = 3600.0


class Current:
    """Whoever signs now."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.problem = ""


class Own:
    """One whose turns the test takes. OpenSSL knows the real clock alone: the skew covers the difference."""

    def __init__(self, *, issuer_lives: timedelta = timedelta(days=2)) -> None:
        self.clock = ManualClock(epoch=SystemClock().wall())
        self.current = Current(self.issuer(issuer_lives))
        self.own = OwnCertificate(
            DOMAIN.control_plane,
            current=self.current,
            validity=Validity(lifetime=timedelta(hours=1), clock_skew=timedelta(hours=10)),
            clock=self.clock,
        )
        self.own._renew()

    def issuer(self, lives: timedelta = timedelta(days=2)) -> Issuer:
        return throw_away(DOMAIN, now=self.clock.wall(), lifetime=lives)[0]

    def turn(self) -> bool:
        """Whether it has another certificate after it."""
        before = self.own.identity.credentials
        self.own._look()
        return self.own.identity.credentials is not before


def test_it_is_there_at_once_and_renewed_before_it_ends() -> None:
    own = Own()
    credentials = own.own.identity.credentials
    assert credentials is not None
    assert credentials.name == DOMAIN.control_plane
    assert DOMAIN.control_plane.startswith("linkerd-proxy-api.linkerd.serviceaccount.")
    own.clock.advance(7.6 * HOUR_S)
    assert not own.turn()
    own.clock.advance(0.2 * HOUR_S)
    assert own.turn()
    assert not own.turn()


def test_whoever_signs_now_signs_it_again() -> None:
    own = Own()
    own.current.issuer = own.issuer()
    assert own.turn()
    assert not own.turn()


def test_an_issuer_that_has_ended_leaves_the_last_one_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = Own(issuer_lives=timedelta(hours=1))
    other = own.issuer()
    own.clock.advance(2 * HOUR_S)
    assert not own.turn()
    assert not own.turn()
    assert own.own.identity.credentials is not None
    told = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(told) == 1
    assert "install a valid issuer" in told[0]
    own.current.issuer = other
    assert own.turn()
