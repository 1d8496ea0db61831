"""Whole exchanges through an outbound proxy in this process, between two plain sockets that the same thread
drives.

The client and the server are bytes prepared once and a few lines of C that send them, so that nearly all user
instructions are the proxy's.
"""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

from bench.micro import frames
from bench.micro.messages import BODY, RESPONSE, SIDECAR_REQUEST
from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.exchange.retry import Retry
from linkerd2_py._ext.exchange.timeouts import Timeouts
from linkerd2_py._ext.exchange.ways import Split, Way
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import exchange_many
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.metrics.routes import RetryMetrics, RouteMetrics
from linkerd2_py._ext.policy import match
from linkerd2_py._ext.policy.regex import Regex
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.server import ProxyServer
from linkerd2_py._ext.route.target_table import TargetTable

LOOPBACK = "127.0.0.1"
# What a first exchange may take, also where an instruction takes fifty times as long.
SECOND_NS = 1_000_000_000
DEADLINE_S = 20.0
RESPONSES = re.compile(rb'^response_total\{direction="outbound".* (\d+)$', re.MULTILINE)


class Connection:
    """A plain end of a connection, with all that it has received."""

    def __init__(self, end: socket.socket, loop: Loop) -> None:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end.setblocking(False)
        self.end = end
        self.loop = loop
        self.received = bytearray()

    def send(self, content: bytes) -> None:
        self.end.sendall(content)

    def expect(self, content: bytes) -> None:
        """Runs the proxy until `content` is among what was received."""

        def arrived() -> bool:
            with suppress(BlockingIOError):
                self.received += self.end.recv(65536)
            return content in self.received

        if not self.loop.run_until(arrived, DEADLINE_S):
            raise TimeoutError(f"expected {content!r}, received {bytes(self.received)!r}")


class Proxy:
    """An outbound proxy with one target that has one endpoint, and what speaks with it."""

    def __init__(
        self,
        held: ExitStack,
        *,
        h2: bool,
        routes: int = 0,
        policy: int = 0,
        paced: bool = False,
    ) -> None:
        self.held = held
        # Requests have a time, and may be sent again.
        self.paced = paced
        self.routes = routes
        self.policy = policy
        self.errors: list[BaseException] = []
        self.registry = Registry()
        self.loop = held.enter_context(closing(Loop()))
        self.loop.on_error = lambda error, _actor: self.errors.append(error)
        self.listening = held.enter_context(socket.create_server((LOOPBACK, 0)))
        self.listening.setblocking(False)
        self.address = self.serve(h2=h2)

    def serve(self, *, h2: bool) -> Address:
        table = TargetTable(
            self.loop,
            self.registry,
            direction="outbound",
            settings=PoolSettings(limits=Limits()),
            on_unknown_target=lambda _target: None,
        )
        target = table.install(b"web-svc.emojivoto:80")
        target.configure()
        if self.routes:
            target.routes = self.table_of_routes()
        if self.policy:
            target.routes = self.table_of_policy()
        host, port = self.listening.getsockname()
        target.replace([EndpointSpec(Address(host, port), h2=h2)])
        self.server_made = ProxyServer(self.loop, table, direction="outbound", target=target)
        return self.listen(self.server_made)

    def table_of_routes(self) -> RouteTable:
        """As of a profile, each with series of its own; the last of them means the requests that are sent.
        Half of them name one path, half of them a pattern.
        """
        patterns = [f"/api/{n}st" if n % 2 else f"/api/{n}/[^/]*" for n in range(self.routes - 1)]
        rules = []
        for pattern in [*patterns, "/api/list"]:
            condition = match.all_of(
                [match.method(b"GET"), match.path_regex(Regex(pattern.encode()))]
            )
            labels = {"direction": "outbound", "dst": "web-svc:80", "rt_route": pattern}
            rules.append((condition, Plan(metrics=self.registry.requests("route_", labels))))
        return RouteTable(rules)

    def table_of_policy(self) -> RouteTable:
        """As of outbound policy: each route has one backend, which is the service itself, and series of its
        own and of its backend. Prefixes stand twice, as they do there; the last of them means the requests
        that are sent, on a condition on a field.
        """
        paths = [f"/api/{n}st" for n in range(self.policy - 1)]
        rules = [(match.path(path.encode()), self.plan_of_policy(path)) for path in paths]
        rules += [(match.path_prefix(path.encode()), self.plan_of_policy(path)) for path in paths]
        meant = match.all_of(
            [match.path_prefix(b"/api"), match.header(b"accept", b"application/json")]
        )
        return RouteTable([*rules, (meant, self.plan_of_policy("list"))])

    def plan_of_policy(self, name: str) -> Plan:
        labels = {"parent_name": "web-svc", "route_name": name}
        of_backend = {**labels, "backend_name": "web-svc"}
        way = Way(metrics=RouteMetrics(self.registry, of_backend, of_backend=True))
        route = RouteMetrics(self.registry, labels)
        if not self.paced:
            return Plan(ways=Split([way]), route=route)
        retry = Retry(statuses=((500, 599),), metrics=RetryMetrics(self.registry, labels))
        timeouts = Timeouts(request_ns=10 * SECOND_NS)
        return Plan(ways=Split([way]), route=route, timeouts=timeouts, retry=retry)

    def listen(self, server: ProxyServer) -> Address:
        """It serves until the end."""
        self.held.callback(server.table.close)
        self.held.callback(server.abort_all)
        self.held.callback(server.drain)
        return server.listen(LOOPBACK, 0)

    def client(self) -> Connection:
        return self.connect(self.address)

    def connect(self, address: Address) -> Connection:
        """To whatever listens on this loop."""
        to = (address.host, address.port)
        return Connection(self.held.enter_context(socket.create_connection(to)), self.loop)

    def server(self) -> Connection:
        """What the proxy connects to once there is a request."""
        ends: list[socket.socket] = []

        def connected() -> bool:
            try:
                ends.append(self.listening.accept()[0])
            except BlockingIOError:
                return False
            return True

        if not self.loop.run_until(connected, DEADLINE_S):
            raise TimeoutError("the proxy does not connect to its endpoint")
        return Connection(self.held.enter_context(ends[0]), self.loop)

    def responses(self) -> int:
        """How many responses the proxy has counted."""
        return sum(int(count) for count in RESPONSES.findall(b"".join(self.registry.render())))


