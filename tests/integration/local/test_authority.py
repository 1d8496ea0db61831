"""What signs in a local mesh: an issuer of its own, or one in files that may be exchanged while it runs.
Without proxies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx2
import pytest

from linkerd2_py.proto.gen import identity_pb2 as messages
from linkerd2_py.proto.gen import identity_pb2_grpc as stubs
from tests.integration.local.mesh_cli import MeshCli
from tests.support.wait import eventually, patience

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

WEB = "web.shop.serviceaccount.identity.linkerd.cluster.local"
MESH = "{namespace: shop, workloads: {web: {command: [sleep, infinity], meshed: false}}}\n"
TTL = "issuer_cert_ttl_seconds"
HOUR_S = 3600.0


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[MeshCli]:
    (tmp_path / "mesh.yaml").write_text(MESH)
    made = MeshCli(tmp_path)
    yield made
    made.stop()


def _make_authority(cli: MeshCli, *, lifetime: str, force: bool = False) -> list[str]:
    """Files of one, whose issuer lives that long; the flags that name them."""
    cli.ok(
        *("identity-ca", "--out", "ca", "--issuer-lifetime", lifetime),
        *(("--force",) if force else ()),
    )
    return [
        *("--identity-trust-anchors-file", "ca/ca.crt"),
        *("--identity-issuer-certificate-file", "ca/issuer.crt"),
        *("--identity-issuer-key-file", "ca/issuer.key"),
    ]


def _up(cli: MeshCli, *words: str) -> None:
    cli.ok("local", "up", "-f", "mesh.yaml", "-d", *words)


def _metric(cli: MeshCli, name: str) -> float:
    text = httpx2.get(
        f"{cli.state()['public_api']}/metrics", trust_env=False, timeout=10 * patience()
    ).text
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(value)


def test_a_mesh_certifies_by_an_issuer_of_its_own(cli: MeshCli) -> None:
    _up(cli)
    day_s = 24 * HOUR_S
    assert 364 * day_s < _metric(cli, TTL) < 366 * day_s
    with grpc.insecure_channel(cli.state()["proxy_api"]) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            stubs.IdentityStub(channel).Certify(messages.CertifyRequest(identity=WEB, token=b"x"))
        # Whom it knows is another matter: it is there.
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert _metric(cli, 'identity_certify_total{result="not_authenticated"}') == 1


def test_an_issuer_in_files_is_exchanged_while_the_mesh_runs(cli: MeshCli) -> None:
    _up(cli, *_make_authority(cli, lifetime="2h"))
    assert HOUR_S < _metric(cli, TTL) < 2.1 * HOUR_S
    _make_authority(cli, lifetime="5h", force=True)
    eventually(lambda: _metric(cli, TTL) > 4 * HOUR_S)
    assert "the issuer is now" in cli.ok("local", "logs", "control-plane")


def test_files_that_cannot_be_used_start_nothing(cli: MeshCli) -> None:
    flags = _make_authority(cli, lifetime="2h")
    (cli.root / "ca" / "issuer.key").write_text("")
    done = cli.run("local", "up", "-f", "mesh.yaml", "-d", *flags)
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        f"linkerd2-py: identity: {cli.root}/ca/issuer.key:"
        " has no private key in PEM that can be read\n"
    )
    assert cli.run("local", "status").status == 1
