"""The questions of proxies, each asked once: answers as documents to be shown."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

import grpc.aio

from linkerd2_py.base.names import LABEL_NAMESPACE, LABEL_POD, LABEL_SERVICE
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.render.message import as_document
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proto.gen.destination_pb2_grpc import DestinationStub
from linkerd2_py.proto.gen.inbound_pb2 import PortSpec
from linkerd2_py.proto.gen.inbound_pb2_grpc import InboundServerPoliciesStub
from linkerd2_py.proto.gen.outbound_pb2 import TrafficSpec
from linkerd2_py.proto.gen.outbound_pb2_grpc import OutboundPoliciesStub

_FIRST_S: Final = 5.0
"""Nothing is ever said of a service without endpoints: after this long there are none."""
_NEXT_S: Final = 0.3
"""What is there may be told in several messages, which come at once."""
_Document = dict[str, Any]


async def endpoints_of(
    channel: grpc.aio.Channel, *, authorities: Sequence[str], token: str
) -> list[_Document]:
    """Those of several authorities, by namespace and service."""
    stub = DestinationStub(channel)  # type: ignore[no-untyped-call]
    asked = [
        _updates(stub, destination.GetDestination(scheme="http:", path=path, context_token=token))
        for path in authorities
    ]
    found = [
        _endpoint(address, update.add)
        for updates in await asyncio.gather(*asked)
        for update in updates
        for address in update.add.addrs
    ]
    return sorted(found, key=lambda one: (one["namespace"], one["service"], one["pod"], one["ip"]))


async def profile_of(channel: grpc.aio.Channel, *, path: str, token: str) -> _Document:
    """The first that comes."""
    question = destination.GetDestination(path=path, context_token=token)
    stub = DestinationStub(channel)  # type: ignore[no-untyped-call]
    call = stub.GetProfile(question)
    async for profile in call:
        call.cancel()
        return as_document(profile)
    return {}


async def inbound_policy(channel: grpc.aio.Channel, *, workload: str, port: int) -> _Document:
    """Who may call a port of a workload. CliError where nobody knows it."""
    spec = PortSpec(workload=workload, port=port, jwt=True, external_authorization=True)
    stub = InboundServerPoliciesStub(channel)  # type: ignore[no-untyped-call]
    try:
        return as_document(await stub.GetPort(spec))
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        namespace, _, name = workload.partition(":")
        raise CliError(
            f"the control plane knows no pod {name!r} with a proxy in the namespace {namespace!r}"
        ) from error


async def outbound_policy(channel: grpc.aio.Channel, *, authority: str, token: str) -> _Document:
    """How calls to an authority are treated when it is `token` who calls."""
    spec = TrafficSpec(source_workload=token, authority=authority)
    stub = OutboundPoliciesStub(channel)  # type: ignore[no-untyped-call]
    return as_document(await stub.Get(spec))


async def _updates(
    stub: DestinationStub, question: destination.GetDestination
) -> list[destination.Update]:
    call = stub.Get(question)
    found: list[destination.Update] = []
    try:
        while True:
            async with asyncio.timeout(_NEXT_S if found else _FIRST_S):
                update = await call.read()
            if not isinstance(update, destination.Update):
                # An end with an error is raised here; one without tells no more.
                return found
            found.append(update)
    except TimeoutError:
        return found
    finally:
        call.cancel()


def _endpoint(address: destination.WeightedAddr, among: destination.WeightedAddrSet) -> _Document:
    labels = dict(sorted(address.metric_labels.items()))
    namespace = among.metric_labels.get(LABEL_NAMESPACE, "")
    http2 = {"http2": as_document(address.http2)} if address.HasField("http2") else {}
    return {
        "namespace": namespace,
        "ip": _ip(address.addr.ip),
        "port": address.addr.port,
        "pod": labels.get(LABEL_POD, ""),
        "service": f"{among.metric_labels.get(LABEL_SERVICE, '')}.{namespace}",
        "weight": address.weight,
        **http2,
        "labels": labels,
    }


def _ip(found: net.IPAddress) -> str:
    if found.WhichOneof("ip") == "ipv6":
        return str(IPv6Address(found.ipv6.first << 64 | found.ipv6.last))
    return str(IPv4Address(found.ipv4))
