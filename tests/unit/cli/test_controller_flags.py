"""What the flags of Linkerd's controllers mean here."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from linkerd2_py.cli import controller_flags as flags
from linkerd2_py.cli.errors import CliError
from linkerd2_py.controlplane.destination.settings import KEEP_ALIVE, KeepAlive, Settings
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.policy.settings import Settings as PolicySettings
from linkerd2_py.controlplane.public_api.tls import TlsFiles
from linkerd2_py.controlplane.run.kubernetes.destination import Admission
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities


def destination(
    *, mode: str = "transparent", ipv6: str = "false", opaque: str = "", http2: str = "{}"
) -> Settings:
    return flags.destination_settings(mode, ipv6=ipv6, opaque=opaque, http2=http2)


def test_defaults_are_those_of_the_components() -> None:
    """The help says them without importing anything."""
    assert destination(opaque=flags.OPAQUE_PORTS, http2=flags.KEEP_ALIVE) == Settings()
    policy = flags.policy_settings(
        flags.POLICIES[0],
        of=Identities(),
        networks=flags.CLUSTER_NETWORKS,
        probes=flags.ALL_NETWORKS,
        egress="linkerd-egress",
    )
    assert policy == PolicySettings()


def test_what_is_said_is_what_holds() -> None:
    said = destination(mode="transport-header", ipv6="true", opaque="25, 3306", http2="{}")
    assert said == Settings("transport-header", True, frozenset({25, 3306}), None)
    params = '{"keep_alive":{"interval":{"seconds":1},"timeout":{"seconds":2}}}'
    assert destination(http2=params).meshed_http2 == KeepAlive(1, 2, while_idle=False)
    assert destination(http2=flags.KEEP_ALIVE).meshed_http2 == KEEP_ALIVE
    policy = flags.policy_settings(
        "deny",
        of=Identities("mesh", "example.org"),
        networks="192.0.2.0/24, 2001:db8::/32",
        probes="",
        egress="out",
    )
    assert policy.cluster.networks == (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    assert (policy.cluster.egress_namespace, policy.default_policy) == ("out", "deny")
    assert policy.identity_of("web", namespace="shop") == (
        "web.shop.serviceaccount.identity.mesh.example.org"
    )


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:8086", "::1", 8086), ("a:1", "a", 1)],
)
def test_where_to_listen(text: str, host: str, port: int) -> None:
    found = flags.listen(text, flag="--addr")
    assert (found.host, found.port) == (host, port)


def test_without_a_host_every_address_is_listened_on() -> None:
    assert flags.listen(":8086", flag="--addr").host in {"::", "0.0.0.0"}


def test_api_servers_are_answered_where_there_is_a_certificate_with_its_key() -> None:
    certificate, key = Path("tls.crt"), Path("tls.key")
    assert flags.admission(":9443", certificate=None, key=None) is None
    found = flags.admission("127.0.0.1:9443", certificate=certificate, key=key)
    assert found == Admission(Listen("127.0.0.1", 9443), TlsFiles(certificate, key))
    for half in ((certificate, None), (None, key)):
        with pytest.raises(CliError, match="go together"):
            flags.admission(":9443", certificate=half[0], key=half[1])
