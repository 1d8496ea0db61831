"""The values by which everything was made, for the injector, `upgrade`, `check` and extensions."""

from __future__ import annotations

from typing import Final

from linkerd2_py.charts.control_plane.access import binding, rule
from linkerd2_py.charts.control_plane.named import metadata
from linkerd2_py.charts.nodes import (
    Applied,
    Each,
    Function,
    Let,
    Manifest,
    Ref,
    When,
    Without,
)

SECRET: Final = (
    *("identity.issuer.tls.keyPEM", "proxyInjector.keyPEM", "policyValidator.keyPEM"),
    "tap.keyPEM",
    # Helm's, and of no chart.
    "global",
)
"""What stands in Secrets alone."""
_READER: Final = "ext-namespace-metadata-linkerd-config"
_COMPONENT: Final = "controller"

CONFIG: Final = Manifest(
    "config.yaml",
    (
        Let("shown", Without(Ref(""), SECRET)),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata("linkerd-config", _COMPONENT),
            "data": {"values": Applied(Function.YAML, Ref("", of="shown"))},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": metadata(_READER, _COMPONENT),
            "rules": [rule("", ("configmaps",), ("get",), names=("linkerd-config",))],
        },
        When(
            Ref("configReaders"),
            binding(
                "Role",
                "linkerd-config-reader",
                _COMPONENT,
                to=_READER,
                subjects=Each(
                    "reader",
                    Ref("configReaders"),
                    {
                        "kind": "ServiceAccount",
                        "name": Ref("name", of="reader"),
                        "namespace": Ref("namespace", of="reader"),
                    },
                ),
            ),
        ),
    ),
)
