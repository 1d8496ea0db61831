"""A mesh's trust anchor exchanged while requests go on, by the one command and with its restarts: within
minutes, and nobody notices.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.identity.ca import make_anchor, make_issuer_below
from linkerd2_py.controlplane.identity.names import TrustDomain
from tests.support.cluster.node import workloads
from tests.support.cluster.node.mesh import NAMESPACE, Load, Mesh, Place
from tests.support.cluster.node.node import Node
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(1200)

RATE = 50
URL = f"http://web:{workloads.PORT}/"
ISSUER = "linkerd-identity-issuer"
ROTATE = ("identity", "rotate-anchors")
OVER_S = 300.0
DOMAIN = TrustDomain(control_namespace=NAMESPACE)


@pytest.fixture
def place(installed: Mesh) -> Iterator[Place]:
    with installed.namespace("turning") as found:
        yield found


class Asking:
    """Requests all the while, from pods that nobody makes anew: each goes when the next one is there."""

    def __init__(self, place: Place, ends: ExitStack) -> None:
        self._place = place
        self._ends = ends
        self._names = (f"load-{number}" for number in itertools.count())
        self._loads: list[Load] = []
        self.pod = ""
        self.again()

    def again(self) -> None:
        """By another pod, with the anchors and a certificate of now."""
        before = self._ends.pop_all()
        self.pod = next(self._names)
        self._loads.append(
            self._ends.enter_context(self._place.load(URL, rate=RATE, name=self.pod))
        )
        self._loads[-1].wait_answered(RATE)
        before.close()
        for load in self._loads[:-1]:
            load.assert_none_failed(at_least=RATE)
        if len(self._loads) > 1:
            self._place.kubectl("delete", f"pod/load-{len(self._loads) - 2}", "--now")


def serve(place: Place) -> None:
    spec = workloads.pod_spec(workloads.server("http_server.py", lingers=True))
    place.apply(workloads.deployment("web", spec, replicas=2), workloads.service("web"))
    place.wait_rolled("deployment/web")


def rotate(
    mesh: Mesh, place: Place, *words: str, waited: Callable[[list[str]], None] = lambda _: None
) -> list[str]:
    """Until it is over: what was done, a line each. `waited` hears what is said of each look."""
    told: list[str] = []
    with ExitStack() as ends:
        asking = Asking(place, ends)

        def is_over() -> bool:
            done = mesh.try_cli(*ROTATE, "--apply", "--restart", *words)
            assert done.returncode == 0, done.stderr
            told.extend(done.stderr.splitlines())
            said = done.stdout.splitlines()
            waited(said)
            if f"  {place.name} po/{asking.pod} (1)" in said:
                asking.again()
            return any(line.startswith("the rotation is over") for line in told)

        eventually(is_over, deadline_s=OVER_S, what="the rotation is over")
        asking.again()
    return told


def anchors(mesh: Mesh) -> str:
    path = "--output=jsonpath={.data.ca-bundle\\.crt}"
    words = ("get", "configmap/linkerd-identity-trust-roots", f"--namespace={NAMESPACE}", path)
    return mesh.node.kubectl(*words).strip()


def assert_over(mesh: Mesh, place: Place, told: list[str], *, before: str) -> None:
    assert before not in anchors(mesh)
    # Whoever can be asked to begin anew is: certificates of before are not waited out.
    restarts = [line for line in told if f"deploy/web in {place.name}" in line]
    assert len(restarts) == 3, told
    issuer = x509.load_pem_x509_certificates(anchors(mesh).encode())
    assert len(issuer) == 1
    assert "Status check results are √" in mesh.cli("check", "--proxy", "-n", place.name)


def test_an_anchor_is_exchanged_while_requests_go_on(installed: Mesh, place: Place) -> None:
    before = anchors(installed)
    serve(place)
    told = rotate(installed, place)
    assert_over(installed, place, told, before=before)


class Issuing:
    """Who makes the issuer of a mesh as cert-manager does: a Secret of its own, of another type."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._now = SystemClock().wall()
        self.anchor = make_anchor(DOMAIN, now=self._now)

    def write(self) -> None:
        """A new issuer, by the anchor of now."""
        issuer = make_issuer_below(self.anchor, DOMAIN, now=self._now)
        # A second apply of it would take away the labels by which it is known to be of the installation.
        if self._mesh.node.kubectl.try_("get", f"namespace/{NAMESPACE}").returncode != 0:
            about = {"name": NAMESPACE}
            self._mesh.node.kubectl.apply(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": about}
            )
        data = {
            "tls.crt": issuer.certificate_pem,
            "tls.key": issuer.key_pem,
            "ca.crt": self.anchor.certificate_pem,
        }
        self._mesh.node.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {"name": ISSUER, "namespace": NAMESPACE},
                "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
            },
        )

    def turn(self) -> bytes:
        """From now on another anchor vouches for what is made: it is given back."""
        self.anchor = make_anchor(DOMAIN, now=self._now)
        return self.anchor.certificate_pem


@pytest.mark.slow
def test_an_anchor_of_somebody_else_s_issuer_is_exchanged(
    node: Node, images: None, tmp_path: Path
) -> None:
    mesh = Mesh(node)
    if mesh.installed():
        mesh.uninstall()
        node.kubectl.try_("wait", "--for=delete", f"namespace/{NAMESPACE}", "--timeout=120s")
    issuing = Issuing(mesh)
    issuing.write()
    mesh.install("--identity-external-issuer")
    before = anchors(mesh)
    fresh = tmp_path / "fresh.crt"
    fresh.write_bytes(issuing.turn())

    def waited(said: list[str]) -> None:
        if any(line.startswith("the issuer is somebody else's") for line in said):
            issuing.write()

    with mesh.namespace("turning") as place:
        serve(place)
        told = rotate(mesh, place, "--identity-trust-anchors-file", str(fresh), waited=waited)
        assert_over(mesh, place, told, before=before)
    mesh.uninstall()
