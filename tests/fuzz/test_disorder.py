"""Clients and servers that do anything at any time, through two proxies and one: nothing fails inside, and
nothing is left.
"""

import contextlib
import os
import random
import socket
import struct
import threading
import time

import pytest
from hpack import Encoder

from linkerd2_py._ext.core import debug
from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.exchange.retry import Retry
from linkerd2_py._ext.exchange.timeouts import Timeouts
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from tests.contract.http2.peers import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
)
from tests.support.engine import MS, Engine
from tests.support.wait import patience

DEEP = os.environ.get("L5D_HYPOTHESIS") == "deep"
AGENTS = 4000 if DEEP else 600
AT_ONCE = 20
TURN_S = 0.005  # between two steps of everybody
PING = 6
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
ANSWERS = [
    OK,
    OK,
    OK,
    b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig",
    b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloEXTRA",
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhi",
    b"HTTP/1.1 200 OK\r\ncontent-length: 500000\r\n\r\n" + bytes(500_000),
]
LAST_ANSWERS = [
    b"",
    b"HTTP/1.1 200 OK\r\n\r\nuntil close",
    b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + bytes(5000),
]
REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: svc\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: svc\r\n\r\n" * 3,
    b"POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 300000\r\n\r\n" + bytes(300_000),
    b"POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 300000\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: svc\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-a: 1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: svc\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5000,
    b"GET / HTTP/1.1\r\nHost: svc\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    b"CONNECT svc:80 HTTP/1.1\r\nHost: svc:80\r\n\r\n",
    b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HT",
]


def reset_on_close(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def serve(sock: socket.socket, chance: random.Random) -> None:
    """Answers whatever comes, with one of the answers, until it has enough."""
    sock.settimeout(3 * patience())
    with contextlib.suppress(OSError), sock:
        while sock.recv(1 << 20):
            if chance.random() < 0.2:
                sock.sendall(chance.choice(LAST_ANSWERS))
                if chance.random() < 0.5:
                    reset_on_close(sock)
                return
            sock.sendall(chance.choice(ANSWERS))


def accept(server: socket.socket, chance: random.Random) -> None:
    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=serve, args=(server.accept()[0], chance), daemon=True).start()


class Agent:
    """One client: a few steps at random, then an end of some kind."""

    def __init__(self, address: tuple[str, int], chance: random.Random) -> None:
        self.chance = chance
        self.sock = socket.create_connection(address)
        self.sock.setblocking(False)
        self.steps = chance.randrange(1, 30)
        self.reads = chance.random() < 0.9
        self.http2 = chance.random() < 0.4
        self.encoder, self.stream = Encoder(), 1
        if self.http2:
            window = struct.pack(">HI", 4, chance.choice([0, 1, 100, 65_535, 1 << 20]))
            self.put(PREFACE + frame(SETTINGS, 0, 0, window))

    def step(self) -> bool:
        """False when it has ended."""
        self.steps -= 1
        try:
            if self.reads and self.sock.recv(1 << 20) == b"":
                self.steps = 0
        except BlockingIOError:
            pass
        except OSError:
            self.steps = 0
        if self.steps > 0:
            self.put(self.frames() if self.http2 else self.chance.choice(REQUESTS))
            return True
        if self.chance.random() < 0.5:
            reset_on_close(self.sock)
        self.sock.close()
        return False

    def put(self, wire: bytes) -> None:
        with contextlib.suppress(OSError):
            self.sock.send(wire)

    def frames(self) -> bytes:
        act, last = self.chance.randrange(8), max(1, self.stream - 2)
        if act < 4:
            return self.request()
        if act == 4:
            return frame(RST_STREAM, 0, last, struct.pack(">I", 8))
        if act == 5:
            return frame(
                WINDOW_UPDATE, 0, last, struct.pack(">I", self.chance.randrange(1, 1 << 17))
            )
        if act == 6:
            return frame(DATA, END_STREAM, last, b"tail")
        return frame(PING, 0, 0, b"12345678")

    def request(self) -> bytes:
        fields = [(":scheme", "http"), (":path", "/"), (":authority", "svc")]
        if self.chance.random() < 0.6:
            block = self.encoder.encode([(":method", "GET"), *fields])
            wire = frame(HEADERS, END_HEADERS | END_STREAM, self.stream, block)
        else:
            wire = frame(
                HEADERS,
                END_HEADERS,
                self.stream,
                self.encoder.encode([(":method", "POST"), *fields]),
            )
            wire += frame(
                DATA, self.chance.randrange(2), self.stream, bytes(self.chance.randrange(16_000))
            )
        self.stream += 2
        return wire


AGAIN = Retry(
    statuses=[(413, 413), (500, 599)],
    codes=range(1, 17),
    limit=3,
    timeout_ns=200 * MS,
    longest_pause_ns=30 * MS,
    pause_ns=10 * MS,
    jitter=1.0,
)
TIMES = Timeouts(request_ns=1500 * MS, response_ns=1000 * MS, idle_ns=500 * MS)


def disorder(made: Engine, chance: random.Random, app: tuple[str, int], *, steered: bool) -> None:
    inbound = made.inbound(app)
    meshed, through_two = made.outbound(inbound, h2=True)
    plain, through_one = made.outbound(app)
    if steered:
        for target in (meshed, plain):
            target.routes = RouteTable(otherwise=Plan(retry=AGAIN, timeouts=TIMES))
    doors = [through_two, through_one, inbound]
    agents: list[Agent] = []
    left, end = AGENTS, time.monotonic() + 120
    while (left or agents) and time.monotonic() < end:
        while left and len(agents) < AT_ONCE:
            left -= 1
            agents.append(Agent(chance.choice(doors), chance))
        agents = [agent for agent in agents if agent.step()]
        made.loop.run_until(lambda: False, TURN_S)
        if chance.random() < 0.02:
            meshed.replace([])
            meshed.replace([EndpointSpec(Address(*inbound), h2=True)])
            plain.replace([EndpointSpec(Address(*app)), EndpointSpec(Address(app[0], 1))])
    for agent in agents:
        agent.sock.close()


def unused(made: Engine) -> bool:
    """No exchange and no client is left; the two proxies keep one connection between them."""
    counts = debug.counts()
    if counts["exchange"] or counts["stream"] or counts["pump"]:
        return False
    return sum(server.open_connections for server in made.servers) <= 1


@pytest.mark.parametrize("steered", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_fails_and_nothing_is_left(seed: int, *, steered: bool) -> None:
    """`steered`: requests have a time, and are sent again."""
    chance = random.Random(seed)
    loop = Loop(io_uring=seed % 2 == 0, busy_wait=False)
    errors: list[str] = []
    loop.on_error = lambda error, actor: errors.append(f"{type(actor).__name__}: {error!r}")
    settings = PoolSettings(
        limits=Limits(), failfast_ns=300 * MS, backoff_min_ns=20 * MS, backoff_max_ns=100 * MS
    )
    made = Engine(loop, Registry(), settings)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        threading.Thread(target=accept, args=(server, chance), daemon=True).start()
        try:
            disorder(made, chance, server.getsockname(), steered=steered)
            assert loop.run_until(lambda: unused(made), 30), debug.counts()
        finally:
            server.shutdown(socket.SHUT_RDWR)
            made.close()
            loop.work_off(5)
            loop.close()
    assert not errors, errors
