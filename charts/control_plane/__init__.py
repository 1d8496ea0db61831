"""The control plane's manifests, a module for each file of the chart.

Pods are the parts that `pods` puts together: one component's processes, meshed by their manifest. Who
may do what stands beside who does it.
"""

from __future__ import annotations

from linkerd2_py.charts.control_plane.config import CONFIG
from linkerd2_py.charts.control_plane.destination import DESTINATION
from linkerd2_py.charts.control_plane.grafana import GRAFANA
from linkerd2_py.charts.control_plane.identity import IDENTITY
from linkerd2_py.charts.control_plane.namespace import NAMESPACE_MANIFEST
from linkerd2_py.charts.control_plane.network_policies import NETWORK_POLICIES
from linkerd2_py.charts.control_plane.prometheus import PROMETHEUS
from linkerd2_py.charts.control_plane.proxy_injector import INJECTOR
from linkerd2_py.charts.control_plane.public_api import PUBLIC_API
from linkerd2_py.charts.control_plane.tap import TAP
from linkerd2_py.charts.control_plane.web import WEB
from linkerd2_py.charts.nodes import Manifest

MANIFESTS: tuple[Manifest, ...] = (
    NAMESPACE_MANIFEST,
    CONFIG,
    IDENTITY,
    DESTINATION,
    PUBLIC_API,
    TAP,
    PROMETHEUS,
    GRAFANA,
    WEB,
    INJECTOR,
    NETWORK_POLICIES,
)
