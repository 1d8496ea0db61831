"""How pods with a proxy differ from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from linkerd2_py.charts.nodes import Default, Expression, Operand, Ref, Text, text

_INBOUND_PORTS: Final = Ref("proxy.podInboundPorts")
_POLICY: Final = Ref("proxy.defaultInboundPolicy")
_REQUIRE_IDENTITY: Final = Ref("proxy.requireIdentityOnInboundPorts")
_IGNORE_OUTBOUND: Final = Ref("proxyInit.ignoreOutboundPorts")
_GRACE: Final = Ref("proxy.shutdownGracePeriod")


@dataclass(frozen=True)
class Meshed:
    """A pod. What is not said is as the values have it, which for a pod of a user's the injector has
    changed by annotations.
    """

    serves_destination: bool = False
    """Its own program answers where names lead: the proxy asks it on loopback."""
    serves_identity: bool = False
    """Its own program certifies, in the same way."""
    anchors_from_config_map: bool = False
    """Only pods in the control plane's namespace can have them from there."""
    inbound_ports: Operand = _INBOUND_PORTS
    default_inbound_policy: Operand = _POLICY
    require_identity: Operand = _REQUIRE_IDENTITY
    ignore_outbound_ports: Operand = _IGNORE_OUTBOUND
    resources: tuple[str, ...] = ("proxy.resources",)
    """Where the values have them; what stands first wins."""
    shutdown_grace_period: Operand = _GRACE


PROXY_IMAGE: Final = text(
    Ref("proxy.image.name"), ":", Default(Ref("proxy.image.version"), Ref("linkerdVersion"))
)
PULL_POLICY: Final = Default(Ref("proxy.image.pullPolicy"), Ref("imagePullPolicy"))
TRUST_DOMAIN: Final = Default(Ref("identityTrustDomain"), Ref("clusterDomain"))
TRACED: Final = Ref("proxy.tracing.enabled")
"""Spans of what passes are sent to a collector."""
POD_INFO: Final = "/var/run/linkerd/podinfo"
"""Where such a proxy reads the labels of its pod."""
SECCOMP: Final = {"type": "RuntimeDefault"}


def as_text(operand: Operand) -> Text:
    """A value as the text that a container is given."""
    return text(operand)


def first_of(paths: tuple[str, ...]) -> Expression:
    """The value at the first of `paths` that has one."""
    first, *others = paths
    return Default(Ref(first), first_of(tuple(others))) if others else Ref(first)
