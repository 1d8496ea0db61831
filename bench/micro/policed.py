"""The same exchanges through an inbound proxy: let in by routes with authorizations of their own, and by
rates of requests, or without anybody who decides.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.micro.proxied import SECOND_NS, Proxy, Run, http1_through, http2_through
from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.exchange.passage import Passage
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.policy import match
from linkerd2_py._ext.policy.rate import Limit, Rate
from linkerd2_py._ext.policy.rules import Rules
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.route.client import Permission
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.server import ProxyServer
from linkerd2_py._ext.route.target_table import TargetTable

ROUTES = 10
RESPONSES = re.compile(rb'^response_total\{direction="inbound".* (\d+)$', re.MULTILINE)
# None of the requests that are counted is one too many.
MANY = SECOND_NS


class Inbound(Proxy):
    """Before a workload, as policy is there for its port, or is not."""

    policed = False

    def serve(self, *, h2: bool) -> Address:
        table = TargetTable(
            self.loop,
            self.registry,
            direction="inbound",
            settings=PoolSettings(limits=Limits()),
            on_unknown_target=lambda _target: None,
        )
        target = table.install(b"workload:80")
        target.configure()
        host, port = self.listening.getsockname()
        target.forward(EndpointSpec(Address(host, port), h2=h2))
        permission = self.permission()
        self.server_made = ProxyServer(
            self.loop,
            table,
            direction="inbound",
            target=target,
            orig_proto=True,
            authorize=(lambda _client, _peer, _port: permission) if self.policed else None,
        )
        return self.listen(self.server_made)

    def responses(self) -> int:
        """As that of another direction."""
        text = b"".join(self.registry.render())
        return sum(int(count) for count in RESPONSES.findall(text))

    def permission(self) -> Permission:
        """Each route lets in whom it names; the last of them means the requests that are sent, on a condition
        on a field. All together and each client may send so many a second.
        """
        paths = [f"/api/{number}st".encode() for number in range(ROUTES - 1)]
        meant = match.all_of(
            [match.path_prefix(b"/api"), match.header(b"accept", b"application/json")]
        )
        return Permission(
            otherwise=Passage(refusal="no route", status=404),
            rules=Rules([*map(match.path, paths), meant]),
            routes=tuple(range(ROUTES)),
            passage=self.passage,
            doubtful=Passage(refusal="of which route is it?"),
            limits=(self.limit("total"), self.limit("identity")),
        )

    def passage(self, number: int) -> Passage:
        labels = (("route_name", f"route-{number}"), ("authz_name", f"authz-{number}"))
        requests = self.registry.counter("inbound_http_authz_allow_total", "Let in.", labels)
        return Passage(labels=labels, requests=requests)

    def limit(self, scope: str) -> Limit:
        labels = {"ratelimit_scope": scope}
        refused = self.registry.counter("inbound_http_local_ratelimit_total", "Too many.", labels)
        return Limit(Rate(MANY), refusal="too many", refused=refused)


class PolicedInbound(Inbound):
    policed = True


@contextmanager
def inbound_exchanges(*, policed: bool, h2: bool) -> Iterator[Run]:
    """Of a proxy before the workload."""
    with ExitStack() as held:
        proxy = (PolicedInbound if policed else Inbound)(held, h2=h2)
        with (http2_through if h2 else http1_through)(proxy) as run:
            yield run
