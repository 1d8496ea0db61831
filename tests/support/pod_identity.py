"""An identity as local mode gives it to a pod's proxy."""

from pathlib import Path

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.identity.ca import throw_away
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.tokens import WorkloadTokens
from linkerd2_py.controlplane.local.place.identity import Issuance, PodIdentities
from linkerd2_py.controlplane.local.place.plan import PodPlan


def secured(plan: PodPlan, *, folder: Path, address: str) -> PodPlan:
    """The plan with an identity of a mesh of its own, whose tokens are in `folder`."""
    _, anchors = throw_away(TrustDomain(), now=SystemClock().wall())
    issuance = Issuance(address, tokens=WorkloadTokens(), anchors=lambda: anchors)
    identities = PodIdentities(folder / "identity", issuance=issuance)
    identities.open()
    spec = plan.spec
    return plan.secured(
        identities.issue(plan.name, service_account=spec.service_account, namespace=spec.namespace)
    )
