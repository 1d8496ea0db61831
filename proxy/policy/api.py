"""The policy API as it is asked: two streams, for the workload's own ports and for what it calls."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from functools import partial
from typing import Final, NamedTuple

from linkerd2_py.base.grpc.client import GrpcClient
from linkerd2_py.base.grpc.status import Code
from linkerd2_py.base.tasks import supervise
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proxy.addresses import Authority, SocketAddr, pack_ip, split_zone
from linkerd2_py.proxy.backoff import BackoffMaker
from linkerd2_py.proxy.config.types import StreamLimits
from linkerd2_py.proxy.grpc.follow import FINAL, Follower, follow

_WATCH_PORT: Final = "/io.linkerd.proxy.inbound.InboundServerPolicies/WatchPort"
_WATCH: Final = "/io.linkerd.proxy.outbound.OutboundPolicies/Watch"
UNKNOWN: Final = frozenset({Code.NOT_FOUND, Code.UNIMPLEMENTED})
"""There is no policy for that target, or none for any."""


class PolicyApi(NamedTuple):
    """Whom to ask, and in whose name: `workload` is the controller's, and opaque here."""

    client: GrpcClient
    workload: str
    streams: StreamLimits
    make_backoff: BackoffMaker
    running: set[asyncio.Task[None]]

    def watch_port(self, port: int, *, follower: Follower) -> asyncio.Task[None]:
        """Follow what holds for a port of the workload."""
        request = inbound.PortSpec(
            workload=self.workload, port=port, jwt=True, external_authorization=True
        )
        return self._follow(
            _WATCH_PORT, request.SerializeToString(), f"WatchPort {port}", follower=follower
        )

    def watch(
        self, target: Authority | SocketAddr, *, follower: Follower, final: Container[Code]
    ) -> asyncio.Task[None]:
        """Follow what holds for a target of the workload, until a code in `final`, which may change."""
        request = outbound.TrafficSpec(
            source_workload=self.workload, rewrites=True, breaks_routes=True
        )
        if isinstance(target, SocketAddr):
            request.addr.CopyFrom(_address(target))
        else:
            request.authority = str(target)
        return self._follow(
            _WATCH,
            request.SerializeToString(),
            f"Watch {target}",
            follower=follower,
            final=final,
        )

    def _follow(
        self,
        path: str,
        request: bytes,
        label: str,
        *,
        follower: Follower,
        final: Container[Code] = FINAL,
    ) -> asyncio.Task[None]:
        stream = partial(
            follow,
            self.client,
            path=path,
            request=request,
            label=label,
            follower=follower,
            limits=self.streams,
            backoff=self.make_backoff(),
            final=final,
        )
        task = supervise(stream, name=label)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task


def _address(target: SocketAddr) -> net.TcpAddress:
    packed = pack_ip(split_zone(target.host)[0])
    if packed is None:
        raise ValueError(f"{target} is no address")
    if len(packed) == 4:
        ip = net.IPAddress(ipv4=int.from_bytes(packed))
    else:
        first, last = int.from_bytes(packed[:8]), int.from_bytes(packed[8:])
        ip = net.IPAddress(ipv6=net.IPv6(first=first, last=last))
    return net.TcpAddress(ip=ip, port=target.port)
