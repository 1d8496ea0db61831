"""The server whose requests Python answers."""

from collections.abc import Callable, Iterator

from linkerd2_py._ext.route.local_server import LocalServer, Request
from tests.support.route_rig import GET, Rig


def serving(
    rig: Rig, on_request: Callable[[Request], None], *, connections_max: int = 100
) -> tuple[LocalServer, tuple[str, int]]:
    server = LocalServer(rig.loop, on_request=on_request, connections_max=connections_max)
    address = server.listen("127.0.0.1", 0)
    return server, (address.host, address.port)


def test_a_whole_request_is_given_and_answered(rig: Rig) -> None:
    got: list[tuple[bytes, bytes, bytes, bytes]] = []

    def answer(request: Request) -> None:
        got.append((request.method, request.path, request.authority, request.body))
        request.respond(200, [(b"x-a", b"1")], b"fine")

    server, address = serving(rig, answer)
    client = rig.connect(address)
    client.send(b"PUT /level HTTP/1.1\r\nHost: admin\r\nContent-Length: 5\r\n\r\nde")
    rig.until(lambda: True)
    assert got == []
    client.send(b"bug")
    rig.until(lambda: client.take().endswith(b"fine"))
    assert got == [(b"PUT", b"/level", b"admin", b"debug")]
    assert b"content-length: 4\r\n" in client.received
    server.drain()
    rig.until(lambda: client.take() and client.end == "fin")


def test_slices_are_pulled_one_a_turn_and_the_body_ends_with_them(rig: Rig) -> None:
    def slices() -> Iterator[bytes]:
        for number in range(50):
            yield b"%d," % number

    server, address = serving(rig, lambda request: request.respond(200, body=slices()))
    client = rig.connect(address)
    client.send(GET)
    rig.until(lambda: client.take().endswith(b"0\r\n\r\n"))
    assert b"49," in client.received
    server.drain()


def test_a_body_that_is_too_large_is_refused(rig: Rig) -> None:
    asked: list[Request] = []
    server, address = serving(rig, asked.append)
    client = rig.connect(address)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n")
    left = 1_100_000
    while left:
        try:
            left -= client.link.sock.send(b"x" * min(left, 65536))
        except BlockingIOError:
            rig.loop.drain()
        except (BrokenPipeError, ConnectionResetError):
            break
    rig.until(lambda: client.take().startswith(b"HTTP/1.1 413 "))
    assert asked == []
    server.drain()


def test_the_oldest_idle_connection_makes_room(rig: Rig) -> None:
    server, address = serving(
        rig, lambda request: request.respond(200, body=b"ok"), connections_max=2
    )
    first, second = rig.connect(address), rig.connect(address)
    for client in (first, second):
        client.send(GET)
        rig.until(lambda client=client: client.take().endswith(b"ok"))
    third = rig.connect(address)
    third.send(GET)
    rig.until(lambda: third.take().endswith(b"ok"))
    rig.until(lambda: first.take() and first.end)
    second.take()
    assert not second.end
    server.drain()
