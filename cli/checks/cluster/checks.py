"""All checks of a cluster in Linkerd's order, by what is to be known."""

from __future__ import annotations

from linkerd2_py.cli.checks.cluster.asked import Asked
from linkerd2_py.cli.checks.cluster.cni import Cni
from linkerd2_py.cli.checks.cluster.config import CATEGORY as CONFIG
from linkerd2_py.cli.checks.cluster.config import Config
from linkerd2_py.cli.checks.cluster.control_plane import ControlPlaneChecks
from linkerd2_py.cli.checks.cluster.data_plane import DataPlane
from linkerd2_py.cli.checks.cluster.existence import Existence
from linkerd2_py.cli.checks.cluster.identity import IdentityChecks
from linkerd2_py.cli.checks.cluster.install import Install
from linkerd2_py.cli.checks.cluster.reach import Reach
from linkerd2_py.cli.checks.cluster.tap import TapChecks
from linkerd2_py.cli.checks.cluster.webhooks import Webhooks
from linkerd2_py.cli.checks.run import Check


class ClusterChecks:
    """Each list is whole, but for the first check, which finds the cluster. `cni` says that its plugin is
    there, whatever a control plane says.
    """

    def __init__(self, asked: Asked, *, cni: bool = False) -> None:
        self._reach = Reach(asked)
        self._install = Install(asked)
        self._existence = Existence(asked)
        self._config = Config(asked, kinds=self._reach.kinds(CONFIG))
        self._cni = Cni(asked, enabled=cni)
        self._is_cni_said = cni
        self._identity = IdentityChecks(asked)
        self._webhooks = Webhooks(asked)
        self._tap = TapChecks(asked)
        self.control_plane = ControlPlaneChecks(asked)
        self._data_plane = DataPlane(asked)

    def before_install(self) -> list[Check]:
        """`--pre`."""
        plugin = self._cni.checks() if self._is_cni_said else []
        return [*self._reach.checks(), *self._install.checks(), *plugin]

    def of_kinds(self) -> list[Check]:
        """`--crds`."""
        return [*self._reach.checks(), self._reach.kinds()]

    def all(self, further: list[Check]) -> list[Check]:
        """The control plane; `further` are those that it is asked itself."""
        return [
            *self._installed(),
            *self.control_plane.version(),
            *self.control_plane.proxies(),
            *self._tap.checks(),
            *further,
            *self.control_plane.ha(),
            *self.control_plane.extensions(),
        ]

    def of_proxies(self) -> list[Check]:
        """`--proxy`: the control plane as far as proxies need it, and the data plane."""
        return [
            *self._installed(),
            *self._identity.of_proxies(),
            *self.control_plane.proxies(),
            *self._data_plane.checks(),
            *self._data_plane.opaque_ports(),
            *self.control_plane.ha(),
        ]

    def _installed(self) -> list[Check]:
        return [
            *self._reach.checks(),
            *self._existence.checks(),
            *self._config.checks(),
            *self._cni.checks(),
            *self._identity.checks(),
            *self._webhooks.checks(),
            *self._tap.of_certificate(),
        ]
