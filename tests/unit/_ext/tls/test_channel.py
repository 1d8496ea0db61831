"""Channels against Python's `ssl` in memory, both ways: who trusts whom, and what becomes of the bytes."""

import ssl

from linkerd2_py._ext.tls.testing import MemoryChannel
from tests.support.workloads import name_of, ssl_context

BIG = bytes(range(256)) * 400  # more than six records


class PythonEnd:
    """The other end: ssl.SSLObject between two MemoryBIOs."""

    def __init__(self, context: ssl.SSLContext, *, server_name: str | None = None) -> None:
        context.check_hostname = server_name is not None
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._in, self._out, server_side=server_name is None, server_hostname=server_name
        )

    def feed(self, ciphertext: bytes) -> None:
        self._in.write(ciphertext)

    def said(self) -> bytes:
        return self._out.read()

    def handshake(self) -> str:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return "more"
        return "done"

    def read(self, room: int = 1 << 20) -> bytes:
        got = bytearray()
        try:
            while piece := self.tls.read(room):
                got += piece
        except ssl.SSLWantReadError:
            pass
        return bytes(got)


def shake(one: object, other: object, *, piece: int = 1 << 20) -> tuple[str, str]:
    """Carries bytes to and fro until both ends have nothing more to say; in pieces of `piece` bytes."""
    ends = [one, other]
    states = ["more", "more"]
    for _ in range(20):
        for here, there, index in ((0, 1, 0), (1, 0, 1)):
            if states[index] == "more":
                states[index] = ends[here].handshake()
            said = ends[here].said()
            for start in range(0, len(said), piece):
                ends[there].feed(said[start : start + piece])
                if piece < 1 << 20 and states[1 - index] == "more":
                    states[1 - index] = ends[there].handshake()
        if states == ["done", "done"]:
            break
    return states[0], states[1]


def test_two_channels_prove_who_they_are(mesh):
    client = MemoryChannel(mesh.credentials("web"), server_name=name_of("voting"))
    server = MemoryChannel(mesh.credentials("voting"))
    assert shake(client, server) == ("done", "done")
    assert client.peer == name_of("voting")
    assert server.peer == name_of("web")
    client.write(BIG)
    server.feed(client.said())
    got = bytearray()
    while isinstance(piece := server.read(), bytes):
        got += piece
    assert piece == "more"
    assert got == BIG


def test_one_byte_at_a_time(mesh):
    client = MemoryChannel(mesh.credentials("web"), server_name=name_of("voting"))
    server = MemoryChannel(mesh.credentials("voting"))
    assert shake(client, server, piece=1) == ("done", "done")


def test_python_is_served(mesh, tmp_path):
    server = MemoryChannel(mesh.credentials("voting"))
    client = PythonEnd(
        ssl_context(mesh.workload("web"), anchors=mesh.anchors, folder=tmp_path, server=False),
        server_name=name_of("voting"),
    )
    assert shake(client, server) == ("done", "done")
    assert server.peer == name_of("web")
    assert client.tls.version() == "TLSv1.3"
    server.write(b"hello")
    client.feed(server.said())
    assert client.read() == b"hello"
