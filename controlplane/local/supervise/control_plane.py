"""What a local mesh needs of its control plane. Who it is made of is said by whoever starts the
supervisor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from linkerd2_py.controlplane.checks.result import CheckResult
from linkerd2_py.controlplane.identity.identity import IdentitySettings
from linkerd2_py.controlplane.listen import Listen


class ControlPlane(Protocol):
    """One that runs."""

    @property
    def proxy_api(self) -> str:
        """`host:port` where proxies ask."""

    @property
    def local_api(self) -> str:
        """`host:port` where programs of this machine ask the same, in plain text."""

    @property
    def public_api(self) -> str:
        """The URL where people ask."""

    @property
    def dashboard(self) -> str:
        """The URL where a browser asks."""

    @property
    def anchors(self) -> bytes:
        """The trust anchors in force, in PEM, as a proxy that starts now is to have them."""

    async def stop(self) -> None:
        """May be repeated."""


class StartControlPlane(Protocol):
    """Starts one for pods in `networks`, which asks the `prometheus` at a URL for samples if there is one.
    Whoever has `tap_token` may watch the traffic of these pods. `further_checks` end its self-check. OSError
    or IssuerError when that is refused.
    """

    async def __call__(
        self,
        *,
        proxy_api: Listen,
        networks: Sequence[str],
        identity: IdentitySettings,
        prometheus: str,
        tap_token: str,
        further_checks: Callable[[], Sequence[CheckResult]],
    ) -> ControlPlane: ...