Run = Callable[[int], None]


@contextmanager
def counted(proxy: Proxy, exchange: Run) -> Iterator[Run]:
    """`exchange` with, at the end, a look at the proxy's own count of what it did."""
    before = proxy.responses()
    total = 0

    def run(times: int) -> None:
        nonlocal total
        exchange(times)
        total += times

    yield run
    assert proxy.responses() - before == total
    assert not proxy.errors


@contextmanager
def http1_exchanges(*, routes: int = 0, policy: int = 0, paced: bool = False) -> Iterator[Run]:
    """GET with a response of 128 bytes, over one kept-alive connection on either side; held against so many
    routes.
    """
    with (
        ExitStack() as held,
        http1_through(Proxy(held, h2=False, routes=routes, policy=policy, paced=paced)) as run,
    ):
        yield run


@contextmanager
def http1_through(proxy: Proxy, request: bytes = SIDECAR_REQUEST) -> Iterator[Run]:
    """HTTP/1 on the plain ends of whatever proxies stand between."""
    client = proxy.client()
    client.send(request)
    server = proxy.server()
    server.expect(b"\r\n\r\n")
    server.send(RESPONSE + BODY)
    client.expect(BODY)

    def exchange(times: int) -> None:
        at_server, at_client = exchange_many(
            proxy.loop,
            client.end.fileno(),
            server.end.fileno(),
            request,
            RESPONSE + BODY,
            times,
        )
        assert at_server == times * len(server.received)
        assert at_client == times * len(client.received)

    with counted(proxy, exchange) as run:
        yield run


@contextmanager
def http2_exchanges(*, routes: int = 0, policy: int = 0, paced: bool = False) -> Iterator[Run]:
    """The same over HTTP/2, each exchange on a stream of its own."""
    with (
        ExitStack() as held,
        http2_through(Proxy(held, h2=True, routes=routes, policy=policy, paced=paced)) as run,
    ):
        yield run


@contextmanager
def http2_through(proxy: Proxy) -> Iterator[Run]:
    """HTTP/2 on the plain ends of a proxy."""
    client = proxy.client()
    stream = 1
    client.send(frames.PREFACE + frames.SETTINGS + frames.WINDOW + frames.request(stream))
    client.expect(frames.SETTINGS_ACK)
    client.send(frames.SETTINGS_ACK)
    server = proxy.server()
    server.expect(frames.PREFACE)
    server.send(frames.SETTINGS + frames.WINDOW + frames.SETTINGS_ACK)
    server.expect(frames.SETTINGS_ACK)
    server.expect(frames.FIRST_REQUEST)
    server.send(frames.response(stream))
    client.expect(BODY)

    def exchange(times: int) -> None:
        nonlocal stream
        exchange_many(
            proxy.loop,
            client.end.fileno(),
            server.end.fileno(),
            frames.request(0),
            frames.response(0),
            times,
            stream=stream + 2,
        )
        stream += 2 * times

    with counted(proxy, exchange) as run:
        yield run
