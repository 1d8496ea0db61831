"""The identity component: what it is made from, and its start and stop."""

from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from linkerd2_py.base.clock import Clock, SystemClock
from linkerd2_py.controlplane.edits import POLL_S
from linkerd2_py.controlplane.identity.certifier import Validity
from linkerd2_py.controlplane.identity.files import IssuerFiles
from linkerd2_py.controlplane.identity.issuer import Issuer
from linkerd2_py.controlplane.identity.limits import CertifyLimiter
from linkerd2_py.controlplane.identity.metrics import IdentityMetrics
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.own import OwnCertificate
from linkerd2_py.controlplane.identity.reload import (
    CurrentIssuer,
    FixedIssuer,
    FollowedIssuer,
    OnIssuerEvent,
    nobody,
)
from linkerd2_py.controlplane.identity.service import Certification, IdentityService
from linkerd2_py.controlplane.identity.tokens import TokenValidator
from linkerd2_py.controlplane.identity.trust import Trust


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """What a mesh chooses: what signs (fixed, or files that are followed), who may ask, for how long."""

    issuer: Issuer | IssuerFiles
    tokens: TokenValidator
    trust_domain: TrustDomain = field(default_factory=TrustDomain)
    validity: Validity = field(default_factory=Validity)
    clock: Clock = field(default_factory=SystemClock)
    limiter: Callable[[Clock], CertifyLimiter] = CertifyLimiter
    poll_s: float = POLL_S
    on_issuer_event: OnIssuerEvent = nobody


class Identity:
    """`service` answers once the component is started. `IssuerError` when files cannot be used."""

    def __init__(self, settings: IdentitySettings, *, metrics: CollectorRegistry) -> None:
        clock = settings.clock
        counters = IdentityMetrics(metrics)
        current: CurrentIssuer
        self._followed: FollowedIssuer | None = None
        if isinstance(settings.issuer, IssuerFiles):
            current = self._followed = FollowedIssuer(
                settings.issuer,
                clock=clock,
                metrics=counters,
                poll_s=settings.poll_s,
                on_event=settings.on_issuer_event,
            )
        else:
            current = FixedIssuer(settings.issuer)
        self._current = current
        self._clock = clock
        self._trust_domain = settings.trust_domain
        self._validity = settings.validity
        counters.show_issuer_ttl(lambda: current.issuer.ends.timestamp() - clock.wall())
        certification = Certification(
            current=current,
            tokens=settings.tokens,
            trust_domain=settings.trust_domain,
            validity=settings.validity,
            limiter=settings.limiter(clock),
            clock=clock,
        )
        self.service = IdentityService(certification, metrics=counters)

    def trust(self) -> Trust:
        """Those in force now."""
        issuer = self._current.issuer
        return Trust(
            anchors=issuer.anchors,
            chain=issuer.chain,
            ends=issuer.ends,
            leaf_lifetime=self._validity.lifetime,
            problem=self._current.problem,
        )

    def own_certificate(self, service_account: str = "") -> OwnCertificate:
        """Of a control plane that ends TLS itself, or of a part of it that has an account of its own; not
        started.
        """
        domain = self._trust_domain
        name = (
            domain.identity(service_account, namespace=domain.control_namespace)
            if service_account
            else domain.control_plane
        )
        return OwnCertificate(
            name, current=self._current, validity=self._validity, clock=self._clock
        )

    def start(self) -> None:
        """Begin to watch the files, if there are any."""
        if self._followed:
            self._followed.start()

    async def stop(self) -> None:
        """May be repeated."""
        if self._followed:
            await self._followed.stop()
