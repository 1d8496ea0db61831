"""Our TLS beside openssl's own programs: its client to our server, our client to its server."""

import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.listener import Listener
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import RecorderSession
from linkerd2_py._ext.tls.testing import AcceptSecure, connect_secure, peer_of
from tests.support.processes import Child
from tests.support.raw_socket import RawListener
from tests.support.turns import settle
from tests.support.workloads import MeshAuthority, Workload, name_of

WEB, VOTING = name_of("web"), name_of("voting")
SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
GROUPS = ["X25519", "P-256", "P-384"]
HEADER = "transport.l5d.io/v1"


@pytest.fixture(scope="module")
def mesh() -> MeshAuthority:
    return MeshAuthority()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    failures: list[object] = []
    loop.on_error = lambda error, actor: failures.append((error, actor))
    yield loop
    loop.close()
    assert failures == []


def files(workload: Workload, folder: Path) -> list[str | Path]:
    """The options that make openssl this workload."""
    certificate, key = workload.files(folder)
    return ["-cert", certificate, "-cert_chain", certificate, "-key", key]


# -- openssl's client


def echo(name: str, session: RecorderSession) -> None:
    if name == "readable":
        session.send(session.events[-1][1])
    elif name == "read_eof":
        session.close()


class Echo:
    """Our server, that sends back what it is sent."""

    def __init__(self, loop: Loop, mesh: MeshAuthority) -> None:
        credentials = mesh.credentials("voting")
        self.sessions: list[RecorderSession] = []
        self.door = AcceptSecure(lambda: credentials, self._session, takes_header=True)
        self.listener = Listener(loop, ("127.0.0.1", 0), self.door)

    def _session(self) -> RecorderSession:
        self.sessions.append(RecorderSession(echo))
        return self.sessions[-1]

    def let_go(self) -> None:
        """The test holds us until it has been looked for what it left behind."""
        self.listener.close()
        self.sessions.clear()
        del self.listener, self.door


@pytest.fixture
def server(loop, mesh) -> Iterator[Echo]:
    made = Echo(loop, mesh)
    yield made
    made.let_go()


@pytest.fixture
def s_client(server, mesh, tmp_path) -> Callable[..., Child]:
    """`s_client(option…)`: connected to our server as a workload of the mesh."""
    anchors = tmp_path / "ca.pem"
    anchors.write_bytes(mesh.anchors)

    def start(*options: str | Path, workload: Workload | None = None) -> Child:
        where = f"127.0.0.1:{server.listener.address.port}"
        checks = ["-CAfile", anchors, "-verify_return_error", "-servername", VOTING]
        own = files(workload or mesh.workload("web"), tmp_path / "client")
        if "-anonymous" in options:
            own = []
        words = [option for option in options if option != "-anonymous"]
        return Child.start(
            ["openssl", "s_client", "-connect", where, *checks, *own, *words],
            log=tmp_path / "client.log",
            listens=True,
        )

    return start


def says(loop: Loop, child: Child, text: str) -> None:
    assert loop.run_until(lambda: text in child.output()), child


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("group", GROUPS)
def test_openssls_client_is_served_in_every_suite_and_group(loop, server, s_client, suite, group):
    with s_client("-ciphersuites", suite, "-groups", group) as client:
        says(loop, client, f"New, TLSv1.3, Cipher is {suite}")
        says(loop, client, "Verify return code: 0 (ok)")
        assert loop.run_until(lambda: server.door.secured == [(WEB, False)])
        client.say(b"hello\n")
        says(loop, client, "\nhello\n")
        client.say(b"Q\n")
        assert loop.run_until(lambda: "read_eof" in server.sessions[0].names())


def test_a_client_that_offers_all_gets_the_first_suite(loop, s_client):
    with s_client() as client:
        says(loop, client, f"New, TLSv1.3, Cipher is {SUITES[0]}")


@pytest.mark.parametrize(
    ("options", "failure"),
    [
        (("-tls1_2",), "unsupported protocol"),
        (("-ciphersuites", "TLS_AES_128_CCM_SHA256"), "no shared cipher"),
        (("-groups", "P-521"), "no suitable key share"),
        (("-sigalgs", "RSA+SHA256"), "no suitable signature algorithm"),
    ],
)
def test_a_client_with_nothing_in_common_is_refused(loop, server, s_client, options, failure):
    with s_client(*options) as client:
        assert loop.run_until(lambda: server.door.refused)
        assert server.door.refused == [("TLS failed", failure)]
        says(loop, client, "alert")
        assert server.sessions == []


def test_openssls_client_may_be_nobody(loop, server, s_client):
    with s_client("-anonymous") as client:
        says(loop, client, "Verify return code: 0 (ok)")
        assert loop.run_until(lambda: server.door.secured == [(None, False)])


