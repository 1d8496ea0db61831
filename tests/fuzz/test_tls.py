"""TLS however it is cut, held back, changed or made up: what arrives is what was sent, its end is the right
one, and nothing crashes.
"""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.listener import Listener
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import RecorderSession
from linkerd2_py._ext.tls.credentials import Credentials
from linkerd2_py._ext.tls.testing import AcceptSecure, MemoryChannel, connect_secure
from tests.support.memory_tls import PythonEnd, carry, read_all, shake
from tests.support.raw_socket import RawListener, abort
from tests.support.tls_records import ALERT, DATA, HANDSHAKE, Forger
from tests.support.turns import settle
from tests.support.workloads import MeshAuthority, name_of, ssl_context

reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
VOTING = name_of("voting")
MIB = 1 << 20


@pytest.fixture(scope="module")
def mesh() -> MeshAuthority:
    return MeshAuthority()


@pytest.fixture(scope="module")
def web(mesh) -> Credentials:
    return mesh.credentials("web")


@pytest.fixture(scope="module")
def voting(mesh) -> Credentials:
    return mesh.credentials("voting")


# -- channels, in memory


def met(web: Credentials, voting: Credentials) -> tuple[MemoryChannel, MemoryChannel]:
    client, server = MemoryChannel(web, server_name=VOTING), MemoryChannel(voting)
    assert shake(client, server) == ("done", "done")
    return client, server


