"""What TLS does between workloads: a handshake of both ends, and exchanges through an outbound and an inbound
proxy, with it and without.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificates

from bench.certificates import Certificates, Leaf, make_certificates
from bench.micro.proxied import Proxy, Run, http1_through
from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.server import ProxyServer
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py._ext.tls.credentials import Credentials
from linkerd2_py._ext.tls.identity import LocalIdentity, ServerIdentity
from linkerd2_py._ext.tls.testing import MemoryChannel

# Two flights of the client, one of the server; more means that something waits for nothing.
MOST_TURNS = 5


@contextmanager
def certificates() -> Iterator[Certificates]:
    """Of a mesh with two workloads."""
    with tempfile.TemporaryDirectory(prefix="micro-") as folder:
        yield make_certificates(Path(folder))


def credentials(made: Certificates, leaf: Leaf) -> Credentials:
    """As a proxy has them."""
    key = load_pem_private_key(leaf.key.read_bytes(), password=None)
    chain = load_pem_x509_certificates(leaf.chain.read_bytes())
    return Credentials(
        name=leaf.name,
        key=key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        chain=[certificate.public_bytes(Encoding.DER) for certificate in chain],
        anchors=made.anchors.read_bytes(),
    )


@contextmanager
def handshakes() -> Iterator[Run]:
    """Both ends of a full mutual handshake between workloads that have met before."""
    with certificates() as made:
        client, server = credentials(made, made.client), credentials(made, made.server)

        def run(times: int) -> None:
            for _ in range(times):
                shake_hands(client, server)

        run(1)
        yield run


def shake_hands(client: Credentials, server: Credentials) -> None:
    """AssertionError when they do not come to terms."""
    near = MemoryChannel(client, server_name=server.name)
    far = MemoryChannel(server)
    states = "", ""
    for _ in range(MOST_TURNS):
        near_state = near.handshake()
        far.feed(near.said())
        far_state = far.handshake()
        near.feed(far.said())
        states = near_state, far_state
        if states == ("done", "done"):
            break
    assert states == ("done", "done")
    assert (near.peer, far.peer) == (server.name, client.name)


class Leg(Proxy):
    """An outbound proxy before an inbound one, with HTTP/2 between them; over TLS if they have an identity
    each.
    """

    def __init__(self, held: ExitStack, made: Certificates | None) -> None:
        self.made = made
        Proxy.__init__(self, held, h2=True)

    def serve(self, *, h2: bool) -> Address:
        """Where the outbound one listens."""
        inbound = self.table("inbound", None)
        workload = inbound.install(b"workload:80")
        workload.configure()
        workload.forward(EndpointSpec(Address(*self.listening.getsockname())))
        server = self.identity(self.made.server) if self.made else None
        far = self.listen(
            ProxyServer(
                self.loop,
                inbound,
                direction="inbound",
                target=workload,
                orig_proto=True,
                identity=server,
            )
        )
        outbound = self.table("outbound", self.identity(self.made.client) if self.made else None)
        target = outbound.install(b"web-svc.emojivoto:80")
        target.configure()
        peer = ServerIdentity(server.name) if server else None
        target.replace([EndpointSpec(far, h2=h2, peer=peer)])
        return self.listen(ProxyServer(self.loop, outbound, direction="outbound", target=target))

    def table(self, direction: str, identity: LocalIdentity | None) -> TargetTable:
        return TargetTable(
            self.loop,
            self.registry,
            direction=direction,
            settings=PoolSettings(limits=Limits()),
            on_unknown_target=lambda _target: None,
            identity=identity,
        )

    def identity(self, leaf: Leaf) -> LocalIdentity:
        assert self.made is not None
        made = LocalIdentity(leaf.name)
        made.install(credentials(self.made, leaf))
        return made


@contextmanager
def leg_exchanges(*, tls: bool) -> Iterator[Run]:
    """GET with a response of 128 bytes: HTTP/1 to the first proxy and from the second."""
    with ExitStack() as held:
        made = held.enter_context(certificates()) if tls else None
        leg = Leg(held, made)
        with http1_through(leg) as run:
            yield run
        secured = b'tls="true"' in b"".join(leg.registry.render())
        assert secured is tls
