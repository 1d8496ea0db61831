"""Where answers come from: the two streams of the destination API, and DNS. One for all targets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.tls.identity import ServerIdentity
from linkerd2_py.base.grpc.client import GrpcClient
from linkerd2_py.base.tasks import supervise
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proxy.addresses import Authority, SocketAddr
from linkerd2_py.proxy.backoff import BackoffMaker
from linkerd2_py.proxy.config.types import Destination
from linkerd2_py.proxy.discovery.installation import Installation, LeadsBack, Tuning, no_tuning
from linkerd2_py.proxy.discovery.messages import Endpoint
from linkerd2_py.proxy.dns.follow import NameListener, TtlBounds, follow_name
from linkerd2_py.proxy.dns.resolver import Resolver
from linkerd2_py.proxy.grpc.follow import Follower, follow
from linkerd2_py.proxy.policy.api import PolicyApi

_SERVICE: Final = "/io.linkerd.proxy.destination.Destination"
_SCHEME: Final = "k8s"  # the controllers of 2018 answer no other; today's do not read it


class Lookups(NamedTuple):
    """Everything a watch may ask. `client` is None without a control plane."""

    client: GrpcClient | None
    rules: Destination
    resolver: Resolver
    ttl: TtlBounds
    make_backoff: BackoffMaker
    opaque_ports: frozenset[int]
    leads_back: LeadsBack
    own_ips: frozenset[bytes]
    secures: bool
    on_skipped: Callable[[int], None]
    running: set[asyncio.Task[None]]
    peer: ServerIdentity | None = None
    """Who must answer wherever a name or an address leads; None: whoever does."""
    policies: PolicyApi | None = None
    tuning: Tuning = no_tuning
    registry: Registry | None = None
    """Where requests are counted by route; None: they are not."""

    async def settled(self) -> None:
        """Until everything that was cancelled has let go of what it held in the engine."""
        if self.running:
            await asyncio.wait(self.running)

    def installation(self, target: Target, *, counts: bool = True) -> Installation:
        """How `target` becomes what is found out. `counts`: its requests are counted by the routes of
        profiles.
        """
        return Installation(
            target,
            leads_back=self.leads_back,
            own_ips=self.own_ips,
            secures=self.secures,
            tuning=self.tuning,
            registry=self.registry if counts else None,
        )

    def at(self, address: SocketAddr) -> Endpoint:
        """What is known of an address that nobody was asked about."""
        return Endpoint(address, peer=self.peer)

    def get(self, name: Authority, *, follower: Follower) -> asyncio.Task[None]:
        """Follow the endpoints of a name of the mesh. Of a service that has none, Linkerd's controller says
        nothing at all: a stream may be silent from the start.
        """
        return self._follow("Get", path=str(name), follower=follower, may_be_silent=True)

    def get_profile(self, path: str, *, follower: Follower) -> asyncio.Task[None]:
        """Follow the profile of a name or an address."""
        return self._follow("GetProfile", path=path, follower=follower)

    def dns(self, name: Authority, *, listener: NameListener) -> asyncio.Task[None]:
        """Follow a name in DNS."""
        watch = partial(
            follow_name,
            name.host,
            resolver=self.resolver,
            listener=listener,
            bounds=self.ttl,
            backoff=self.make_backoff(),
        )
        return self._keep(supervise(watch, name=f"dns {name}"))

    def _follow(
        self, method: str, *, path: str, follower: Follower, may_be_silent: bool = False
    ) -> asyncio.Task[None]:
        if self.client is None:
            raise RuntimeError("no control plane is configured")
        limits = self.rules.streams
        request = destination.GetDestination(
            scheme=_SCHEME,
            path=path,
            context_token=self.rules.context_token,
            prefers_near=method == "Get",
        )
        stream = partial(
            follow,
            self.client,
            path=f"{_SERVICE}/{method}",
            request=request.SerializeToString(),
            label=f"{method} {path}",
            follower=follower,
            limits=limits._replace(initial_s=limits.idle_s) if may_be_silent else limits,
            backoff=self.make_backoff(),
        )
        return self._keep(supervise(stream, name=f"{method} {path}"))

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task
