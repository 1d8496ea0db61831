"""Are the certificates of the proxies well: `linkerd-identity-data-plane`, of Linkerd's check and two of
ours.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.names import LABEL_NAMESPACE, LABEL_POD
from linkerd2_py.controlplane.checks.result import CheckResult, Status
from linkerd2_py.controlplane.identity.presented import certificates_of
from linkerd2_py.controlplane.identity.trust import Trust
from linkerd2_py.controlplane.mesh.objects import Key, Pod
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.families import CERTIFICATE_ENDS, STARTED
from linkerd2_py.controlplane.metrics.store import Group, MetricsStore, Selection

CATEGORY = "linkerd-identity-data-plane"
# Proxies renew when 30 % of a lifetime is left. What has less than this left was to be renewed more than
# once.
LATE_SHARE = 0.2
# A proxy's metrics may have been read before it got its first certificate.
NEW_S = 30.0
_ASK_LOGS = "see the logs of these pods' proxies and of the control plane"


async def leaf_checks(
    mesh: Mesh, *, metrics: MetricsStore, trust: Trust, clock: Clock
) -> list[CheckResult]:
    """Of the meshed pods that serve."""
    pods = [pod for _, pod in sorted(mesh.pods.items()) if pod.meshed and pod.serving]
    expiries = await _latest(metrics, CERTIFICATE_ENDS)
    # That a pod has no identity the first check says; that its metrics are not there at all is another one's.
    read = await _latest(metrics, STARTED)
    known = [(pod, expiries.get(pod.key, 0.0)) for pod in pods if pod.identity and pod.key in read]
    now = clock.wall()
    invalid = {
        pod.key: _invalid(expires)
        for pod, expires in known
        if expires <= now and (expires or now - pod.started > NEW_S)
    }
    late = {
        pod.key: f"has {expires - now:.0f}s left"
        for pod, expires in known
        if _is_late(expires, trust=trust, now=now)
    }
    return [
        _check(
            "data plane proxies certificate match CA",
            await _unverified(pods, mesh=mesh, trust=trust),
            of=len(pods),
            status="warning",
            hint="restart these pods: a proxy gets its name and its trust anchors when it starts",
        ),
        _check(
            "data plane proxies certificates are within their validity period",
            invalid,
            of=len(known),
            hint=_ASK_LOGS,
        ),
        _check(
            "data plane proxies certificates are refreshed in time",
            late,
            of=len(known),
            status="warning",
            hint=_ASK_LOGS,
        ),
    ]


async def _unverified(pods: Iterable[Pod], *, mesh: Mesh, trust: Trust) -> dict[Key, str]:
    keys = [pod.key for pod in pods]
    found = await certificates_of(keys, mesh=mesh, anchors=trust.anchors)
    return {presented.pod: presented.problem for presented in found if presented.problem}


async def _latest(metrics: MetricsStore, gauge: str) -> Mapping[Group, float]:
    by_pod = Selection(group_by=(LABEL_NAMESPACE, LABEL_POD))
    return await metrics.latest(gauge, selection=by_pod, at_ms=metrics.now_ms())


def _invalid(expires: float) -> str:
    """Linkerd's proxies say 0 until they have one."""
    if not expires:
        return "has no certificate"
    try:
        date = f"{datetime.fromtimestamp(expires, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return f"has one whose end is no date: {expires:g}"
    return f"has one that expired on {date}"


def _is_late(expires: float, *, trust: Trust, now: float) -> bool:
    left_s = expires - now
    # A leaf that ends with its issuer could not be made any longer.
    is_cut = expires >= trust.ends.timestamp()
    return 0 < left_s < trust.leaf_lifetime.total_seconds() * LATE_SHARE and not is_cut


def _check(
    description: str,
    problems: Mapping[Key, str],
    *,
    of: int,
    hint: str,
    status: Status = "error",
) -> CheckResult:
    if not problems:
        return CheckResult(description, category=CATEGORY)
    shown = "; ".join(f"{key.namespace}/{key.name} {text}" for key, text in problems.items())
    message = f"{len(problems)} of {of} pods: {shown}"
    return CheckResult(description, status, message, hint=hint, category=CATEGORY)
