"""What every proxy of a local mesh gets to prove who it is, in either mode: there, for nobody else, worth a
certificate, and gone in time.
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest
from cryptography import x509

from linkerd2_py.controlplane.local.place.transparent.plan import PROXY_UID
from linkerd2_py.controlplane.local.state.owned import MARK
from linkerd2_py.proto.gen import identity_pb2 as messages
from linkerd2_py.proto.gen import identity_pb2_grpc as stubs
from tests.integration.local.mesh_cli import MeshCli, assert_ended, edit
from tests.support.certificates import csr, dns_names, new_key
from tests.support.privileges import need_root
from tests.support.processes import words_of
from tests.support.wait import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SERVER = """
import os, socket
listener = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])))
while True:
    listener.accept()[0].close()
"""
MESH = """
namespace: shop
services:
  web-svc: {port: 80, targetPort: 8080, workload: web}
workloads:
  web: {command: [python, -S, server.py], replicas: 2, serviceAccount: front}
  ingress: {command: [sleep, infinity]}
  outsider: {command: [sleep, infinity], meshed: false}
"""
DOMAIN = "serviceaccount.identity.linkerd.cluster.local"
FRONT = f"front.shop.{DOMAIN}"
PREFIX = "LINKERD2_PROXY_IDENTITY_"
NAMES = {
    "web-0": FRONT,
    "web-1": FRONT,
    # A workload's, and the mesh's own.
    "ingress-0": f"ingress.shop.{DOMAIN}",
    "ingress-0.door": f"ingress.linkerd.{DOMAIN}",
}


class Mesh:
    """A running mesh and its folder of tokens."""

    def __init__(self, cli: MeshCli, *, flags: list[str]) -> None:
        self.cli = cli
        self.flags = flags
        self.folder = cli.root / "state" / "identity"
        self.proxy_uid = PROXY_UID if flags else os.getuid()

    def up(self) -> None:
        self.cli.ok("local", "up", "-f", "mesh.yaml", "-d", *self.flags, timeout_s=120)

    def settings(self) -> dict[str, dict[str, str]]:
        """What proxies were told, without the prefix, by the name of their folder."""
        environments = [process.environ() for process in self.cli.family()]
        told = [
            {name.removeprefix(PREFIX): env[name] for name in env if name.startswith(PREFIX)}
            for env in environments
        ]
        return {Path(one["DIR"]).name: one for one in told if "DIR" in one}

    def certify(self, token: bytes, *, identity: str) -> x509.Certificate:
        """As a proxy asks."""
        request = messages.CertifyRequest(
            identity=identity,
            token=token,
            certificate_signing_request=csr(new_key(), extensions=[dns_names(identity)]),
        )
        with grpc.insecure_channel(self.cli.state()["proxy_api"]) as channel:
            answer = stubs.IdentityStub(channel).Certify(request, timeout=10)
        return x509.load_der_x509_certificate(answer.leaf_certificate)

    def refusal(self, token: bytes, *, identity: str) -> str:
        with pytest.raises(grpc.RpcError) as caught:
            self.certify(token, identity=identity)
        return str(caught.value.details())

    def is_left(self) -> bool:
        return self.folder.exists()


@pytest.fixture(params=["loopback", "transparent"])
def mesh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mesh]:
    if request.param == "transparent":
        need_root()
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "mesh.yaml").write_text(MESH)
    made = Mesh(
        MeshCli(tmp_path), flags=["--transparent"] if request.param == "transparent" else []
    )
    made.up()
    yield made
    made.cli.stop()


def test_every_proxy_has_a_token_that_nobody_else_reads_and_that_ends_with_it(mesh: Mesh) -> None:
    settings = mesh.settings()
    assert {pod: told["LOCAL_NAME"] for pod, told in settings.items()} == NAMES
    assert {path.name for path in mesh.folder.iterdir()} == NAMES.keys() | {MARK}
    tokens = {pod: Path(told["TOKEN_FILE"]).read_bytes() for pod, told in settings.items()}
    for pod, name in NAMES.items():
        folder, token = mesh.folder / pod, mesh.folder / pod / "token"
        for path, allowed in ((folder, 0o700), (token, 0o600)):
            assert path.stat().st_uid == mesh.proxy_uid
            assert stat.S_IMODE(path.stat().st_mode) == allowed
        assert (settings[pod]["SVC_ADDR"] == mesh.cli.state()["proxy_api"]) is not bool(mesh.flags)
        leaf = mesh.certify(tokens[pod], identity=name)
        chain = x509.load_pem_x509_certificates(settings[pod]["TRUST_ANCHORS"].encode())
        assert [anchor.subject.rfc4514_string() for anchor in chain] == [
            "CN=root.linkerd.cluster.local"
        ]
        assert leaf.issuer.rfc4514_string() == "CN=identity.linkerd.cluster.local"
    assert "token proves" in mesh.refusal(tokens["web-0"], identity=NAMES["ingress-0.door"])
    edit(mesh.cli.root / "mesh.yaml", "replicas: 2", "replicas: 1")
    eventually(lambda: not (mesh.folder / "web-1").exists(), deadline_s=30)
    assert "is not known here" in mesh.refusal(tokens["web-1"], identity=FRONT)
    mesh.certify(tokens["web-0"], identity=FRONT)
    mesh.cli.ok("local", "down")
    assert not mesh.is_left()


def test_nothing_is_left_whatever_ends_the_mesh(mesh: Mesh) -> None:
    family = mesh.cli.family()
    os.kill(mesh.cli.state()["pid"], signal.SIGKILL)
    assert_ended(family)
    eventually(lambda: not mesh.is_left(), deadline_s=20)
    mesh.up()
    # Nobody is left to clean up but whoever comes next.
    family = mesh.cli.family()
    _guard(family).kill()
    os.kill(mesh.cli.state()["pid"], signal.SIGKILL)
    assert_ended(family)
    assert mesh.is_left()
    mesh.cli.ok("local", "down")
    assert not mesh.is_left()
    # It removes the rest of the dead one, too.
    mesh.up()
    mesh.cli.ok("local", "down")


def _guard(family: list[psutil.Process]) -> psutil.Process:
    return next(one for one in family if "".join(words_of(one)).endswith("guard.py"))
