"""`/api/v1/endpoints`: what destination answers to a proxy that asks for an authority."""

import ipaddress
from dataclasses import dataclass
from typing import Annotated, TypedDict

from linkerd2_py.base.names import LABEL_NAMESPACE, LABEL_POD, LABEL_SERVICE
from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.destination.refusals import RefusedError
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.operation import Operation, Parameter
from linkerd2_py.proto.gen import destination_pb2 as messages
from linkerd2_py.proto.gen import net_pb2 as net


@dataclass(frozen=True, slots=True)
class Authorities:
    """What is asked."""

    authority: Annotated[tuple[str, ...], Parameter("name:port, may be repeated")]


class ListedEndpoint(TypedDict):
    """One address that requests to the authority may go to."""

    namespace: str
    service: str
    ip: str
    port: int
    pod: str


class Endpoints(TypedDict):
    """The answer, in the order of the authorities."""

    endpoints: list[ListedEndpoint]


def endpoints(destination: Destination) -> Operation[Authorities]:
    """The operation."""

    async def answer(asked: Authorities) -> Endpoints:
        found: list[ListedEndpoint] = []
        async for authority in in_slices(asked.authority):
            found += await _of(authority, destination=destination)
        return {"endpoints": found}

    summary = "What destination answers for authorities"
    return Operation("/api/v1/endpoints", summary, Authorities, Endpoints, answer)


async def _of(authority: str, *, destination: Destination) -> list[ListedEndpoint]:
    try:
        question = destination.endpoints_question(authority)
        encoded = await destination.endpoints.snapshot(question)
    except RefusedError as error:
        # Nobody serves what does not exist.
        if error.reason == "not found":
            return []
        raise InvalidQueryError(f"authority {authority[:80]!r}: {error}") from error
    updates = map(messages.Update.FromString, encoded)
    return [_listed(address, update.add) for update in updates for address in update.add.addrs]


def _listed(address: messages.WeightedAddr, found: messages.WeightedAddrSet) -> ListedEndpoint:
    return {
        "namespace": found.metric_labels[LABEL_NAMESPACE],
        "service": found.metric_labels[LABEL_SERVICE],
        "ip": _ip(address.addr.ip),
        "port": address.addr.port,
        "pod": address.metric_labels[LABEL_POD],
    }


def _ip(address: net.IPAddress) -> str:
    if address.WhichOneof("ip") == "ipv6":
        return str(ipaddress.IPv6Address(address.ipv6.first << 64 | address.ipv6.last))
    return str(ipaddress.IPv4Address(address.ipv4))
