"""Who is let in, as the policy of a cluster says, by inbound proxies of either make alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.interop import workload
from tests.support.interop.calls import ask, ask_admin, connected
from tests.support.interop.cluster import SHOP, Pod
from tests.support.interop.programs import Program
from tests.support.interop.proxies import Make
from tests.support.interop.shop import Shop, mesh_of
from tests.support.raw_socket import End
from tests.support.wait import eventually

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.parametrize("server", list(Make)),
]
LIMIT_S = 20.0
GROUP = "policy.linkerd.io"


@pytest.fixture(
    scope="module", params=[pytest.param(make, id=f"{make}-controllers") for make in Make]
)
def closed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """Whose default is `all-authenticated`."""
    folder = tmp_path_factory.mktemp("closed")
    with mesh_of(request.param, folder, default_policy="all-authenticated") as running:
        yield running


def test_who_has_no_identity_is_refused(closed: Shop, server: Make) -> None:
    one, plain = closed.servers(server)[0], closed.plain()
    eventually(lambda: status(plain, one) == 403, deadline_s=LIMIT_S)
    assert echoed(plain, one) is None
    for make in Make:
        if make is Make.OURS or Program.PROXY.is_given:
            assert status(closed.client(make), one) == 200
            assert echoed(closed.client(make), one) == b"\0ping"


def test_the_admin_port_answers_probes(closed: Shop, server: Make) -> None:
    """A kubelet has no identity."""
    one = closed.servers(server)[0]
    for path in ("/ready", "/live"):
        assert ask_admin(closed.plain(), one, path) == 200
    assert ask_admin(closed.plain(), one, "/metrics") == 403


def test_the_admin_port_answers_who_is_meshed(closed: Shop, server: Make) -> None:
    """As a Prometheus in the mesh: its proxy is told that the port has an identity, and asks over TLS."""
    one = closed.servers(server)[0]
    for make in Make:
        if make is Make.OURS or Program.PROXY.is_given:
            assert ask_admin(closed.client(make), one, "/metrics") == 200


def test_an_authorization_lets_in_whom_it_names(closed: Shop, server: Make) -> None:
    one, other = closed.servers(server)
    named = f"named-{server}"
    closed.cluster.kubectl.apply(*only(closed.client(Make.OURS), at=one, name=named))
    try:
        plain = closed.plain()
        eventually(lambda: status(closed.client(Make.OURS), one) == 200, deadline_s=LIMIT_S)
        if Program.PROXY.is_given:
            # It proves who it is, and is not named.
            stranger = closed.client(Make.LINKERD)
            eventually(lambda: status(stranger, one) == 403, deadline_s=LIMIT_S)
            assert status(stranger, other) == 200
        assert status(plain, one) == 403
        assert ask_admin(plain, one, "/ready") == 200
    finally:
        closed.cluster.kubectl("delete", "server.policy.linkerd.io", named, f"--namespace={SHOP}")
    eventually(lambda: status(closed.client(server), one) == 200, deadline_s=LIMIT_S)


def status(client: Pod, server: Pod) -> int:
    return ask(client, server.host.v4, workload.HTTP).status


def echoed(client: Pod, server: Pod) -> bytes | None:
    """What came back of five bytes that are no HTTP; None where the connection was ended instead."""
    with connected(client, server.host.v4, workload.ECHO) as tcp:
        try:
            tcp.send(b"\0ping")
            tcp.half_close()
            got, end = tcp.receive_to_end()
        except OSError:
            return None
        return got if end is End.FIN and got else None


def only(client: Pod, *, at: Pod, name: str) -> list[dict[str, Any]]:
    """A server, and who alone may call it."""
    spec = {
        "Server": {
            "podSelector": {"matchLabels": {"app": at.name}},
            "port": workload.HTTP,
            "proxyProtocol": "HTTP/1",
        },
        "MeshTLSAuthentication": {"identities": [client.account.identity]},
        "AuthorizationPolicy": {
            "targetRef": {"group": GROUP, "kind": "Server", "name": name},
            "requiredAuthenticationRefs": [
                {"group": GROUP, "kind": "MeshTLSAuthentication", "name": name}
            ],
        },
    }
    return [
        {
            "apiVersion": f"{GROUP}/{'v1beta3' if kind == 'Server' else 'v1alpha1'}",
            "kind": kind,
            "metadata": {"name": name, "namespace": SHOP},
            "spec": said,
        }
        for kind, said in spec.items()
    ]