def patterned(size: int, at: int = 0) -> bytes:
    """Bytes that tell their place."""
    period = bytes(range(251))
    start = at % 251
    return (period * (size // 251 + 2))[start : start + size]


sizes = st.one_of(st.integers(1, 40), st.integers(1, 40_000), st.sampled_from([16_384, 16_385]))


@given(writes=st.lists(sizes, max_size=6), pieces=st.lists(sizes, min_size=1, max_size=6))
@reuse
def test_a_channel_reads_what_was_written_however_it_is_cut(web, voting, writes, pieces):
    for reader, writer in (met(web, voting), reversed(met(web, voting))):
        sent = b"".join(patterned(size, at) for at, size in enumerate(writes))
        writer.write(sent)
        writer.close_notify()
        wire, got, end, turn = writer.said(), b"", "more", 0
        while wire:
            count = pieces[turn % len(pieces)]
            turn += 1
            reader.feed(wire[:count])
            wire = wire[count:]
            read, end = read_all(reader)
            got += read
            assert end == ("more" if wire else "end")
        assert got == sent


@given(
    writes=st.lists(st.integers(1, 20_000), min_size=1, max_size=3),
    where=st.floats(0, 1, exclude_max=True),
    change=st.integers(1, 255),
)
@reuse
def test_a_changed_byte_is_never_read_and_never_the_end(web, voting, writes, where, change):
    client, server = met(web, voting)
    sent = b"".join(patterned(size, at) for at, size in enumerate(writes))
    client.write(sent)
    client.close_notify()
    wire = bytearray(client.said())
    wire[int(where * len(wire))] ^= change
    server.feed(bytes(wire))
    got, end = read_all(server)
    # A longer length makes it wait for what never comes: then the FIN is the fault.
    assert end in ("broken", "more")
    assert sent.startswith(got)
    assert len(got) < len(sent) or end == "more" or server.failure


@given(
    flight=st.integers(0, 2),
    where=st.floats(0, 1, exclude_max=True),
    change=st.one_of(
        st.tuples(st.just("flip"), st.integers(1, 255)),
        st.tuples(st.just("insert"), st.binary(min_size=1, max_size=30)),
        st.tuples(st.just("drop"), st.integers(1, 50)),
        st.tuples(st.just("repeat"), st.integers(1, 50)),
    ),
)
@reuse
def test_a_handshake_that_was_tampered_with_ends_in_the_truth_or_not_at_all(
    web, voting, flight, where, change
):
    client, server = MemoryChannel(web, server_name=VOTING), MemoryChannel(voting)
    ends = [client, server]
    for number in range(4):
        here, there = ends[number % 2], ends[1 - number % 2]
        here.handshake()
        wire = here.said()
        if number == flight:
            wire = tampered(wire, where, *change)
        there.feed(wire)
    client.handshake()
    server.handshake()
    for one, name in ((client, VOTING), (server, name_of("web"))):
        assert one.peer in (None, name)
        # Nobody had anything to say, so nothing is heard.
        assert read_all(one)[0] == b""


def tampered(wire: bytes, where: float, how: str, what: int | bytes) -> bytes:
    at = int(where * len(wire))
    if isinstance(what, bytes):
        return wire[:at] + what + wire[at:]
    if how == "flip" and wire:
        return wire[:at] + bytes([wire[at] ^ what]) + wire[at + 1 :]
    if how == "drop":
        return wire[:at] + wire[at + what :]
    return wire[: at + what] + wire[at:]


records = st.builds(
    lambda kind, version, body: bytes([kind]) + version + len(body).to_bytes(2) + body,
    st.sampled_from([0, 20, 21, 22, 23, 24, 255]),
    st.sampled_from([b"\x03\x01", b"\x03\x03", b"\x03\x04", b"\x02\x00", b"\xff\xff"]),
    st.binary(max_size=200),
)
noise = st.one_of(st.binary(max_size=400), st.lists(records, max_size=6).map(b"".join))


@given(noise)
@example(b"")
@example(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03")
@reuse
def test_noise_as_a_first_flight_is_refused_or_waited_for(web, voting, wire):
    for channel in (MemoryChannel(voting), MemoryChannel(web, server_name=VOTING)):
        channel.handshake()
        channel.feed(wire)
        assert channel.handshake() in ("more", "broken")
        assert channel.read() in ("more", "broken")
        assert channel.peer is None


@given(noise)
@reuse
def test_noise_behind_a_handshake_is_never_read(web, voting, wire):
    for channel in met(web, voting):
        channel.feed(wire)
        got, end = read_all(channel)
        assert got == b""
        assert end in ("more", "broken")


forged_records = st.lists(
    st.tuples(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                [
                    b"\x18\x00\x00\x01\x00",
                    b"\x18\x00\x00\x01\x01",
                    b"\x04\x00\x00\x02hi",
                    b"\x02\x28",
                    b"\x01\x5a",
                ]
            ),
        ),
        st.sampled_from([DATA, DATA, DATA, HANDSHAKE, ALERT, 20, 0, 99]),
        st.integers(0, 300),
    ),
    max_size=6,
)


def meaning(content: bytes, kind: int) -> tuple[bytes, int]:
    """The last byte that is not zero says what a record is."""
    inner = (content + bytes([kind])).rstrip(b"\0")
    return inner[:-1], inner[-1] if inner else 0


@given(made=forged_records)
@reuse
def test_records_that_nobody_would_send_break_the_connection_or_say_what_they_hold(
    mesh, web, voting, tmp_path_factory, made
):
    folder: Path = tmp_path_factory.mktemp("forged")
    for calling in (False, True):
        context = ssl_context(
            None if not calling else mesh.workload("voting"),
            anchors=mesh.anchors,
            folder=folder,
            server=calling,
        )
        context.keylog_filename = str(folder / f"secrets-{calling}")
        context.check_hostname = False
        if calling:
            context.num_tickets = 0
            ours, theirs = MemoryChannel(web, server_name=VOTING), PythonEnd(context)
        else:
            ours, theirs = MemoryChannel(voting), PythonEnd(context, server_name=VOTING)
        assert shake(ours, theirs) == ("done", "done")
        carry(theirs, ours)
        forger = Forger(theirs.tls, folder / f"secrets-{calling}")
        said = b""
        kinds: list[int] = []
        for content, kind, padding in made:
            ours.feed(forger.record(content, kind, padding=padding))
            plaintext, meant = meaning(content, kind)
            kinds.append(meant)
            said += plaintext if meant == DATA else b""
        got, end = read_all(ours)
        assert said.startswith(got)
        assert end in ("more", "broken", "end")
        if end == "end":
            assert ALERT in kinds
        if set(kinds) <= {DATA}:
            assert (got, end) == (said, "more")


# -- transports, over sockets, with somebody in the middle


class Side:
    """One end: what it said, and how it ended."""

    def __init__(self, session: RecorderSession) -> None:
        self.session = session
        self.sent = bytearray()
        self.ended = False
        self.paused = False

    def send(self, size: int, *, later: bool) -> None:
        if self.ended or not self.session.attached:
            return
        content = patterned(size, len(self.sent))
        self.sent += content
        if later and size <= 16_384:
            self.session.send_reserved(content)
        else:
            self.session.send(content)

    def end(self) -> None:
        if self.session.attached and not self.ended:
            self.ended = True
            self.session.shutdown_write()

    def pause(self) -> None:
        if self.session.attached and not self.paused:
            self.paused = True
            self.session.pause()

    def resume(self) -> None:
        if self.session.attached and self.paused:
            self.paused = False
            self.session.resume()


class Middle:
    """A connection of our client to our server through the test's hands."""

    def __init__(self, loop: Loop, web: Credentials, voting: Credentials) -> None:
        self.loop = loop
        self.accepted: list[RecorderSession] = []
        self.door = AcceptSecure(lambda: voting, self._accept)
        listener = Listener(loop, ("127.0.0.1", 0), self.door)
        client = RecorderSession()
        with RawListener() as between:
            address = Address(*between.address)
            connect_secure(loop, address, client, credentials=web, server_name=VOTING)
            self.left = between.accept().sock
        self.right = socket.create_connection(("127.0.0.1", listener.address.port))
        for sock in (self.left, self.right):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = {self.left: bytearray(), self.right: bytearray()}
        self.over = {self.left: False, self.right: False}
        self.passed_end: set[socket.socket] = set()
        self.client = Side(client)
        self.listener = listener

    def _accept(self) -> RecorderSession:
        self.accepted.append(RecorderSession())
        return self.accepted[-1]

    def shake(self) -> bool:
        """Whether both have proven who they are."""
        self.loop.run_until(self._settled)
        self.listener.close()
        return self.client.session.events == [("connected",)] and bool(self.accepted)

    def _settled(self) -> bool:
        self.deliver(self.left, MIB)
        self.deliver(self.right, MIB)
        failed = bool(self.door.refused) or self.client.session.names()[:1] == ["connect_failed"]
        return failed or (bool(self.accepted) and bool(self.client.session.events))

    def take(self, source: socket.socket) -> None:
        """What `source` has said is in our hands."""
        try:
            while piece := source.recv(MIB):
                self.held[source] += piece
            self.over[source] = True
        except BlockingIOError:
            pass
        except ConnectionError:
            self.over[source] = True

    def deliver(self, source: socket.socket, count: int) -> bool:
        """Passes on so many bytes, and an end when there are no more; whether anything moved."""
        self.take(source)
        target = self.right if source is self.left else self.left
        held = self.held[source]
        moved = False
        with contextlib.suppress(BlockingIOError, ConnectionError):
            if held:
                sent = target.send(held[:count])
                del held[:sent]
                moved = sent > 0
        if self.over[source] and not held and source not in self.passed_end:
            self.passed_end.add(source)
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)
            moved = True
        return moved

    def cut(self) -> None:
        """FIN to both, in the name of the other."""
        for sock in (self.left, self.right):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.listener.close()
        for session in (self.client.session, *self.accepted):
            if session.attached:
                session.abort()
        for sock in (self.left, self.right):
            abort(sock)
        assert self.loop.run_until(lambda: self.loop.stats()["sources"] == 0)