def test_an_expired_client_of_openssls_is_refused(loop, server, s_client, mesh):
    with s_client(workload=mesh.workload("web", starts=1_700_000_000)) as client:
        says(loop, client, "alert certificate expired")
        assert server.door.refused == [("TLS failed", "certificate has expired")]


def test_a_client_of_another_mesh_is_refused(loop, server, s_client):
    with s_client(workload=MeshAuthority().workload("web")) as client:
        says(loop, client, "alert")
        assert server.door.refused == [("TLS failed", "certificate signature failure")]


@pytest.mark.parametrize(
    ("offered", "agreed"), [(HEADER, True), (f"h2,{HEADER}", True), ("h2", False)]
)
def test_openssls_client_is_told_whether_the_header_is_taken(
    loop, server, s_client, offered, agreed
):
    with s_client("-alpn", offered) as client:
        says(loop, client, f"ALPN protocol: {HEADER}" if agreed else "No ALPN negotiated")
        assert loop.run_until(lambda: server.door.secured == [(WEB, agreed)])


def test_key_updates_of_openssls_client_are_followed(loop, server, s_client):
    with s_client() as client:
        says(loop, client, "Verify return code: 0 (ok)")
        for number, command in enumerate((b"K\n", b"k\n") * 5):
            client.say(command)
            # A command is the first letter of what is read at once.
            assert loop.run_until(client.has_heard)
            client.say(b"word %d\n" % number)
            says(loop, client, f"\nword {number}\n")
        assert server.sessions[0].names().count("fault") == 0


def test_renegotiation_is_not_possible(loop, server, s_client):
    with s_client() as client:
        says(loop, client, "Verify return code: 0 (ok)")
        client.say(b"R\n")
        says(loop, client, "RENEGOTIATING")
        # The client's handshake is over before the server has read its end.
        assert loop.run_until(lambda: server.sessions)
        assert loop.run_until(lambda: not server.sessions[0].attached or client.process.poll())
        assert len(server.door.secured) == 1


def test_no_session_is_given_and_none_is_resumed(loop, server, s_client, tmp_path):
    kept = tmp_path / "session.pem"
    with s_client("-reconnect", "-sess_out", kept) as client:
        assert loop.run_until(lambda: len(server.sessions) == 6)
        client.say(b"hello\n")
        says(loop, client, "\nhello\n")
        assert client.output().count("New, TLSv1.3") == 6
        assert "Reused" not in client.output()
        client.say(b"Q\n")
        assert loop.run_until(lambda: client.process.poll() is not None)
    assert not kept.exists()


def test_a_megabyte_comes_back_from_our_server(loop, server, s_client):
    body = b"0123456789abcde\n" * 65_536
    with s_client("-quiet", "-nocommands") as client:
        says(loop, client, "verify return:1")
        for start in range(0, len(body), 32_768):
            # Its input is a pipe of 64 KiB.
            assert loop.run_until(client.has_heard)
            client.say(body[start : start + 32_768])
        assert loop.run_until(lambda: client.log.read_bytes().endswith(body))


# -- openssl's server


@pytest.fixture
def s_server(mesh, tmp_path) -> Iterator[Callable[..., tuple[Child, Address]]]:
    """`s_server(option…)`: listening as a workload of the mesh."""
    anchors = tmp_path / "ca.pem"
    anchors.write_bytes(mesh.anchors)
    made: list[Child] = []

    def start(*options: str | Path, workload: Workload | None = None) -> tuple[Child, Address]:
        own = files(workload or mesh.workload("voting"), tmp_path / "server")
        child = Child.start(
            [
                "openssl",
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-CAfile",
                anchors,
                "-verify_return_error",
                "-Verify",
                "3",
                *own,
                *options,
            ],
            log=tmp_path / "server.log",
            listens=True,
        )
        made.append(child)
        port = int(child.wait_for_line(r"^ACCEPT 127.0.0.1:(\d+)").group(1))
        return child, Address("127.0.0.1", port)

    yield start
    for child in made:
        child.kill()


@pytest.fixture
def call(loop, mesh) -> Callable[..., RecorderSession]:
    """`call(address)`: our client, that has been told of its connect's end."""

    def make(address: Address, **options: object) -> RecorderSession:
        session = RecorderSession()
        connect_secure(
            loop,
            address,
            session,
            credentials=mesh.credentials("web"),
            server_name=VOTING,
            **options,
        )
        assert loop.run_until(lambda: session.events)
        return session

    return make


def hears(loop: Loop, session: RecorderSession, text: bytes) -> None:
    assert loop.run_until(lambda: text in session.received), session.events


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("group", GROUPS)
def test_our_client_talks_to_openssls_server_in_every_suite_and_group(
    loop, s_server, call, suite, group
):
    _, address = s_server("-ciphersuites", suite, "-groups", group, "-rev")
    client = call(address)
    assert client.events == [("connected",)]
    assert peer_of(client) == (VOTING, False)
    client.send(b"stressed\n")
    hears(loop, client, b"desserts\n")
    client.close()