@pytest.fixture(params=[True, False], ids=["io_uring", "one-by-one"])
def loop(request) -> Iterator[Loop]:
    loop = Loop(io_uring=request.param)
    failures: list[str] = []
    loop.on_error = lambda error, actor: failures.append(repr(error))
    yield loop
    loop.close()
    assert failures == []


steps = st.one_of(
    st.tuples(st.just("send"), st.booleans(), sizes),
    st.tuples(st.just("later"), st.booleans(), sizes),
    st.tuples(st.just("pass"), st.booleans(), sizes),
    st.tuples(st.just("pass"), st.booleans(), st.just(MIB)),
    st.tuples(st.sampled_from(["pause", "resume", "end", "turn"]), st.booleans(), st.just(0)),
)


@given(story=st.lists(steps, max_size=30), cut=st.sampled_from(["no", "left", "right"]))
@reuse
def test_what_arrives_is_what_was_sent_and_its_end_is_the_right_one(loop, web, voting, story, cut):
    with Middle(loop, web, voting) as middle:
        assert middle.shake()
        client, server = middle.client, Side(middle.accepted[0])
        ends = {True: client, False: server}
        for what, left, size in story:
            side = ends[left]
            if what in ("send", "later"):
                side.send(size, later=what == "later")
            elif what == "pass":
                middle.deliver(middle.left if left else middle.right, size)
            elif what != "turn":
                getattr(side, what)()
            loop.drain()
        for side in (client, server):
            side.resume()
        # Whoever is cut off is cut off behind all it said; everybody else says that it is over.
        cut_off = {"no": None, "left": client, "right": server}[cut]
        for side in (client, server):
            if side is not cut_off:
                side.end()

        def all_passed() -> bool:
            moved = [middle.deliver(middle.left, MIB), middle.deliver(middle.right, MIB)]
            done = all(
                len(there.session.received) == len(here.sent)
                for here, there in ((client, server), (server, client))
            )
            return done and not any(moved)

        assert loop.run_until(all_passed), (len(client.sent), len(server.session.received))
        if cut_off is not None and not cut_off.ended:
            target = middle.right if cut_off is client else middle.left
            target.shutdown(socket.SHUT_WR)
            there = server if cut_off is client else client
            assert loop.run_until(lambda: not there.session.attached)
            assert there.session.events[-1][:2] == ("fault", "reset")
            assert "read_eof" not in there.session.names()
        else:
            for side in (client, server):
                assert loop.run_until(lambda: "read_eof" in side.session.names())  # noqa: B023 - called before the next turn
                assert "fault" not in side.session.names()
        assert client.session.received == server.sent
        assert server.session.received == client.sent