@pytest.mark.parametrize(
    "options",
    [("-tls1_2",), ("-ciphersuites", "TLS_AES_128_CCM_SHA256"), ("-groups", "P-521")],
)
def test_a_server_with_nothing_in_common_is_not_connected_to(s_server, call, options):
    _, address = s_server(*options)
    client = call(address)
    assert client.events[0][:2] == ("connect_failed", "tls")


@pytest.mark.parametrize(
    "workload",
    [
        lambda mesh: MeshAuthority().workload("voting"),
        lambda mesh: mesh.workload("emoji"),
        lambda mesh: mesh.workload("voting", names=["*.cluster.local"]),
        lambda mesh: mesh.workload("voting", names=[VOTING + "\0.evil.test"]),
        lambda mesh: mesh.workload("voting", starts=1_700_000_000),
        lambda mesh: mesh.workload("voting", starts=4_000_000_000),
    ],
    ids=["another mesh", "another name", "a wildcard", "a NUL", "expired", "not yet valid"],
)
def test_an_impostor_that_is_openssl_is_not_connected_to(loop, s_server, call, mesh, workload):
    child, address = s_server("-no_check_time", workload=workload(mesh))
    client = call(address)
    assert client.events[0][:2] == ("connect_failed", "tls")
    says(loop, child, "alert")


@pytest.mark.parametrize(("taken", "agreed"), [(HEADER, True), (f"h2,{HEADER}", True)])
def test_openssls_server_may_take_the_header(s_server, call, taken, agreed):
    _, address = s_server("-alpn", taken)
    client = call(address, header=True)
    assert peer_of(client) == (VOTING, agreed)
    client.abort()
    client = call(address)
    assert peer_of(client) == (VOTING, False)
    client.abort()


def test_key_updates_of_openssls_server_are_followed(loop, s_server, call):
    child, address = s_server()
    client = call(address)
    for number, command in enumerate((b"K\n", b"k\n") * 5):
        child.say(command)
        assert loop.run_until(child.has_heard)
        child.say(b"word %d\n" % number)
        hears(loop, client, b"word %d\n" % number)
        client.send(b"answer %d\n" % number)
        says(loop, child, f"answer {number}\n")
    child.say(b"Q\n")
    assert loop.run_until(lambda: not client.attached)
    # It closes its socket first and says close_notify to nobody: its end may as well be an attacker's.
    assert client.events[-1] == ("fault", "reset", errno.ECONNRESET)


def test_the_end_of_openssls_server_is_a_clean_one(loop, s_server, call):
    _, address = s_server("-rev")
    client = call(address)
    client.send(b"CLOSE\n")
    assert loop.run_until(lambda: "read_eof" in client.names())
    client.close()


class Relay:
    """Between our client and a server: passes on what it is told to."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._client, self._server = client, server
        client.setblocking(False)
        server.setblocking(False)
        self.waiting = b""

    def fetch(self) -> None:
        """To the server all, from it into our hands."""
        with contextlib.suppress(BlockingIOError):
            self._server.sendall(self._client.recv(65_536))
        with contextlib.suppress(BlockingIOError):
            self.waiting += self._server.recv(65_536)

    def pass_on(self, count: int) -> None:
        self._client.sendall(self.waiting[:count])
        self.waiting = self.waiting[count:]

    def pass_all(self) -> None:
        self.fetch()
        self.pass_on(len(self.waiting))


def test_half_a_ticket_holds_back_what_is_sent_and_no_more(loop, s_server, mesh):
    """A server of short records cuts a ticket in two; between the halves the library cannot write."""
    _, address = s_server("-max_send_frag", "512", "-rev")
    client = RecorderSession()
    with RawListener() as middle:
        connect_secure(
            loop,
            Address(*middle.address),
            client,
            credentials=mesh.credentials("web"),
            server_name=VOTING,
        )
        raw = middle.accept()
    with raw, socket.create_connection((address.host, address.port)) as server:
        relay = Relay(raw.sock, server)
        assert loop.run_until(lambda: client.events or relay.pass_all())
        assert loop.run_until(lambda: len(relay.waiting) > 1000 or relay.fetch())
        first = 5 + int.from_bytes(relay.waiting[3:5])
        relay.pass_on(first)
        assert relay.waiting
        settle(loop)
        client.send(b"stressed\n")
        assert client.hold().state()["unsent"] == 9
        assert loop.run_until(lambda: relay.pass_all() or client.received == b"desserts\n")
        assert client.events[0] == ("connected",)
        client.abort()