@given(
    sent=st.integers(1, 60_000),
    left=st.booleans(),
    where=st.floats(0, 1, exclude_max=True),
    change=st.integers(1, 255),
    paused=st.booleans(),
)
@reuse
def test_a_byte_changed_on_the_wire_is_a_fault(
    sent, left, where, change, paused, *, loop, web, voting
):
    with Middle(loop, web, voting) as middle:
        assert middle.shake()
        here, there = middle.client, Side(middle.accepted[0])
        source, target = middle.left, middle.right
        if not left:
            here, there, source, target = there, here, target, source
        if paused:
            there.pause()
        here.send(sent, later=False)
        here.end()
        assert loop.run_until(lambda: middle.take(source) or middle.over[source])
        held = middle.held[source]
        held[int(where * len(held))] ^= change
        assert loop.run_until(lambda: not middle.deliver(source, MIB))
        there.resume()
        assert loop.run_until(lambda: not there.session.attached)
        assert there.session.events[-1][1] in ("tls", "reset")
        assert "read_eof" not in there.session.names()
        assert here.sent.startswith(there.session.received)


@given(wire=noise, ends=st.booleans())
@reuse
def test_noise_from_a_client_is_refused_or_waited_for(loop, voting, wire, ends):
    door = AcceptSecure(lambda: voting, RecorderSession)
    listener = Listener(loop, ("127.0.0.1", 0), door)
    with socket.create_connection(("127.0.0.1", listener.address.port)) as raw:
        raw.sendall(wire)
        if ends:
            raw.shutdown(socket.SHUT_WR)
            assert loop.run_until(
                lambda: loop.stats()["sources"] == 1 and (door.refused or not wire)
            )
        settle(loop)
    assert door.secured == []
    assert loop.run_until(lambda: loop.stats()["sources"] == 1)
    listener.close()


@given(wire=noise)
@reuse
def test_noise_from_a_server_is_no_connection(loop, web, wire):
    client = RecorderSession()
    with RawListener() as listener:
        connect_secure(
            loop, Address(*listener.address), client, credentials=web, server_name=VOTING
        )
        with listener.accept() as raw:
            raw.send(wire)
            raw.half_close()
            assert loop.run_until(lambda: client.events)
    assert client.events[0][:2] == ("connect_failed", "tls")
    assert loop.stats()["sources"] == 0


@given(
    flight=st.integers(0, 2),
    where=st.floats(0, 1, exclude_max=True),
    change=st.integers(1, 255),
)
@reuse
def test_a_handshake_changed_on_the_wire_says_the_truth_or_nothing(
    flight, where, change, *, loop, web, voting
):
    with Middle(loop, web, voting) as middle:
        client = middle.client.session
        for number in range(3):
            source = middle.right if number == 1 else middle.left
            loop.run_until(lambda: middle.take(source) or middle.held[source] or client.events)  # noqa: B023 - called before the next turn
            held = middle.held[source]
            if number == flight and held:
                held[int(where * len(held))] ^= change
            middle.deliver(source, MIB)
            if number == flight:
                break
        # Whoever waits for more than there is learns that there is nothing.
        middle.cut()
        assert loop.run_until(
            lambda: client.names() in (["connect_failed"], ["connected", "fault"])
        )
        assert loop.run_until(lambda: middle.door.secured or middle.door.refused)
        assert middle.door.secured in ([], [(name_of("web"), False)])


def test_an_end_in_the_middle_of_a_story_is_told(loop, web, voting):
    """The pieces above, once by hand: the fuzz tests would not notice if they did nothing."""
    with Middle(loop, web, voting) as middle:
        assert middle.shake()
        client, server = middle.client, Side(middle.accepted[0])
        client.send(100_000, later=False)
        client.end()
        assert loop.run_until(
            lambda: not middle.deliver(middle.left, 1000) and "read_eof" in server.session.names()
        )
        assert server.session.received == client.sent == patterned(100_000)
